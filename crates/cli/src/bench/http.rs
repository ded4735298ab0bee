//! The cheap HTTP/1.1 client of the measurements: one connection, one POST at a time, bytes prepared in advance.

use std::{io, net::IpAddr};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{scan::number, socket::Address};

/// The largest answer.
const ANSWER_BYTES: usize = 1 << 20;

/// A kept-alive connection to ingest.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    head: String,
}

/// An answer's status, and the ids that a 201 names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) ids: Vec<i64>,
}

impl Connection {
    pub(super) async fn open(ingest: &Address) -> io::Result<Self> {
        Self::open_from(ingest, None).await
    }

    /// The same from an address of this machine.
    pub(super) async fn open_from(ingest: &Address, from: Option<IpAddr>) -> io::Result<Self> {
        let head = format!(
            "POST /api/sensors/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: ",
            ingest.host()
        );
        let stream = ingest.connect_from(from).await?;
        Ok(Self { stream, request: Vec::new(), answer: Vec::new(), head })
    }

    /// Sends a body, with another header field or none, and waits for the answer. After an error the connection is of no more use.
    pub(super) async fn post(&mut self, authorization: &str, body: &[u8]) -> anyhow::Result<Answered> {
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(body.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n");
        self.request.extend_from_slice(authorization.as_bytes());
        self.request.extend_from_slice(b"\r\n");
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the connection ended");
            ensure!(self.answer.len() <= ANSWER_BYTES, "the answer has no end");
            if let Some(answered) = parse(&self.answer)? {
                return Ok(answered);
            }
        }
    }
}

/// Gets a small text on a connection of its own.
pub(super) async fn get(server: &Address, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = server.connect().await.with_context(|| format!("connecting to {}", server.host()))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.host());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES as u64).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no head")?;
    Ok((status(head)?, body.to_owned()))
}

fn status(head: &str) -> anyhow::Result<u16> {
    head.get(9..12).and_then(|status| status.parse().ok()).context("the answer has no status")
}

/// The answer, if it is whole. The servers measured here send a Content-Length, never chunks.
fn parse(answer: &[u8]) -> anyhow::Result<Option<Answered>> {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end]).context("the answer's head is not text")?;
    let status = status(head)?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("the answer has no Content-Length")?;
    let length: usize = length.1.trim().parse().context("the answer's Content-Length is not a number")?;
    let Some(body) = answer[end + 4..].get(..length) else { return Ok(None) };
    let ids = if status == 201 { ids(body) } else { Vec::new() };
    Ok(Some(Answered { status, ids }))
}

/// `"ids":[1,2]` of an array's answer, else the `"id":1` with which a reading begins.
fn ids(body: &[u8]) -> Vec<i64> {
    const MANY: &[u8] = br#""ids":["#;
    const ONE: &[u8] = br#""id":"#;
    if let Some(at) = memchr::memmem::find(body, MANY) {
        let list = &body[at + MANY.len()..];
        let list = &list[..memchr::memchr(b']', list).unwrap_or(list.len())];
        return list.split(|byte| *byte == b',').map(|id| number(id.trim_ascii())).collect();
    }
    memchr::memmem::find(body, ONE)
        .map(|at| number(body[at + ONE.len()..].trim_ascii_start()))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, status: u16, ids: &[i64]) {
        let answered = Answered { status, ids: ids.to_vec() };
        assert_eq!(parse(answer.as_bytes()).unwrap(), Some(answered), "{answer}");
        for cut in 0..answer.len() {
            assert_eq!(parse(&answer.as_bytes()[..cut]).unwrap(), None, "cut at {cut}");
        }
    }

    #[test]
    fn an_answer_gives_its_status_and_ids_once_it_is_whole() {
        check(
            "HTTP/1.1 201 Created\r\ncontent-length: 28\r\nx: y\r\n\r\n{\"id\":42,\"metadata\":{\"id\":1}",
            201,
            &[42],
        );
        check(
            "HTTP/1.1 201 Created\r\nContent-Length: 30\r\n\r\n{\"success\":true,\"ids\":[7,8, 9]}"[..]
                .trim_end_matches('}'),
            201,
            &[7, 8, 9],
        );
        check("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", 503, &[]);
    }

    #[test]
    fn an_answer_without_a_length_is_an_error() {
        assert!(parse(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
