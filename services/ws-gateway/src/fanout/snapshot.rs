//! Pages of the newest reading of each sensor, kept for a moment for others that ask for the same.

use std::{sync::Arc, time::Duration};

use ahash::AHashMap;
use tokio::time::Instant;
use wire::{Filter, Position, Reading};

/// How long a page serves others that ask for the same.
const KEPT_FOR: Duration = Duration::from_millis(500);

/// Pages in memory at most.
const MAX_PAGES: usize = 64;

/// Memory of those pages at most.
const MAX_BYTES: usize = 16 << 20;

/// A page of a snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotPage {
    /// What the snapshot is as of.
    pub at: Position,
    /// The newest reading of each sensor, in the order of their ids.
    pub newest: Arc<[Reading]>,
    /// The sensor behind which the next page begins, if there may be one.
    pub next: Option<String>,
}

impl SnapshotPage {
    /// The memory that it takes, about.
    fn cost(&self) -> usize {
        let text = |reading: &Reading| reading.sensor_id.len() + reading.metadata.len();
        self.newest.iter().map(|reading| size_of::<Reading>() + text(reading)).sum()
    }
}

/// A page's filter, as of when it is, and behind which sensor it begins.
pub(super) type SnapshotKey = (Arc<Filter>, Option<Position>, Option<String>);

/// The pages that were read lately.
#[derive(Default)]
pub(super) struct Snapshots {
    pages: AHashMap<SnapshotKey, (Instant, SnapshotPage)>,
}

impl Snapshots {
    pub(super) fn find(&self, key: &SnapshotKey) -> Option<SnapshotPage> {
        let (read_at, page) = self.pages.get(key)?;
        (read_at.elapsed() < KEPT_FOR).then(|| page.clone())
    }

    pub(super) fn keep(&mut self, key: SnapshotKey, read_at: Instant, page: SnapshotPage) {
        self.purge();
        let bytes: usize = self.pages.values().map(|(_, page)| page.cost()).sum();
        if self.pages.len() < MAX_PAGES && bytes + page.cost() <= MAX_BYTES {
            self.pages.insert(key, (read_at, page));
        }
    }

    /// Drops what is old.
    pub(super) fn purge(&mut self) {
        self.pages.retain(|_, (read_at, _)| read_at.elapsed() < KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use wire::{Epoch, Tick};

    use super::*;

    fn key(number: i64) -> SnapshotKey {
        (Arc::new(Filter::All), Some(Position::after_tick(Epoch(1), Tick(number))), None)
    }

    fn page(bytes: usize) -> SnapshotPage {
        let reading = Reading {
            id: 1,
            sensor_id: "a".into(),
            value: 1.0,
            timestamp: OffsetDateTime::UNIX_EPOCH,
            metadata: "x".repeat(bytes),
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        };
        SnapshotPage { at: Position::default(), newest: [reading].into(), next: None }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_of_snapshots_are_bounded_in_bytes_and_go_when_they_are_old() {
        let mut snapshots = Snapshots::default();
        for number in 0..20 {
            snapshots.keep(key(number), Instant::now(), page(1 << 20));
        }
        let kept = snapshots.pages.values().map(|(_, page)| page.cost()).sum::<usize>();
        assert!((MAX_BYTES / 2..=MAX_BYTES).contains(&kept), "{kept}");
        assert!(snapshots.find(&key(0)).is_some());
        tokio::time::advance(KEPT_FOR).await;
        assert!(snapshots.find(&key(0)).is_none(), "an old page is not served");
        snapshots.purge();
        assert!(snapshots.pages.is_empty());
    }
}
