//! Whether the feed took as many readings as the log counts: the leader counts the readings of an epoch when it makes a tick, in
//! Postgres, and notes the count with each entry, whatever became of its readings on the way.

/// What the feed took since it last knew the count.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// The running count at the last entry that had one.
    counted: Option<i64>,
    /// Readings taken since.
    taken: i64,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The count before was not known.
    Unknown,
    /// So many readings were taken, and counted.
    Right(u64),
    /// The log counts so many since the last comparison, of which only `taken` came, or more than that.
    Wrong {
        /// By the running counts.
        counted: i64,
        /// By the feed.
        taken: i64,
    },
}

impl Audit {
    /// Begins at a place with this running count.
    pub(crate) fn begin(&mut self, counted: Option<i64>) {
        *self = Self { counted, taken: 0 };
    }

    /// Readings were taken that come with no count.
    pub(crate) fn take(&mut self, readings: usize) {
        self.taken = self.taken.saturating_add(i64::try_from(readings).unwrap_or(i64::MAX));
    }

    /// The next entry brings so many readings, and the running count up to its end. Unless it is wrong, it counts as taken, and the
    /// next comparison goes on from there.
    pub(crate) fn compare(&mut self, readings: usize, count: Option<i64>) -> Verdict {
        let taken = self.taken.saturating_add(i64::try_from(readings).unwrap_or(i64::MAX));
        if let (Some(before), Some(count)) = (self.counted, count) {
            let counted = count.saturating_sub(before);
            if counted != taken {
                return Verdict::Wrong { counted, taken };
            }
        }
        let is_known = self.counted.is_some() && count.is_some();
        self.begin(count);
        if is_known { Verdict::Right(u64::try_from(taken).unwrap_or(0)) } else { Verdict::Unknown }
    }

    /// The running count now, if it is known.
    pub(crate) fn count(&self) -> Option<i64> {
        Some(self.counted?.saturating_add(self.taken))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_missing_reading_shows_at_the_next_entry_and_only_there() {
        let mut audit = Audit::default();
        assert_eq!(audit.compare(5, Some(105)), Verdict::Unknown);
        assert_eq!(audit.compare(3, Some(108)), Verdict::Right(3));
        let wrong = Verdict::Wrong { counted: 7, taken: 2 };
        assert_eq!(audit.compare(2, Some(115)), wrong);
        assert_eq!(audit.compare(2, Some(115)), wrong, "as long as it was not read from the log");
        audit.take(5);
        assert_eq!(audit.compare(2, Some(115)), Verdict::Right(7), "the log had the missing ones");
        assert_eq!(audit.compare(1, Some(116)), Verdict::Right(1));
        assert_eq!(
            audit.compare(4, Some(118)),
            Verdict::Wrong { counted: 2, taken: 4 },
            "one too many counts, too"
        );
    }

    #[test]
    fn a_leader_that_does_not_count_interrupts_it() {
        let mut audit = Audit::default();
        audit.begin(Some(10));
        assert_eq!(audit.compare(2, None), Verdict::Unknown);
        // the count has begun again meanwhile
        assert_eq!(audit.compare(2, Some(2)), Verdict::Unknown);
        assert_eq!(audit.compare(1, Some(3)), Verdict::Right(1));
    }

    proptest! {
        #[test]
        fn what_is_taken_from_the_log_counts_with_the_next_entry(
            entries in prop::collection::vec((0..50_usize, 1..50_usize), 1..40),
        ) {
            let (mut audit, mut count) = (Audit::default(), 1_000);
            audit.begin(Some(count));
            for (from_log, from_stream) in entries {
                audit.take(from_log);
                count += (from_log + from_stream) as i64;
                let right = Verdict::Right((from_log + from_stream) as u64);
                prop_assert_eq!(audit.compare(from_stream, Some(count)), right);
                prop_assert_eq!(audit.count(), Some(count));
            }
        }
    }
}
