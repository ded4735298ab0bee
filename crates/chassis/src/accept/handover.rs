//! An endless response takes over the socket of its HTTP/1 connection, whose buffers would cost more than the idle stream
//! itself.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use axum::response::Response;
use http::HeaderValue;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::flow::Flow;
use super::socket::Socket;

/// In the extensions of a request over HTTP/1.1 without a body: its handler may take the socket. The port then writes the
/// head of the response, whose body is chunked (RFC 9112 §7.1) and the last of the connection, and leaves the rest to the
/// handler, which keeps the connection's [`Permit`](super::permit::Permit) meanwhile.
#[derive(Clone, Default)]
pub struct Handover(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// The socket was not requested.
    #[default]
    Unasked,
    /// The handler waits for the socket.
    Asked(oneshot::Sender<Socket>),
    /// The response is ready, too.
    Due(Due),
}

/// A head to be written, and the channel that then takes the socket.
pub(super) struct Due {
    head: Response<()>,
    waits: oneshot::Sender<Socket>,
}

impl Handover {
    /// Requests the socket, before the request is answered. The future yields it once the head is written, or `None` if
    /// the client disconnects first.
    pub fn take_socket(&self) -> impl Future<Output = Option<Socket>> + use<> {
        let (waits, socket) = oneshot::channel();
        *self.0.lock() = State::Asked(waits);
        async { socket.await.ok() }
    }

    /// Keeps the response for [`Self::poll_due`] if its handler has requested the socket; returns it otherwise.
    pub(super) fn keep(&self, response: Response) -> Option<Response> {
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

    /// The head that is to be written, once all earlier responses are. It must be polled by the connection's own task,
    /// each time after the connection, whose poll writes those and so makes the head due.
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
    /// Writes the head and passes the socket to the handler.
    pub(super) async fn complete(self, mut socket: Socket) -> io::Result<()> {
        socket.write_all(&head(self.head, SystemTime::now())).await?;
        // if the handler no longer waits, the socket is closed
        let _ = self.waits.send(socket);
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
