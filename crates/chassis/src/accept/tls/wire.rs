//! The socket under TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::accept::heads::Heads;

/// A handshake's messages are kept until they are whole, up to 64 KiB: what arrives of them is counted like large heads.
pub(in crate::accept) struct Wire {
    stream: TcpStream,
    handshake: Option<Handshake>,
}

struct Handshake {
    heads: Heads,
    bytes: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, large_heads: Arc<Semaphore>) -> Self {
        Self { stream, handshake: Some(Handshake { heads: Heads::new(large_heads), bytes: 0 }) }
    }

    /// Nothing of the handshake is kept any longer.
    pub(super) fn end_handshake(&mut self) {
        self.handshake = None;
    }

    pub(in crate::accept) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(handshake) = &mut self.handshake {
            handshake.bytes += buf.filled().len() - before;
            handshake.heads.grow(handshake.bytes)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_a_large_handshake_takes_a_permit_and_gives_it_back_at_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let large_heads = Arc::new(Semaphore::new(1));
        let mut wire = Wire::new(listener.accept().await.unwrap().0, large_heads.clone());
        let mut read = async |wire: &mut Wire, bytes: usize| {
            client.write_all(&vec![0; bytes]).await.unwrap();
            wire.read_exact(&mut vec![0; bytes]).await.unwrap();
        };
        read(&mut wire, 8_000).await;
        assert_eq!(large_heads.available_permits(), 1);
        read(&mut wire, 1_000).await;
        assert_eq!(large_heads.available_permits(), 0);
        wire.end_handshake();
        read(&mut wire, 20_000).await;
        assert_eq!(large_heads.available_permits(), 1);
    }
}
