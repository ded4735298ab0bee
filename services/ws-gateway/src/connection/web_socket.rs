//! A WebSocket as a peer. It reads into a buffer on the stack and holds only incomplete messages.

use std::{io, sync::Arc, time::Duration};

use chassis::Socket;
use tokio::{
    io::Interest,
    time::{Instant, timeout_at},
};
use wire::{Close, frame::Limits};

use super::peer::{Peer, PeerEvent};
use crate::{
    budget::{MemoryPermit, SHORT_BYTES},
    outbox::Outbox,
    websocket::message::{Incoming, Messages},
};

/// What one read takes. Commands are short.
const READ_BYTES: usize = 4 << 10;

/// What a peer may have sent before it reads the close: discarded, so that the close reaches it.
const DISCARDED_BYTES: usize = 256 << 10;

/// From the beginning of a long message to its end.
const LONG_MESSAGE_WITHIN: Duration = Duration::from_secs(10);

/// A socket after its handshake.
pub(crate) struct WebSocket {
    socket: Socket,
    messages: Messages,
    limits: Arc<Limits>,
    /// A long message that is incomplete.
    long: Option<Long>,
    /// What comes is no longer read as messages.
    closing: bool,
    /// How much of that came.
    discarded: usize,
}

/// Since when a long message is incomplete, with its permit.
struct Long {
    began_at: Instant,
    _permit: MemoryPermit,
}

impl WebSocket {
    /// `read_ahead` came behind the handshake.
    pub(crate) fn new(socket: Socket, read_ahead: &[u8], limits: Arc<Limits>) -> Self {
        let mut messages = Messages::default();
        messages.feed(read_ahead);
        Self { socket, messages, limits, long: None, closing: false, discarded: 0 }
    }

    /// The next of what has been read.
    fn next_event(&mut self, out: &mut Outbox) -> Option<PeerEvent> {
        if self.closing {
            return None;
        }
        let event = match self.messages.next(&self.limits) {
            Ok(None) => PeerEvent::Fault(self.await_rest(out)?),
            Ok(Some(Incoming::Text(text))) => {
                self.long = None;
                PeerEvent::Text(text)
            }
            Ok(Some(Incoming::Pong)) => PeerEvent::Control,
            Ok(Some(Incoming::Ping(pong))) => {
                out.push_pong(pong);
                PeerEvent::Control
            }
            Ok(Some(Incoming::Closed(code, echo))) => {
                out.push(echo);
                PeerEvent::Closed(code)
            }
            Err(close) => PeerEvent::Fault(close),
        };
        self.closing = matches!(event, PeerEvent::Closed(_) | PeerEvent::Fault(_));
        Some(event)
    }

    /// An incomplete message is held; a long one takes a permit that all clients share, for some seconds.
    fn await_rest(&mut self, out: &Outbox) -> Option<Close> {
        if self.messages.held() <= SHORT_BYTES || self.long.is_some() {
            return None;
        }
        let Some(permit) = out.budget().long_message() else { return Some(Close::Overloaded) };
        self.long = Some(Long { began_at: Instant::now(), _permit: permit });
        None
    }

    /// Reads once; nothing where the socket turns out not to be readable.
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::ConnectionReset.into()),
            Ok(read) if self.closing => {
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

    fn write(&mut self, out: &mut Outbox) -> io::Result<bool> {
        match self.socket.try_write_vectored(&out.chunks(usize::MAX)) {
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

    async fn exchange(&mut self, out: &mut Outbox, listens: bool) -> io::Result<PeerEvent> {
        loop {
            if listens && let Some(event) = self.next_event(out) {
                return Ok(event);
            }
            let interest = match (listens, out.is_empty()) {
                (_, true) => Interest::READABLE,
                (true, false) => Interest::READABLE | Interest::WRITABLE,
                (false, false) => Interest::WRITABLE,
            };
            let deadline =
                self.long.as_ref().filter(|_| listens).map(|long| long.began_at + LONG_MESSAGE_WITHIN);
            let ready = self.socket.ready(interest);
            let ready = match deadline {
                None => ready.await?,
                Some(deadline) => match timeout_at(deadline, ready).await {
                    Ok(ready) => ready?,
                    Err(_) => {
                        self.closing = true;
                        return Ok(PeerEvent::Fault(Close::Policy));
                    }
                },
            };
            if ready.is_writable() && !out.is_empty() && self.write(out)? {
                return Ok(PeerEvent::Wrote);
            }
            if ready.is_readable() {
                self.read()?;
            }
        }
    }
    async fn end(&mut self) -> io::Result<()> {
        self.socket.finish().await
    }
}
