//! A WebSocket as a peer. It reads into a buffer on the stack and keeps only what is no whole message yet.

use std::{io, sync::Arc};

use tokio::{io::Interest, net::TcpStream};
use wire::frame::Limits;

use super::{Happened, Peer};
use crate::{
    outbox::Outbox,
    ws_message::{Heard, Messages},
};

/// What one read takes. Commands are short.
const READ_BYTES: usize = 4 << 10;

/// What a peer may have sent before it hears that the connection ends: read away, so that it does hear it.
const DISCARDED_BYTES: usize = 256 << 10;

/// A socket after its handshake.
pub(crate) struct WebSocket {
    stream: TcpStream,
    messages: Messages,
    limits: Arc<Limits>,
    /// Nothing that comes is a message any more.
    deaf: bool,
    /// How much of that came.
    discarded: usize,
}

impl WebSocket {
    /// `read_ahead` came behind the handshake.
    pub(crate) fn new(stream: TcpStream, read_ahead: &[u8], limits: Arc<Limits>) -> Self {
        let mut messages = Messages::default();
        messages.feed(read_ahead);
        Self { stream, messages, limits, deaf: false, discarded: 0 }
    }

    /// The next thing that has been read.
    fn heard(&mut self, out: &mut Outbox) -> Option<Happened> {
        if self.deaf {
            return None;
        }
        let happened = match self.messages.next(&self.limits) {
            Ok(None) => return None,
            Ok(Some(Heard::Text(text))) => Happened::Text(text),
            Ok(Some(Heard::Pong)) => Happened::SignOfLife,
            Ok(Some(Heard::Ping(pong))) => {
                out.push_pong(pong);
                Happened::SignOfLife
            }
            Ok(Some(Heard::Closed(code, echo))) => {
                out.push(echo);
                Happened::Closed(code)
            }
            Err(close) => Happened::Fault(close),
        };
        self.deaf = matches!(happened, Happened::Closed(_) | Happened::Fault(_));
        Some(happened)
    }

    /// Reads once. Where a wait for readiness was in vain, nothing happened.
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
            Ok(read) if self.deaf => {
                self.discarded += read;
                if self.discarded > DISCARDED_BYTES {
                    Err(io::ErrorKind::ConnectionReset.into())
                } else {
                    Ok(())
                }
            }
            Ok(read) => {
                self.messages.feed(&buffer[..read]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn write(&self, out: &mut Outbox) -> io::Result<bool> {
        match self.stream.try_write_vectored(&out.chunks(usize::MAX)) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                out.advance(written);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Peer for WebSocket {
    const ANSWERS_CLOSE: bool = true;

    async fn exchange(&mut self, out: &mut Outbox, listens: bool) -> io::Result<Happened> {
        loop {
            if listens && let Some(happened) = self.heard(out) {
                return Ok(happened);
            }
            let interest = match (listens, out.is_empty()) {
                (_, true) => Interest::READABLE,
                (true, false) => Interest::READABLE | Interest::WRITABLE,
                (false, false) => Interest::WRITABLE,
            };
            let ready = self.stream.ready(interest).await?;
            if ready.is_writable() && !out.is_empty() && self.write(out)? {
                return Ok(Happened::Wrote);
            }
            if ready.is_readable() {
                self.read()?;
            }
        }
    }
}
