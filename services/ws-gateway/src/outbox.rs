//! What is on its way to the socket: whole frames in order, as shared slices.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};

/// Slices in one write: far below IOV_MAX (1,024), far above what a burst needs.
const SLICES: usize = 128;

/// A session with this much to write takes no more from the hub.
pub(crate) const HIGH_BYTES: usize = 512 << 10;

/// It reads on when so little is left.
const LOW_BYTES: usize = 128 << 10;

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Outbox {
    slices: VecDeque<Bytes>,
    bytes: usize,
}

impl Outbox {
    /// Adds the next bytes; a frame may be several calls.
    pub fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.slices.push_back(bytes);
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
        self.bytes >= HIGH_BYTES
    }

    /// Whether it may take again.
    pub fn has_room(&self) -> bool {
        self.bytes <= LOW_BYTES
    }

    /// The first slice.
    pub(crate) fn front(&self) -> Option<&Bytes> {
        self.slices.front()
    }

    /// The first slices, for a vectored write.
    pub fn chunks(&self) -> Vec<IoSlice<'_>> {
        self.slices.iter().take(SLICES).map(|slice| IoSlice::new(slice)).collect()
    }

    /// Takes what was written off the front.
    pub fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while written > 0
            && let Some(first) = self.slices.front_mut()
        {
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.slices.pop_front();
        }
        if self.slices.is_empty() {
            // an idle connection holds no memory of its last burst
            self.slices = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..30),
            writes in prop::collection::vec(1..12usize, 0..99),
        ) {
            let mut outbox = Outbox::default();
            pieces.iter().for_each(|piece| outbox.push(piece.clone()));
            let mut out = Vec::new();
            for write in writes {
                let offered: Vec<u8> = outbox.chunks().iter().flat_map(|slice| slice.to_vec()).collect();
                let written = write.min(offered.len());
                out.extend_from_slice(&offered[..written]);
                outbox.advance(written);
            }
            let all: Vec<u8> = pieces.concat();
            prop_assert_eq!(&out[..], &all[..out.len()]);
            prop_assert_eq!(outbox.bytes(), all.len() - out.len());
        }
    }
}
