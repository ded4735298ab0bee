//! The reading half: frames in, by tungstenite; what it wants to reply is kept for the outbox.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::StreamExt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::tcp::OwnedReadHalf,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::ProtocolError,
        protocol::{Role, WebSocketConfig},
    },
};
use wire::Close;

use crate::session::LIMITS;

/// A connection's read buffer: commands are short, and the default costs 128 KiB a connection.
const READ_BUFFER: usize = 4 << 10;

/// What the peer did.
pub(super) enum Heard {
    /// A text message.
    Text(Utf8Bytes),
    /// A ping or a pong.
    Control,
    /// Something that the protocol forbids; the connection ends with this code.
    Fault(Close),
    /// Its close, with its code.
    Closed(Option<u16>),
}

/// Reads frames.
pub(super) struct Receiver {
    frames: WebSocketStream<Half>,
}

impl Receiver {
    /// `read_ahead` came behind the handshake.
    pub(super) async fn new(reader: OwnedReadHalf, read_ahead: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(LIMITS.message_bytes))
            .max_frame_size(Some(LIMITS.message_bytes));
        let half = Half { reader, replies: Vec::new() };
        let frames = WebSocketStream::from_partially_read(half, read_ahead, Role::Server, Some(config)).await;
        Self { frames }
    }

    /// The next thing the peer does. May be dropped at any time without losing a byte.
    pub(super) async fn hear(&mut self) -> io::Result<Heard> {
        match self.frames.next().await {
            Some(Ok(Message::Text(text))) => Ok(Heard::Text(text)),
            Some(Ok(Message::Binary(_))) => Ok(Heard::Fault(Close::Binary)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Heard::Control),
            Some(Ok(Message::Close(frame))) => Ok(Heard::Closed(frame.map(|frame| frame.code.into()))),
            Some(Err(Error::Io(error))) => Err(error),
            // a peer that is gone without a close has broken no rule of framing
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Some(Err(Error::Capacity(_))) => Ok(Heard::Fault(Close::TooBig)),
            Some(Err(Error::Utf8(_))) => Ok(Heard::Fault(Close::NotUtf8)),
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => Ok(Heard::Closed(None)),
            Some(Err(_)) => Ok(Heard::Fault(Close::Protocol)),
        }
    }

    /// Pongs and the answer to a close, as whole frames.
    pub(super) fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.frames.get_mut().replies)
    }
}

/// Reads from the socket, writes to memory: the outbox alone writes to the socket, so frames never mix.
struct Half {
    reader: OwnedReadHalf,
    replies: Vec<u8>,
}

impl AsyncRead for Half {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for Half {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.replies.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
