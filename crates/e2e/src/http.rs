//! HTTP/1.1 by hand: a test must be able to send what no client library would.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// No answer takes longer: the services' own limits are below it.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The host name of all requests: an ingress routes by it.
pub const HOST: &str = "rowcast";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, as received.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends these bytes on a connection of their own and reads the answer.
pub async fn exchange(addr: SocketAddr, request: &[u8]) -> Result<Answer> {
    timeout(ANSWER_WITHIN, async {
        let mut stream = TcpStream::connect(addr).await.context("connecting")?;
        // a server that refuses early may close before it has read everything
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.context("reading the answer")?;
        parse(&bytes).context("no HTTP answer")
    })
    .await
    .context("no answer in time")?
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Some(Answer { status, head: head.to_owned(), body })
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n")
        && let Ok(size @ 1..) = usize::from_str_radix(size, 16)
        && let Some(chunk) = rest.get(..size)
    {
        whole.push_str(chunk);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// A request without a body.
pub async fn get(addr: SocketAddr, path: &str) -> Result<Answer> {
    send(addr, "GET", path, &[], b"").await
}

/// A JSON POST.
pub async fn post(addr: SocketAddr, path: &str, body: &str) -> Result<Answer> {
    send(addr, "POST", path, &[("content-type", "application/json")], body.as_bytes()).await
}

/// Any request with a whole body.
pub async fn send(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    exchange(addr, &request).await
}
