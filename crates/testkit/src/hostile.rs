//! A peer that breaks the rules: it sends anything, lies about lengths, never reads, reads slowly, or leaves in the
//! middle.

pub mod http2;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, interval, timeout},
};

/// The receive buffer of a peer: small, so that unread data waits in the service.
const RECEIVE_BYTES: u32 = 4 << 10;

/// No answer that is awaited takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How often a slow reader reads at most.
const READS_A_SECOND: usize = 20;

/// The first byte of frames of WebSocket (RFC 6455 §5.2).
pub const TEXT: u8 = 0x81;
/// A text that continues in another frame.
pub const TEXT_BEGIN: u8 = 0x01;
/// The last frame of a text.
pub const TEXT_END: u8 = 0x80;
/// A ping.
pub const PING: u8 = 0x89;

/// A connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
}

/// A masked WebSocket frame that declares `length` bytes and contains `payload`.
pub fn frame(first: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first, 0x80 | 127];
    match length {
        0..126 => frame[1] = 0x80 | length as u8,
        _ => frame.extend(length.to_be_bytes()),
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The head that opens a WebSocket, with further lines of headers.
pub fn handshake(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: rowcast\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A text frame.
pub fn text(text: &str) -> Vec<u8> {
    frame(TEXT, text.len() as u64, text.as_bytes())
}

impl Peer {
    /// Connects, with a small receive buffer.
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        Ok(Self { stream: socket.connect(addr).await? })
    }

    /// Connects from this address of the host.
    pub async fn connect_from(source: IpAddr, addr: SocketAddr) -> io::Result<Self> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind((source, 0).into())?;
        Ok(Self { stream: socket.connect(addr).await? })
    }

    /// Connects and sends these bytes.
    pub async fn sending(addr: SocketAddr, bytes: &[u8]) -> io::Result<Self> {
        let mut peer = Self::connect(addr).await?;
        peer.send(bytes).await?;
        Ok(peer)
    }

    /// Connects and requests a path.
    pub async fn requesting(addr: SocketAddr, method: &str, path: &str) -> io::Result<Self> {
        Self::sending(addr, format!("{method} {path} HTTP/1.1\r\nhost: rowcast\r\n\r\n").as_bytes()).await
    }

    /// Opens a WebSocket and reads no more than the answer's head.
    pub async fn socket(addr: SocketAddr, path: &str) -> io::Result<Self> {
        let mut peer = Self::sending(addr, handshake(path, "").as_bytes()).await?;
        let answer = peer.read_head().await?;
        if answer.starts_with("HTTP/1.1 101") { Ok(peer) } else { Err(io::Error::other(answer)) }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends the same repeatedly while the other end takes it, and not longer than `within`. Returns the number of bytes
    /// taken.
    pub async fn flood(&mut self, bytes: &[u8], within: Duration) -> usize {
        let (many, until, mut taken) =
            (bytes.repeat((64 << 10) / bytes.len().max(1) + 1), Instant::now() + within, 0);
        let mut rest = &many[..];
        while let Ok(Ok(written)) = tokio::time::timeout_at(until, self.stream.write(rest)).await {
            taken += written;
            rest = if written == rest.len() { &many } else { &rest[written..] };
        }
        taken
    }

    /// Closes the sending half, and still reads.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Resets the connection.
    pub fn reset(self) -> io::Result<()> {
        self.stream.set_zero_linger()
    }

    /// The head of an answer.
    pub async fn read_head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        let read = async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await?);
            }
            io::Result::Ok(())
        };
        timeout(ANSWER_WITHIN, read).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// Reads until these bytes have arrived.
    pub async fn read_until(&mut self, wanted: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        let read = async {
            while !bytes.windows(wanted.len()).any(|bytes| bytes == wanted.as_bytes()) {
                bytes.push(self.stream.read_u8().await?);
            }
            io::Result::Ok(())
        };
        let read = timeout(ANSWER_WITHIN, read).await;
        let bytes = String::from_utf8_lossy(&bytes).into_owned();
        match read {
            Ok(Ok(())) => Ok(bytes),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), format!("{error}, after {bytes}"))),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("only {bytes}"))),
        }
    }

    /// All bytes until the other end closes the connection; `None` if it does not within that time.
    pub async fn read_until_closed(&mut self, within: Duration) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        timeout(within, self.stream.read_to_end(&mut bytes)).await.ok().map(|_| bytes)
    }

    /// All bytes that arrive within that time.
    pub async fn read_for(&mut self, within: Duration) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = timeout(within, self.stream.read_to_end(&mut bytes)).await;
        bytes
    }

    /// Reads this many bytes a second until the other end closes. Returns the total.
    pub async fn read_slowly(&mut self, bytes_a_second: usize) -> usize {
        let mut piece = vec![0; bytes_a_second.div_ceil(READS_A_SECOND)];
        let mut pace = interval(Duration::from_secs_f64(piece.len() as f64 / bytes_a_second as f64));
        let mut bytes = 0;
        loop {
            pace.tick().await;
            match self.stream.read_exact(&mut piece).await {
                Ok(read) => bytes += read,
                Err(_) => return bytes,
            }
        }
    }

    /// Reads until the other end closes, which must be within this time. Returns the number of bytes.
    pub async fn read_to_end(&mut self, within: Duration) -> Option<usize> {
        let (mut bytes, mut buffer) = (0, [0; 4 << 10]);
        let read = async {
            while let Ok(read @ 1..) = self.stream.read(&mut buffer).await {
                bytes += read;
            }
        };
        timeout(within, read).await.ok()?;
        Some(bytes)
    }
}
