//! How far the log and the stream go, in ticks and in readings, and which readings were counted by this process.

use bus::End;
use wire::{Epoch, Tick};

use crate::metrics::Metrics;

/// Both ends of the epoch that is forwarded.
pub(crate) struct Counts {
    metrics: Metrics,
    epoch: Epoch,
    /// The readings of the epoch's log up to here are in `ticked_readings`, as far as this process is concerned.
    ticked: i64,
    /// Those of its stream up to here are in `readings`.
    appended: i64,
    /// Whether this replica leads: the answer to an earlier leader's last step may come later.
    leads: bool,
}

/// An end: a tick, and how many readings the epoch has up to it, if that is known.
type Head = (Tick, Option<i64>);

impl Counts {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, epoch: Epoch::default(), ticked: 0, appended: 0, leads: false }
    }

    /// A leader has read both ends. The ticks that another one has made, and not appended, become this one's to count.
    pub(crate) fn loaded(&mut self, epoch: Epoch, log: Head, stream: Head) {
        self.leads = true;
        let total = log.1.unwrap_or_default();
        if epoch != self.epoch {
            // the stream's own count is what another process wrote
            let in_stream = stream.1.unwrap_or(total).clamp(0, total.max(0));
            (self.epoch, self.ticked, self.appended) = (epoch, in_stream, in_stream);
        }
        self.metrics.ticked_readings.inc_by(u64::try_from(total - self.ticked).unwrap_or(0));
        // a release that does not count may have led meanwhile: then the count has begun again
        self.ticked = total;
        self.appended = self.appended.max(stream.1.unwrap_or_default()).min(total);
        self.set_log(log);
        self.set_stream(stream);
    }

    /// A tick of so many readings was made.
    pub(crate) fn ticked(&mut self, log: Head, rows: i64) {
        self.metrics.ticks.inc();
        self.metrics.ticked_readings.inc_by(u64::try_from(rows).unwrap_or(0));
        self.ticked = log.1.unwrap_or(self.ticked);
        self.set_log(log);
    }

    /// So many readings were appended, up to `end`: again, as far as the stream has had them before.
    pub(crate) fn appended(&mut self, end: End, rows: i64) {
        let fresh = end.count.map_or(rows, |count| count.saturating_sub(self.appended).clamp(0, rows));
        self.metrics.readings.inc_by(u64::try_from(fresh).unwrap_or(0));
        self.metrics.repeated_readings.inc_by(u64::try_from(rows - fresh).unwrap_or(0));
        self.appended = end.count.map_or(self.appended, |count| count.max(self.appended));
        self.set_stream((end.id.tick, end.count));
    }

    /// This replica does not lead any more: another one knows the ends.
    pub(crate) fn forget_heads(&mut self) {
        self.set_log((Tick(0), None));
        self.set_stream((Tick(0), None));
        self.leads = false;
    }

    fn set_log(&self, (tick, count): Head) {
        if !self.leads {
            return;
        }
        self.metrics.log_head_tick.set(tick.0);
        self.metrics.log_head_readings.set(count.unwrap_or_default());
        self.set_backlog();
    }

    fn set_stream(&self, (tick, count): Head) {
        if !self.leads {
            return;
        }
        self.metrics.stream_head_tick.set(tick.0);
        self.metrics.stream_head_readings.set(count.unwrap_or_default());
        self.set_backlog();
    }

    fn set_backlog(&self) {
        let (log, stream) = (self.metrics.log_head_readings.get(), self.metrics.stream_head_readings.get());
        self.metrics.backlog_readings.set(log.saturating_sub(stream).max(0));
    }
}

#[cfg(test)]
mod tests {
    use bus::EntryId;
    use instruments::Registry;

    use super::*;

    fn head(tick: i64, count: i64) -> Head {
        (Tick(tick), Some(count))
    }

    fn end(tick: i64, count: i64) -> End {
        End { id: EntryId { tick: Tick(tick), last_id: 1 }, count: Some(count) }
    }

    #[track_caller]
    fn check(counts: &Counts, ticked: u64, appended: u64, repeated: u64, backlog: i64) {
        let Metrics { ticked_readings, readings, repeated_readings, backlog_readings, .. } = &counts.metrics;
        let counted =
            (ticked_readings.get(), readings.get(), repeated_readings.get(), backlog_readings.get());
        assert_eq!(counted, (ticked, appended, repeated, backlog));
    }

    #[test]
    fn each_reading_is_ticked_once_and_appended_once() {
        let mut counts = Counts::new(Metrics::register(&Registry::new()).unwrap());
        // a predecessor has made a tick of 5 and not appended it
        counts.loaded(Epoch(1), head(7, 105), head(6, 100));
        check(&counts, 5, 0, 0, 5);
        counts.appended(end(7, 105), 5);
        counts.ticked(head(8, 108), 3);
        check(&counts, 8, 5, 0, 3);
        // the stream is lost with its last 105, and made again
        counts.loaded(Epoch(1), head(8, 108), head(2, 20));
        check(&counts, 8, 5, 0, 88);
        counts.appended(end(8, 108), 88);
        check(&counts, 8, 8, 85, 0);
    }

    #[test]
    fn the_last_step_of_an_earlier_leader_moves_no_head() {
        let mut counts = Counts::new(Metrics::register(&Registry::new()).unwrap());
        counts.loaded(Epoch(1), head(7, 100), head(6, 95));
        counts.forget_heads();
        counts.appended(end(7, 100), 5);
        let Metrics { log_head_readings, stream_head_readings, readings, .. } = &counts.metrics;
        assert_eq!((log_head_readings.get(), stream_head_readings.get(), readings.get()), (0, 0, 5));
    }

    #[test]
    fn an_epoch_and_a_release_that_does_not_count_begin_anew() {
        let mut counts = Counts::new(Metrics::register(&Registry::new()).unwrap());
        counts.loaded(Epoch(1), head(7, 100), head(7, 100));
        counts.loaded(Epoch(2), head(8, 0), head(8, 0));
        counts.ticked(head(9, 4), 4);
        counts.appended(end(9, 4), 4);
        check(&counts, 4, 4, 0, 0);
        counts.loaded(Epoch(2), (Tick(12), None), (Tick(12), None));
        counts.ticked(head(13, 2), 2);
        counts.appended(end(13, 2), 2);
        check(&counts, 6, 6, 0, 0);
    }
}
