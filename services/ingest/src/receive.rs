//! The body of a request, whole and decoded, within the memory that bodies may take.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use chassis::Problem;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    app::App,
    encoding::{Coding, Unreadable},
    limits::ARRAY_BYTES,
    refusals,
};

/// How many times as large readings are once they are decoded.
const RATIO: usize = 8;

/// A body, and the permit for its memory.
pub(crate) struct Received {
    body: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl Received {
    /// At most [`ARRAY_BYTES`].
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Reads a body, which may be compressed.
pub(crate) async fn receive(app: &App, headers: &HeaderMap, body: Body) -> Result<Received, Problem> {
    let coding = Coding::of(headers).ok_or_else(refusals::content_coding)?;
    if announced(headers).is_some_and(|bytes| bytes > ARRAY_BYTES as u64) {
        return Err(refusals::unread(refusals::body_too_large()));
    }
    let (body, permit) = read(app, body).await?;
    let length = body.len();
    let decode = || coding.decode(body, ARRAY_BYTES);
    let body = match coding {
        Coding::Identity => decode(),
        Coding::Gzip | Coding::Zstd => app.large.run(length.saturating_mul(RATIO), decode).await,
    };
    let body = body.map_err(|error| match error {
        Unreadable::TooLarge => refusals::body_too_large(),
        Unreadable::Broken => refusals::broken_coding(),
    })?;
    Ok(Received { body, _permit: permit })
}

/// The length that the head announces. A client that waits for `100 Continue` is refused before it sends too much.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body as it came, and its permit.
async fn read(app: &App, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    let (mut body, mut whole) = (Limited::new(body, ARRAY_BYTES), BytesMut::new());
    let mut permit = app.bodies.take(0)?;
    // a body that is there at once takes no permit: many large bodies that are being received keep no small one out
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let too_large = error.is::<LengthLimitError>();
            if too_large { refusals::body_too_large() } else { refusals::broken_body() }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.is_empty() && body.is_end_stream() {
            return Ok((data, permit));
        }
        permit.merge(app.bodies.take(data.len())?);
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), permit))
}
