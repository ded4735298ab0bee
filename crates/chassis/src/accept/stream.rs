//! What a connection reads and writes while it speaks HTTP.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::socket::Socket;
use super::tls::{TlsSocket, Wire};

/// A bare socket, or one under TLS.
pub(super) enum Stream {
    Bare(TcpStream),
    Tls(Box<TlsStream<Wire>>),
}

impl Stream {
    /// It no longer wakes the connection's task, whose memory the waker would keep until the next byte arrives.
    pub(super) fn into_socket(self) -> Socket {
        match self {
            Self::Bare(stream) => {
                forget_wakers(&stream);
                stream.into()
            }
            Self::Tls(tls) => {
                let (wire, session) = tls.into_inner();
                let stream = wire.into_inner();
                forget_wakers(&stream);
                TlsSocket::new(stream, session).into()
            }
        }
    }

    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

fn forget_wakers(stream: &TcpStream) {
    let mut noop = Context::from_waker(Waker::noop());
    let _ = stream.poll_read_ready(&mut noop);
    let _ = stream.poll_write_ready(&mut noop);
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Bare(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Bare(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Bare(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Bare(stream) => stream.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Bare(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Bare(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
