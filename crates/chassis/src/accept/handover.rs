//! An answer without an end leaves its HTTP/1 connection, whose buffers would cost more than an idle stream itself.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use axum::response::Response;
use http::HeaderValue;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::flow::Flow;

/// In the extensions of a request over HTTP/1.1 without a body: its handler may ask for the socket. The port then writes the
/// head of the answer, whose body is chunked (RFC 9112 §7.1) and the last of the connection, and leaves the rest to the
/// handler. The connection's [`Permit`](super::permit::Permit) is to be kept meanwhile.
#[derive(Clone, Default)]
pub struct Handover(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// Nobody has asked.
    #[default]
    Unasked,
    /// The handler waits for the socket.
    Asked(oneshot::Sender<TcpStream>),
    /// The answer is there, too.
    Due(Due),
}

/// A head to be written, and who waits for the socket then.
pub(super) struct Due {
    head: Response<()>,
    waits: oneshot::Sender<TcpStream>,
}

impl Handover {
    /// Asks for the socket, before the request is answered. It comes when the head has been written; never, if the client
    /// goes first.
    pub fn ask(&self) -> impl Future<Output = Option<TcpStream>> + use<> {
        let (waits, socket) = oneshot::channel();
        *self.0.lock() = State::Asked(waits);
        async { socket.await.ok() }
    }

    /// Keeps the answer for [`Self::poll_due`], if its handler has asked for the socket; gives it back if not.
    pub(super) fn take(&self, response: Response) -> Option<Response> {
        let mut state = self.0.lock();
        match std::mem::take(&mut *state) {
            State::Asked(waits) => {
                *state = State::Due(Due { head: response.map(drop), waits });
                None
            }
            other => {
                *state = other;
                Some(response)
            }
        }
    }

    /// The head that is to be written, once all that was answered before it is. It must be polled by the connection's own
    /// task, each time after the connection, which is what makes it due and writes.
    pub(super) fn poll_due(&self, flow: &Flow) -> Poll<Due> {
        if !flow.all_is_taken() {
            return Poll::Pending;
        }
        let mut state = self.0.lock();
        match std::mem::take(&mut *state) {
            State::Due(due) => Poll::Ready(due),
            other => {
                *state = other;
                Poll::Pending
            }
        }
    }
}

impl Due {
    /// Writes the head and gives the socket to whoever waits for it.
    pub(super) async fn complete(self, mut stream: TcpStream) -> io::Result<()> {
        stream.write_all(&head(self.head, SystemTime::now())).await?;
        // who does not wait any more lets the socket go
        let _ = self.waits.send(stream);
        Ok(())
    }
}

fn head(mut response: Response<()>, now: SystemTime) -> Vec<u8> {
    let status = response.status();
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
        headers.insert(DATE, date);
    }
    let mut first = String::new();
    let _ =
        write!(first, "HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    let mut head = first.into_bytes();
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}
