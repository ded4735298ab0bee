//! A stream of server-sent events as a peer, on a socket of its own: an HTTP/1.1 body in chunks (RFC 9112 §7.1).

use std::io::{self, IoSlice};

use chassis::Socket;
use tokio::io::Interest;

use super::peer::{Peer, PeerEvent};
use crate::outbox::Outbox;

/// The most bytes of a chunk.
const CHUNK_BYTES: usize = 64 << 10;

/// A client sends nothing while it listens; what it sent ahead may be its next request, but no more.
const UNASKED_BYTES: usize = 16 << 10;

const LINE_END: &[u8] = b"\r\n";

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A socket after the head of its answer.
pub(crate) struct EventSocket {
    socket: Socket,
    chunk: Chunk,
    unasked: usize,
}

/// What is left to be written of a chunk.
#[derive(Debug, Default)]
struct Chunk {
    size: Vec<u8>,
    data: usize,
    end: usize,
}

impl Chunk {
    fn of(data: usize) -> Self {
        Self { size: format!("{data:x}\r\n").into_bytes(), data, end: LINE_END.len() }
    }

    fn is_written(&self) -> bool {
        self.end == 0
    }

    /// What can be written of it now; its end only behind all of its data.
    fn slices<'a>(&'a self, out: &'a Outbox) -> Vec<IoSlice<'a>> {
        let mut slices = vec![IoSlice::new(&self.size)];
        slices.extend(out.chunks(self.data));
        if slices[1..].iter().map(|slice| slice.len()).sum::<usize>() == self.data {
            slices.push(IoSlice::new(&LINE_END[LINE_END.len() - self.end..]));
        }
        slices
    }

    /// So much of it was written.
    fn wrote(&mut self, written: usize, out: &mut Outbox) {
        let size = written.min(self.size.len());
        self.size.drain(..size);
        let data = (written - size).min(self.data);
        self.data -= data;
        out.advance(data);
        self.end -= written - size - data;
    }
}

impl EventSocket {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, chunk: Chunk::default(), unasked: 0 }
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<bool> {
        if self.chunk.is_written() {
            self.chunk = Chunk::of(out.bytes().min(CHUNK_BYTES));
        }
        match self.socket.try_write_vectored(&self.chunk.slices(out)) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                self.chunk.wrote(written, out);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the client has closed.
    fn has_closed(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 512];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => Ok(true),
            Ok(read) => {
                self.unasked += read;
                if self.unasked > UNASKED_BYTES { Err(io::ErrorKind::InvalidData.into()) } else { Ok(false) }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Peer for EventSocket {
    const ANSWERS_CLOSE: bool = false;

    async fn exchange(&mut self, out: &mut Outbox, _: bool) -> io::Result<PeerEvent> {
        loop {
            let waits = !out.is_empty() || !self.chunk.is_written();
            let interest = if waits { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let ready = self.socket.ready(interest).await?;
            if waits && ready.is_writable() && self.write(out)? {
                return Ok(PeerEvent::Wrote);
            }
            if ready.is_readable() && self.has_closed()? {
                return Ok(PeerEvent::Closed(None));
            }
        }
    }

    async fn end(&mut self) -> io::Result<()> {
        // within a chunk there is no way to mark the end
        if self.chunk.data == 0 {
            let rest = [&LINE_END[LINE_END.len() - self.chunk.end..], LAST_CHUNK].concat();
            self.socket.write_all(&rest).await?;
        }
        self.socket.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However little the socket takes at a time, the chunks hold the bytes of the outbox, and nothing else.
        #[test]
        fn chunks_hold_what_was_in_the_outbox(
            pushed in prop::collection::vec(1..200_usize, 0..400),
            takes in prop::collection::vec(1..5_000_usize, 1..50),
        ) {
            let (mut out, mut sent, mut wire) = (Outbox::default(), Vec::new(), Vec::new());
            for (n, size) in pushed.into_iter().enumerate() {
                let bytes = vec![n as u8; size];
                sent.extend_from_slice(&bytes);
                out.push(bytes);
            }
            let (mut chunk, mut takes) = (Chunk::default(), takes.into_iter().cycle());
            while !out.is_empty() || !chunk.is_written() {
                if chunk.is_written() {
                    chunk = Chunk::of(out.bytes().min(CHUNK_BYTES));
                }
                let can: Vec<u8> = chunk.slices(&out).iter().flat_map(|slice| slice.to_vec()).collect();
                let written = takes.next().unwrap().min(can.len());
                prop_assert!(written > 0);
                wire.extend_from_slice(&can[..written]);
                chunk.wrote(written, &mut out);
            }
            let (mut read, mut rest) = (Vec::new(), &wire[..]);
            while let Some(line) = rest.windows(2).position(|pair| pair == LINE_END) {
                let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
                read.extend_from_slice(&rest[line + 2..][..size]);
                prop_assert_eq!(&rest[line + 2 + size..][..2], LINE_END);
                rest = &rest[line + 4 + size..];
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read, sent);
        }
    }
}
