//! The recent past in memory: an unbroken run of batches, bounded in bytes.

use std::{collections::VecDeque, sync::Arc};

use wire::Position;

use crate::fanout::batch::Batch;

/// Batches that sessions are sent keep what was encoded of them, up to this share of the window; the encodings of older
/// ones are dropped. A batch's encodings take up to six times what it takes itself.
const WARM_SHARE: usize = 16;

/// What the feed has seen lately.
#[derive(Debug)]
pub(crate) struct Window {
    batches: VecDeque<Held>,
    bytes: usize,
    limit: usize,
    /// The batches that may be encoded, by their ends and costs, in the order in which they were new or asked for.
    warm: VecDeque<(Position, usize)>,
    warm_bytes: usize,
    /// Everything behind it is in the window.
    start: Position,
    head: Position,
}

#[derive(Debug)]
struct Held {
    batch: Arc<Batch>,
    warm: bool,
}

impl Window {
    /// An empty window that begins at `head` and holds up to `limit` bytes, and a share of it for encodings.
    pub(crate) fn new(head: Position, limit: usize) -> Self {
        Self {
            batches: VecDeque::new(),
            bytes: 0,
            limit,
            warm: VecDeque::new(),
            warm_bytes: 0,
            start: head,
            head,
        }
    }

    /// The position up to which the feed has seen everything.
    pub(crate) fn head(&self) -> Position {
        self.head
    }

    /// The memory that it takes, with what is encoded: only warm batches may be.
    pub(crate) fn cost(&self) -> usize {
        let warm = self.batches.iter().filter(|held| held.warm);
        self.bytes + warm.map(|held| held.batch.encoded_cost()).sum::<usize>()
    }

    /// Whether everything behind `after` is here.
    pub(crate) fn reaches_back_to(&self, after: Position) -> bool {
        after >= self.start
    }

    /// Adds what comes next.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        self.head = batch.end;
        self.bytes += batch.cost();
        self.batches.push_back(Held { batch, warm: false });
        while self.bytes > self.limit
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.batch.cost();
            self.start = oldest.batch.end;
        }
        if !self.batches.is_empty() {
            self.warm(self.batches.len() - 1);
        }
    }

    /// Takes what lies before its start, oldest first, as far as it is unbroken and fits.
    pub(crate) fn remember(&mut self, past: Vec<Batch>) {
        for batch in past.into_iter().rev() {
            if batch.end != self.start || self.bytes + batch.cost() > self.limit {
                return;
            }
            self.start = batch.predecessor;
            self.bytes += batch.cost();
            self.batches.push_front(Held { batch: Arc::new(batch), warm: false });
        }
    }

    /// The batches with something behind `after`, from the oldest, up to about `limit` bytes.
    pub(crate) fn after(&mut self, after: Position, limit: usize) -> Vec<Arc<Batch>> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut index = self.batches.partition_point(|held| held.batch.end <= after);
        while bytes < limit
            && let Some(held) = self.batches.get(index)
        {
            bytes += held.batch.size();
            found.push(held.batch.clone());
            self.warm(index);
            index += 1;
        }
        found
    }

    /// Lets a batch keep its encodings, and drops those of the batches that had this right for longest.
    fn warm(&mut self, index: usize) {
        let held = &mut self.batches[index];
        if std::mem::replace(&mut held.warm, true) {
            return;
        }
        self.warm.push_back((held.batch.end, held.batch.cost()));
        self.warm_bytes += held.batch.cost();
        while self.warm_bytes > self.limit / WARM_SHARE
            && self.warm.len() > 1
            && let Some((end, cost)) = self.warm.pop_front()
        {
            self.warm_bytes -= cost;
            let oldest = self.batches.partition_point(|held| held.batch.end < end);
            // one that has left the window took its encodings with it
            if let Some(held) = self.batches.get_mut(oldest).filter(|held| held.batch.end == end) {
                *held = Held { batch: Arc::new(held.batch.bare()), warm: false };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use store::log::TickReadings;
    use time::macros::datetime;
    use wire::{Epoch, Reading, Tick};

    use super::*;
    use crate::encode::encode_all;

    const LIMIT: usize = 1 << 20;

    fn at(tick: i64) -> Position {
        Position::new(Epoch(1), Tick(tick), tick)
    }

    fn batch(tick: i64, metadata: usize) -> Arc<Batch> {
        let time = datetime!(2026-11-23 08:00 UTC);
        let reading = Reading {
            id: tick,
            sensor_id: "s".to_owned(),
            value: 1.0,
            timestamp: time,
            metadata: format!("\"{}\"", "x".repeat(metadata)),
            created_at: time,
            updated_at: time,
        };
        let readings = TickReadings::new(Epoch(1), Tick(tick), time, vec![reading]);
        Arc::new(Batch::from_log(at(tick - 1), &readings).unwrap())
    }

    fn encode(batch: &Batch) {
        encode_all(batch.frames());
    }

    fn total(window: &Window) -> usize {
        let total = window.batches.iter().map(|held| held.batch.cost() + held.batch.encoded_cost()).sum();
        assert_eq!(window.cost(), total);
        total
    }

    #[test]
    fn what_is_encoded_of_new_and_of_old_batches_is_bounded() {
        for metadata in [2, 1_000] {
            let mut window = Window::new(at(0), LIMIT);
            let share = LIMIT + 7 * LIMIT / WARM_SHARE;
            for tick in 1..=8_000 {
                let new = batch(tick, metadata);
                encode(&new);
                window.push(new);
            }
            assert!(total(&window) <= share, "{} of {LIMIT}", total(&window));
            // a session reads all of it again
            let mut after = window.start;
            while after < window.head() {
                let found = window.after(after, 64 << 10);
                found.iter().for_each(|batch| encode(batch));
                after = found.last().unwrap().end;
            }
            assert!(total(&window) <= share, "{} of {LIMIT}, read again", total(&window));
            assert_eq!(window.after(at(7_990), usize::MAX).len(), 10);
        }
    }
}
