//! A connection's socket, which reports to its flow what arrives and which writes wait.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::flow::Flow;
use super::heads::{Heads, READ_BYTES};
use super::socket::Socket;
use super::stream::Stream;

pub(super) struct Watched {
    stream: Stream,
    flow: Arc<Flow>,
    /// For HTTP/1, where bytes that arrive while no request is being answered belong to a head.
    heads: Option<Heads>,
    /// Whether a write waits for the socket.
    waits: bool,
}

impl Watched {
    pub(super) fn new(stream: Stream, flow: Arc<Flow>, heads: Option<Heads>) -> Self {
        Self { stream, flow, heads, waits: false }
    }

    pub(super) fn into_socket(self) -> Socket {
        self.stream.into_socket()
    }

    fn written(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match (polled.is_pending(), self.waits) {
            (true, false) => self.flow.offered(),
            (false, true) => self.flow.taken(),
            _ => {}
        }
        self.waits = polled.is_pending();
        polled
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, flow, heads: Some(heads), .. } = &mut *self else {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        };
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let mut part = ReadBuf::uninit(&mut space[..buf.remaining().min(READ_BYTES)]);
        ready!(Pin::new(stream).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        if !part.filled().is_empty() {
            heads.grow(flow.received(part.filled().len()))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(polled)
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

/// The socket under an upgraded connection, with the bytes that followed the request's head. The type inside is
/// exactly ours, because the port detects HTTP/2 by peeking and not by rewinding.
///
/// # Errors
/// Returns what is not a connection of [`serve`](crate::serve) as HTTP/1.
pub fn into_socket(upgraded: Upgraded) -> Result<(Socket, bytes::Bytes), Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Watched>>()?;
    Ok((parts.io.into_inner().into_socket(), parts.read_buf))
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};

    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::accept::limits::Limits;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[tokio::test]
    async fn a_socket_that_is_taken_over_does_not_keep_its_task() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let stream = Stream::Bare(stream);
        let mut watched = Watched::new(stream, Arc::new(Flow::new(Limits::default())), None);
        let task = Arc::new(Task);
        let waker = Waker::from(task.clone());
        let (mut space, mut cx) = ([0; 8], Context::from_waker(&waker));
        assert!(Pin::new(&mut watched).poll_read(&mut cx, &mut ReadBuf::new(&mut space)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 2, "the socket holds its waker");
        let _socket = watched.into_socket();
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
