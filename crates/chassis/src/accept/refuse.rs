//! The answer to a connection that is not served.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::problem::Refusal;

/// How long a refused client may take to read the reason.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Answers without reading the request, then discards it: closing with unread bytes resets the connection, and the client
/// would lose the response.
pub(super) async fn refuse(mut stream: TcpStream, refusal: Refusal) {
    let response = async {
        stream.write_all(refusal.raw().as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    // An error or a timeout changes nothing: the response was sent.
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, response).await;
}
