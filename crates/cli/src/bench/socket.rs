//! The cheap WebSocket client of the measurements: one read for many frames, no copy, no UTF-8 check.

use std::{cell::RefCell, io, net::IpAddr, sync::Arc, time::Duration};

use access::trial::{Claims, TrialIssuer};
use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, lookup_host},
};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use wire::{Position, SUBPROTOCOL, ServerMessage};

use super::frames::{Frame, Frames, write_client_frame};
use crate::{
    args::MeasuredGateway,
    instant,
    live::{Live, Received},
};

/// The largest answer to a handshake.
const HANDSHAKE_BYTES: usize = 16 << 10;

/// What one read takes at most; all sockets of a thread share one such buffer.
pub(super) const SCRATCH_BYTES: usize = 256 << 10;

/// Where sockets are opened.
#[derive(Debug, Clone)]
pub(super) struct Address {
    host: String,
    /// Who gives each client a token.
    issuer: Option<Arc<TrialIssuer>>,
}

/// The sensors of all measurements; `*` would be a shorter way through the gateway.
const READ: [&str; 3] = ["bench-*", "idle-*", "sensor-*"];

/// How long a client's token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(3_600);

impl Address {
    /// That of a gateway, and the tokens that it asks for.
    pub(super) fn of(gateway: &MeasuredGateway) -> anyhow::Result<Self> {
        let issuer = gateway.issuers_file.as_deref().map(|file| TrialIssuer::find(file, None)).transpose()?;
        Ok(Self { issuer: issuer.map(Arc::new), ..Self::parse(&gateway.at.url)? })
    }

    /// The header field of a new client, or nothing.
    pub(super) fn authorization(&self) -> anyhow::Result<String> {
        let Some(issuer) = &self.issuer else { return Ok(String::new()) };
        let id = format!("{:032x}", rand::random::<u128>());
        let signed = issuer.sign(&Claims {
            subject: format!("client-{id}"),
            id,
            read: READ.map(str::to_owned).to_vec(),
            write: Vec::new(),
            now: instant::now(),
            life: TOKEN_LIFE,
        })?;
        Ok(format!("Authorization: Bearer {}\r\n", signed.token))
    }

    /// From a base URL, `http://host:port`.
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("ws://"));
        let host =
            rest.with_context(|| format!("bench needs a URL such as http://127.0.0.1:8080, not {url:?}"))?;
        let host = host.trim_end_matches('/');
        ensure!(!host.contains('/'), "bench needs a URL without a path, not {url:?}");
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        Ok(Self { host, issuer: None })
    }

    /// As in the `Host` header.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Opens a TCP connection.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        self.connect_from(None).await
    }

    /// The same from an address of this machine.
    pub(super) async fn connect_from(&self, from: Option<IpAddr>) -> io::Result<TcpStream> {
        let stream = match from {
            None => TcpStream::connect(&self.host).await?,
            Some(from) => {
                let of_family = lookup_host(&self.host).await?.find(|to| to.is_ipv4() == from.is_ipv4());
                let to = of_family.ok_or(io::ErrorKind::AddrNotAvailable)?;
                let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                socket.bind((from, 0).into())?;
                socket.connect(to).await?
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    frames: Frames,
}

impl Socket {
    /// Opens a v1 socket.
    pub(super) async fn open(gateway: &Address) -> anyhow::Result<Self> {
        let stream = gateway.connect().await.with_context(|| format!("connecting to {}", gateway.host))?;
        Self::open_on(stream, gateway).await
    }

    /// Opens a v1 socket on an open connection.
    pub(super) async fn open_on(mut stream: TcpStream, gateway: &Address) -> anyhow::Result<Self> {
        let key = generate_key();
        let request = format!(
            "GET /ws/sensors/ HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n{}\r\n",
            gateway.host,
            gateway.authorization()?
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(1 << 10);
        let end = loop {
            if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(answer.len() < HANDSHAKE_BYTES, "the gateway's handshake has no end");
            ensure!(stream.read_buf(&mut answer).await? > 0, "the gateway closed during the handshake");
        };
        let head = String::from_utf8_lossy(&answer[..end]);
        let status = head.lines().next().unwrap_or_default();
        ensure!(status.starts_with("HTTP/1.1 101"), "the gateway answered {status:?}");
        ensure!(
            head.contains(&derive_accept_key(key.as_bytes())),
            "the gateway's handshake does not match the key"
        );
        let mut socket = Self { stream, frames: Frames::default() };
        // before a subscription there is only `hello`
        socket.frames.feed(&answer[end..], |_| {})?;
        Ok(socket)
    }

    /// Opens a socket and waits until the subscription is attached; returns its position.
    pub(super) async fn subscribed(
        gateway: &Address,
        mut live: Live,
        scratch: &RefCell<Vec<u8>>,
    ) -> anyhow::Result<(Self, Option<Position>)> {
        let mut socket = Self::open(gateway).await?;
        socket.send(&live.on_open()).await?;
        let (mut attached, mut fault) = (false, None);
        while !attached {
            let ended = socket
                .read(scratch, |frame| match frame {
                    Frame::Text(text) => match received(&mut live, text) {
                        Ok(now) => attached |= now,
                        Err(error) => fault = Some(error),
                    },
                    Frame::Close(code) => fault = Some(anyhow::anyhow!("the gateway closed with {code}")),
                    Frame::Ping(_) | Frame::Other => {}
                })
                .await?;
            if let Some(fault) = fault {
                return Err(fault);
            }
            if ended == Read::End {
                bail!("the gateway closed before the subscription was attached");
            }
        }
        Ok((socket, live.position()))
    }

    /// Sends a text message.
    pub(super) async fn send(&mut self, text: &str) -> io::Result<()> {
        self.send_frame(1, text.as_bytes()).await
    }

    /// Closes, and waits until the gateway has.
    pub(super) async fn close(mut self, scratch: &RefCell<Vec<u8>>) -> anyhow::Result<()> {
        self.send_frame(8, &1_000_u16.to_be_bytes()).await?;
        while self.read(scratch, |_| {}).await? == Read::More {}
        Ok(())
    }

    /// Its TCP connection.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Waits for bytes and gives the frames that are whole. Pings are answered. Not a byte is lost when it is dropped.
    pub(super) async fn read(
        &mut self,
        scratch: &RefCell<Vec<u8>>,
        mut on_frame: impl FnMut(Frame<'_>),
    ) -> anyhow::Result<Read> {
        loop {
            self.stream.readable().await?;
            let mut scratch = scratch.borrow_mut();
            let read = match self.stream.try_read(&mut scratch) {
                Ok(0) => return Ok(Read::End),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            };
            let mut pongs = Vec::new();
            self.frames.feed(&scratch[..read], |frame| {
                if let Frame::Ping(payload) = &frame {
                    write_client_frame(10, payload, &mut pongs);
                }
                on_frame(frame);
            })?;
            if !pongs.is_empty() {
                // a pong that does not fit into the socket's buffer is one that the gateway would not read
                let _ = self.stream.try_write(&pongs);
            }
            return Ok(Read::More);
        }
    }

    async fn send_frame(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        write_client_frame(opcode, payload, &mut frame);
        self.stream.write_all(&frame).await
    }
}

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    More,
    End,
}

/// Whether a frame confirms the subscription.
fn received(live: &mut Live, text: &[u8]) -> anyhow::Result<bool> {
    let mut attached = false;
    for message in ServerMessage::parse_frame(std::str::from_utf8(text)?)? {
        match live.on_message(message) {
            Received::Attached => attached = true,
            Received::Refused(why) => bail!("the gateway refuses the subscription: {why}"),
            Received::Nothing | Received::Reading { .. } | Received::Gap(_) | Received::Stale(_) => {}
        }
    }
    Ok(attached)
}
