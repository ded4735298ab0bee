//! What is on its way to the socket: whole frames in order, as shared slices, counted in bytes.

mod backlog;
mod notes;

use std::{collections::VecDeque, io::IoSlice, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};

pub use self::backlog::Backlog;
use self::notes::Notes;
pub(crate) use self::{backlog::Share, notes::Events};
use crate::{
    budget::Budget,
    fanout::batch::{Times, Trace},
};

/// Slices in one write: far below IOV_MAX (1,024), far above what a burst needs.
const SLICES: usize = 128;

/// A session with this much to write takes no more from the hub, and no more commands.
pub(crate) const HIGH_BYTES: usize = 512 << 10;

/// It reads on when so little is left.
const LOW_BYTES: usize = 128 << 10;

/// No session needs more: what may be added to a full outbox is one batch and a few control messages.
const HARD_BYTES: usize = 16 << 20;

/// Small slices of a batch that must wait are joined into buffers of about this size.
const JOINED_BYTES: usize = 16 << 10;

/// A waiting slice keeps its whole batch in memory. Below this share of the batch it is copied instead.
const COPIED_SHARE: usize = 4;

#[derive(Debug)]
enum Slice {
    /// Of a batch, or a message.
    Shared(Bytes),
    /// Copies of small slices.
    Joined(BytesMut),
}

impl Slice {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Shared(bytes) => bytes.advance(count),
            Self::Joined(bytes) => bytes.advance(count),
        }
    }

    fn freeze(self) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Joined(bytes) => bytes.freeze(),
        }
    }
}

/// A queue of bytes.
#[derive(Debug)]
pub struct Outbox {
    slices: VecDeque<Slice>,
    bytes: usize,
    /// All bytes that left it.
    written: u64,
    events: Notes,
    share: Share,
    /// How many bytes are left up to the end of a waiting pong; 0: none waits.
    pong_left: usize,
    /// The pong that follows it.
    next_pong: Option<Bytes>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new(Backlog::new(usize::MAX, Arc::default()))
    }
}

impl Outbox {
    /// An empty one, counted among the others.
    pub fn new(backlog: Arc<Backlog>) -> Self {
        Self {
            slices: VecDeque::new(),
            bytes: 0,
            written: 0,
            events: Notes::default(),
            share: Share::of(backlog),
            pong_left: 0,
            next_pong: None,
        }
    }

    /// What its client may make the gateway hold.
    pub(crate) fn budget(&self) -> &Budget {
        self.share.backlog().budget()
    }

    /// What is counted together with it.
    pub(crate) fn backlog(&self) -> Arc<Backlog> {
        self.share.backlog().clone()
    }

    /// Adds the next bytes; a frame may be several calls.
    pub fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.slices.push_back(Slice::Shared(bytes));
            self.share.set(self.bytes);
        }
    }

    /// So many events end with the last byte that was added: with times, those that a client follows live.
    pub(crate) fn note_events(&mut self, count: usize, times: Option<Times>, trace: Option<Trace>) {
        if count > 0 {
            let end = self.written + self.bytes as u64;
            self.events.add(count as u64, (self.written, end), times, trace);
        }
    }

    /// The next events of which the last byte has left.
    pub(crate) fn next_written(&mut self) -> Option<Events> {
        self.events.next(self.written)
    }

    /// Adds a slice of a batch's encoding of `whole` bytes.
    pub fn push_part(&mut self, part: Bytes, whole: usize) {
        if self.slices.is_empty() || part.len().saturating_mul(COPIED_SHARE) >= whole {
            return self.push(part);
        }
        self.bytes += part.len();
        match self.slices.back_mut() {
            Some(Slice::Joined(joined)) if joined.len() < JOINED_BYTES => joined.extend_from_slice(&part),
            _ => self.slices.push_back(Slice::Joined(BytesMut::from(&part[..]))),
        }
        self.share.set(self.bytes);
    }

    /// Adds the answer to a ping. While an earlier answer waits, only the newest follows it (RFC 6455 §5.5.3).
    pub fn push_pong(&mut self, pong: impl Into<Bytes>) {
        if self.pong_left > 0 {
            self.next_pong = Some(pong.into());
        } else {
            self.push(pong);
            self.pong_left = self.bytes;
        }
    }

    /// Whether all is written.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the session must stop taking.
    pub fn is_full(&self) -> bool {
        self.bytes >= HIGH_BYTES || self.share.is_too_much()
    }

    /// Whether it may take again.
    pub fn has_room(&self) -> bool {
        self.bytes <= LOW_BYTES && !self.is_full()
    }

    /// Whether it holds more than any session needs.
    pub fn is_beyond_bounds(&self) -> bool {
        self.bytes > HARD_BYTES
    }

    /// Takes the first slices as one, up to about `limit` bytes.
    pub(crate) fn take(&mut self, limit: usize) -> Bytes {
        let mut taken = BytesMut::new();
        while let Some(first) = self.slices.front().map(|first| first.bytes().len())
            && (taken.is_empty() || taken.len() + first <= limit)
        {
            let Some(slice) = self.slices.pop_front() else { break };
            if taken.is_empty() && (self.slices.is_empty() || first >= limit) {
                self.wrote(first);
                return slice.freeze();
            }
            taken.extend_from_slice(slice.bytes());
            self.wrote(first);
        }
        taken.freeze()
    }

    /// The first slices, for a vectored write of so many bytes at most.
    pub fn chunks(&self, bytes: usize) -> Vec<IoSlice<'_>> {
        let mut left = bytes;
        let mut chunks = Vec::with_capacity(self.slices.len().min(SLICES));
        for slice in self.slices.iter().take(SLICES) {
            let slice = slice.bytes();
            let cut = &slice[..slice.len().min(left)];
            left -= cut.len();
            chunks.push(IoSlice::new(cut));
            if left == 0 {
                break;
            }
        }
        chunks
    }

    /// Takes what was written off the front.
    pub fn advance(&mut self, written: usize) {
        let mut left = written;
        while left > 0
            && let Some(first) = self.slices.front_mut()
        {
            let length = first.bytes().len();
            if length > left {
                first.advance(left);
                break;
            }
            left -= length;
            self.slices.pop_front();
        }
        self.wrote(written);
    }

    fn wrote(&mut self, written: usize) {
        self.bytes -= written;
        self.written += written as u64;
        if self.pong_left > 0 {
            self.pong_left = self.pong_left.saturating_sub(written);
            if self.pong_left == 0
                && let Some(pong) = self.next_pong.take()
            {
                self.push_pong(pong);
            }
        }
        if self.slices.is_empty() {
            // an idle connection holds no memory of its last burst
            self.slices = VecDeque::new();
        }
        self.share.set(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(outbox: &mut Outbox) -> Vec<u8> {
        let mut out = Vec::new();
        while !outbox.is_empty() {
            out.extend_from_slice(&outbox.take(7));
        }
        out
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..9), any::<bool>()), 0..30),
            writes in prop::collection::vec(1..12usize, 0..99),
        ) {
            let mut outbox = Outbox::default();
            for (piece, shared) in &pieces {
                if *shared { outbox.push(piece.clone()) } else { outbox.push_part(piece.clone().into(), 100) }
            }
            let mut out = Vec::new();
            for write in writes {
                let offered: Vec<u8> = outbox.chunks(usize::MAX).iter().flat_map(|slice| slice.to_vec()).collect();
                let written = write.min(offered.len());
                out.extend_from_slice(&offered[..written]);
                outbox.advance(written);
            }
            let all: Vec<u8> = pieces.into_iter().flat_map(|(piece, _)| piece).collect();
            prop_assert_eq!(&out[..], &all[..out.len()]);
            prop_assert_eq!(outbox.bytes(), all.len() - out.len());
            prop_assert_eq!(&written(&mut outbox)[..], &all[out.len()..]);
        }
    }

    #[test]
    fn of_many_pings_the_first_and_the_newest_are_answered() {
        let mut outbox = Outbox::default();
        outbox.push(&b"frame "[..]);
        for pong in [&b"1 "[..], b"2 ", b"3 "] {
            outbox.push_pong(pong);
        }
        assert_eq!(outbox.bytes(), b"frame 1 ".len());
        outbox.push(&b"more "[..]);
        assert_eq!(written(&mut outbox), b"frame 1 more 3 ");
        outbox.push_pong(&b"4"[..]);
        assert_eq!(written(&mut outbox), b"4");
    }

    #[test]
    fn small_parts_that_wait_do_not_hold_their_batches() {
        let (mut outbox, batch) = (Outbox::default(), Bytes::from(vec![7; 100]));
        for start in 0..50 {
            outbox.push_part(batch.slice(start..start + 1), batch.len());
        }
        assert_eq!((outbox.slices.len(), outbox.bytes()), (2, 50), "the first waits for nothing");
        outbox.push_part(batch.slice(0..25), batch.len());
        assert_eq!(outbox.slices.len(), 3);
    }

    #[test]
    fn at_the_common_bound_only_long_outboxes_are_full() {
        let backlog = Backlog::new(192 << 10, Arc::default());
        let [mut long, mut short] = [(); 2].map(|()| Outbox::new(backlog.clone()));
        short.push(vec![0; 10]);
        long.push(vec![0; 190 << 10]);
        assert!(!long.is_full());
        let mut other = Outbox::new(backlog.clone());
        other.push(vec![0; 70 << 10]);
        assert!(long.is_full() && other.is_full() && !short.is_full());
        drop(other);
        assert!(!long.is_full());
        long.advance(long.bytes());
        assert_eq!(backlog.bytes(), 0);
    }
}
