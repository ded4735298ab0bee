//! The socket of a connection that has left HTTP, bare or under TLS.

use std::io::{self, IoSlice};

use tokio::io::{AsyncWriteExt, Interest, Ready};
use tokio::net::TcpStream;

use super::tls::TlsSocket;

/// What an upgrade or a [`Handover`](crate::Handover) yields. It is used like a `TcpStream` of tokio's: wait until it is ready,
/// then try.
pub struct Socket(Kind);

enum Kind {
    Bare(TcpStream),
    // on the heap: a session of TLS is larger than all that a connection otherwise has
    Tls(Box<TlsSocket>),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Kind::Bare(stream))
    }
}

impl From<TlsSocket> for Socket {
    fn from(socket: TlsSocket) -> Self {
        Self(Kind::Tls(Box::new(socket)))
    }
}

impl Socket {
    /// Waits until reading or writing may do something. It can be dropped at any time.
    ///
    /// # Errors
    /// When the connection has failed.
    pub async fn ready(&mut self, interest: Interest) -> io::Result<Ready> {
        match &mut self.0 {
            Kind::Bare(stream) => stream.ready(interest).await,
            Kind::Tls(socket) => socket.ready(interest).await,
        }
    }

    /// Reads what has arrived; 0 is its end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing has arrived; others when the connection has failed.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Bare(stream) => stream.try_read(buffer),
            Kind::Tls(socket) => socket.try_read(buffer),
        }
    }

    /// Writes as much as is taken now. Under TLS some of it may wait until [`Self::ready`] or [`Self::finish`] sends it.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is taken; others when the connection has failed.
    pub fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Bare(stream) => stream.try_write_vectored(slices),
            Kind::Tls(socket) => socket.try_write_vectored(slices),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// When the connection has failed.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.ready(Interest::WRITABLE).await?;
            match self.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what waits under TLS, with the end of TLS; a bare socket has neither.
    ///
    /// # Errors
    /// When the connection has failed.
    pub async fn finish(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Bare(_) => Ok(()),
            Kind::Tls(socket) => socket.finish().await.map(drop),
        }
    }

    /// The same, and then no byte is sent any more.
    ///
    /// # Errors
    /// When the connection has failed.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Bare(stream) => stream.shutdown().await,
            Kind::Tls(socket) => socket.finish().await?.shutdown().await,
        }
    }
}
