//! A connection under TLS, read and written without waiting, as a bare socket can be.

use std::io::{self, IoSlice, Read, Write};

use rustls::ServerConnection;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;

/// It accepts bytes to write while nothing encrypted waits, and so holds one record at most.
pub(in crate::accept) struct TlsSocket {
    stream: TcpStream,
    session: ServerConnection,
    /// Whether there are bytes to read, or the peer's end, without another record.
    readable: bool,
}

impl TlsSocket {
    pub(in crate::accept) fn new(stream: TcpStream, session: ServerConnection) -> Self {
        // it may have read ahead
        Self { stream, session, readable: true }
    }

    /// Sends what is encrypted, and waits until bytes may be read or written.
    pub(in crate::accept) async fn ready(&mut self, interest: Interest) -> io::Result<Ready> {
        // a peer that takes everything at once would never let this task pause
        consume_budget().await;
        loop {
            self.send()?;
            let mut ready = Ready::EMPTY;
            if interest.is_readable() && self.readable {
                ready |= Ready::READABLE;
            }
            if interest.is_writable() && !self.session.wants_write() {
                ready |= Ready::WRITABLE;
            }
            if !ready.is_empty() {
                return Ok(ready);
            }
            let interest = match (interest.is_readable(), self.session.wants_write()) {
                (true, true) => Interest::READABLE | Interest::WRITABLE,
                (true, false) => Interest::READABLE,
                (false, _) => Interest::WRITABLE,
            };
            if self.stream.ready(interest).await?.is_readable() {
                return Ok(Ready::READABLE);
            }
        }
    }

    /// Reads what has arrived, a record at most; `WouldBlock` without a whole one.
    pub(in crate::accept) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            self.receive()?;
        }
        match self.session.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Err(error)
            }
            // the connection ended without an end of TLS
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    /// Encrypts what fits into a record, unless one still waits, and sends it as far as the peer takes it.
    pub(in crate::accept) fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send()?;
        if self.session.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = self.session.writer().write_vectored(slices)?;
        self.send()?;
        Ok(written)
    }

    /// Sends what waits, and the end of TLS behind it.
    pub(in crate::accept) async fn finish(&mut self) -> io::Result<&mut TcpStream> {
        self.session.send_close_notify();
        loop {
            self.send()?;
            if !self.session.wants_write() {
                return Ok(&mut self.stream);
            }
            self.stream.writable().await?;
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Bare(&self.stream)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        self.session.read_tls(&mut Bare(&self.stream))?;
        let state = self.session.process_new_packets().map_err(|error| {
            // the alert that says why; the peer may be gone
            let _ = self.send();
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
        self.readable = state.plaintext_bytes_to_read() > 0 || state.peer_has_closed();
        Ok(())
    }
}

/// The socket, for rustls.
struct Bare<'a>(&'a TcpStream);

impl Read for Bare<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Bare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
