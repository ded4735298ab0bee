//! The recent past in memory: an unbroken run of batches, bounded in bytes.

use std::{collections::VecDeque, sync::Arc};

use wire::Position;

use crate::batch::Batch;

/// What the feed has seen lately.
#[derive(Debug)]
pub(crate) struct Window {
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    limit: usize,
    /// Everything behind it is in the window.
    start: Position,
    head: Position,
}

impl Window {
    /// An empty window that begins at `head` and holds up to `limit` bytes.
    pub(crate) fn new(head: Position, limit: usize) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, limit, start: head, head }
    }

    /// The position up to which the feed has seen everything.
    pub(crate) fn head(&self) -> Position {
        self.head
    }

    /// Whether everything behind `after` is here.
    pub(crate) fn reaches_back_to(&self, after: Position) -> bool {
        after >= self.start
    }

    /// Adds what comes next.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        self.head = batch.end;
        self.bytes += batch.size();
        self.batches.push_back(batch);
        while self.bytes > self.limit
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.size();
            self.start = oldest.end;
        }
    }

    /// Takes what lies before its start, oldest first, as far as it is unbroken and fits.
    pub(crate) fn remember(&mut self, past: Vec<Batch>) {
        for batch in past.into_iter().rev() {
            if batch.end != self.start || self.bytes + batch.size() > self.limit {
                return;
            }
            self.start = batch.predecessor;
            self.bytes += batch.size();
            self.batches.push_front(Arc::new(batch));
        }
    }

    /// The batches with something behind `after`, from the oldest, up to about `limit` bytes.
    pub(crate) fn after(&self, after: Position, limit: usize) -> Vec<Arc<Batch>> {
        let first = self.batches.partition_point(|batch| batch.end <= after);
        let mut bytes = 0;
        self.batches
            .range(first..)
            .take_while(|batch| {
                let taken = bytes < limit;
                bytes += batch.size();
                taken
            })
            .cloned()
            .collect()
    }
}
