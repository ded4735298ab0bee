//! What carries a connection: a WebSocket or a stream of server-sent events.

use std::io;

use wire::Close;

use crate::outbox::Outbox;

/// The other side of a connection.
pub(crate) trait Peer: Send {
    /// Whether a peer answers the close of this side.
    const ANSWERS_CLOSE: bool;

    /// Writes what the peer takes of the outbox, or, if `listens`, reads from it, whichever can be done first. Cancel
    /// safe: dropped at any time, it loses no byte.
    fn exchange(
        &mut self,
        out: &mut Outbox,
        listens: bool,
    ) -> impl Future<Output = io::Result<PeerEvent>> + Send;

    /// Tells the peer that nothing follows, where the protocol can.
    fn end(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        std::future::ready(Ok(()))
    }
}

/// What an exchange came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PeerEvent {
    /// The peer took bytes.
    Wrote,
    /// A control frame that no session needs to know of; its answer is in the outbox.
    Control,
    /// A text message.
    Text(String),
    /// The peer broke a rule; the connection ends with this code.
    Fault(Close),
    /// The peer closed, with its code.
    Closed(Option<u16>),
}
