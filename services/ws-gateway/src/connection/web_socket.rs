//! A WebSocket as a peer. It reads into a buffer on the stack and keeps only what is no whole message yet.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::Interest,
    net::TcpStream,
    time::{Instant, timeout_at},
};
use wire::{Close, frame::Limits};

use super::{Happened, Peer};
use crate::{
    kept::{Room, SHORT_BYTES},
    outbox::Outbox,
    ws_message::{Heard, Messages},
};

/// What one read takes. Commands are short.
const READ_BYTES: usize = 4 << 10;

/// What a peer may have sent before it hears that the connection ends: read away, so that it does hear it.
const DISCARDED_BYTES: usize = 256 << 10;

/// From the beginning of a long message to its end.
const LONG_MESSAGE_WITHIN: Duration = Duration::from_secs(10);

/// A socket after its handshake.
pub(crate) struct WebSocket {
    stream: TcpStream,
    messages: Messages,
    limits: Arc<Limits>,
    /// A long message that is not whole.
    long: Option<Long>,
    /// Nothing that comes is a message any more.
    deaf: bool,
    /// How much of that came.
    discarded: usize,
}

/// Since when a long message is under way, with its room.
struct Long {
    began_at: Instant,
    _room: Room,
}

impl WebSocket {
    /// `read_ahead` came behind the handshake.
    pub(crate) fn new(stream: TcpStream, read_ahead: &[u8], limits: Arc<Limits>) -> Self {
        let mut messages = Messages::default();
        messages.feed(read_ahead);
        Self { stream, messages, limits, long: None, deaf: false, discarded: 0 }
    }

    /// The next thing that has been read.
    fn heard(&mut self, out: &mut Outbox) -> Option<Happened> {
        if self.deaf {
            return None;
        }
        let happened = match self.messages.next(&self.limits) {
            Ok(None) => Happened::Fault(self.await_rest(out)?),
            Ok(Some(Heard::Text(text))) => {
                self.long = None;
                Happened::Text(text)
            }
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

    /// What has come of a message is kept; a long one takes room that all clients share, for some seconds.
    fn await_rest(&mut self, out: &Outbox) -> Option<Close> {
        if self.messages.held() <= SHORT_BYTES || self.long.is_some() {
            return None;
        }
        let Some(room) = out.kept().long_message() else { return Some(Close::Overloaded) };
        self.long = Some(Long { began_at: Instant::now(), _room: room });
        None
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
            let deadline =
                self.long.as_ref().filter(|_| listens).map(|long| long.began_at + LONG_MESSAGE_WITHIN);
            let ready = self.stream.ready(interest);
            let ready = match deadline {
                None => ready.await?,
                Some(deadline) => match timeout_at(deadline, ready).await {
                    Ok(ready) => ready?,
                    Err(_) => {
                        self.deaf = true;
                        return Ok(Happened::Fault(Close::Policy));
                    }
                },
            };
            if ready.is_writable() && !out.is_empty() && self.write(out)? {
                return Ok(Happened::Wrote);
            }
            if ready.is_readable() {
                self.read()?;
            }
        }
    }
}
