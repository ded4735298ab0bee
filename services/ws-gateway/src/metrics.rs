//! What the gateway counts.

use chassis::Clock;
use instruments::{By, Histogram, IntCounter, IntGauge, Label, WeightedHistogram};
use wire::{Close, Position, frame::GapReason};

use crate::outbox::Events;

/// Bounds for the ages of readings and for the stages of their way, in seconds. 1 is that of the objective for freshness.
const AGES: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

instruments::labels! {
    /// Where the feed took readings from.
    pub(crate) enum Source {
        /// The stream.
        Stream = "stream",
        /// Postgres.
        Log = "log",
    }
}

instruments::labels! {
    /// A part of a reading's way, from the stream on.
    pub(crate) enum Stage {
        /// From when the leader sent it to the stream until the feed had it.
        StreamToFeed = "stream_to_feed",
        /// From the feed to the socket, once for each client.
        FeedToWrite = "feed_to_write",
    }
}

instruments::labels! {
    /// An age that is measured between two clocks.
    pub(crate) enum Age {
        /// From the tick's commit to the feed.
        TickToFeed = "tick_to_feed",
        /// From the append to the feed.
        StreamToFeed = "stream_to_feed",
        /// From the commit to the socket.
        CommitToWrite = "commit_to_write",
    }
}

instruments::labels! {
    /// What reads of Postgres need a permit for.
    pub(crate) enum Reads {
        /// A snapshot, or the start of a replay.
        Replay = "replay",
        /// The answer to a pull.
        Pull = "pull",
        /// History.
        History = "history",
    }
}

/// Why a client was told of a gap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reason(pub(crate) GapReason);

impl Label for Reason {
    fn all() -> impl Iterator<Item = Self> {
        [GapReason::Retention, GapReason::Epoch].into_iter().map(Self)
    }

    fn label(self) -> &'static str {
        match self.0 {
            GapReason::Retention => "retention",
            GapReason::Epoch => "epoch",
        }
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// The end of a connection: the reason of its close, or `lost`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended(pub(crate) Option<Close>);

impl Ended {
    /// The label.
    pub(crate) fn reason(self) -> &'static str {
        self.0.map_or("lost", Close::reason)
    }
}

impl Label for Ended {
    fn all() -> impl Iterator<Item = Self> {
        Close::ALL.iter().copied().map(Some).chain([None]).map(Self)
    }

    fn label(self) -> &'static str {
        self.reason()
    }

    fn index(self) -> usize {
        self.0.map_or(Close::ALL.len(), |close| close as usize)
    }
}

instruments::metrics! {
    /// What the gateway counts.
    pub(crate) struct Metrics("rowcast_gateway_") {
        /// Open sockets and event streams.
        pub(crate) sessions: IntGauge = "sessions";
        /// Live subscriptions and waiting polls.
        pub(crate) subscriptions: IntGauge = "subscriptions";
        /// 1 while draining.
        pub(crate) draining: IntGauge = "draining";
        /// 1 while no leader is active and readings may be late.
        pub(crate) stale: IntGauge = "stale";
        /// Closed sockets and event streams, by the reason of the close code, or `lost`.
        pub(crate) closes: By<Ended, IntCounter> = "closes_total", by = ["reason"];
        /// Readings that the feed took, each once.
        pub(crate) readings: IntCounter = "readings_total";
        /// The same, by where they came from: gaps of the stream are filled from the log.
        pub(crate) taken_readings: By<Source, IntCounter> = "taken_readings_total", by = ["source"];
        /// Readings whose number was compared with the running count of the log.
        pub(crate) audit_checked: IntCounter = "audit_checked_total";
        /// Comparisons that found another number than the log counts. Must stay 0.
        pub(crate) audit_mismatch: IntCounter = "audit_mismatch_total";
        /// The last tick that the feed took.
        pub(crate) head_tick: IntGauge = "head_tick";
        /// The running count of the epoch's readings that the feed has reached; 0 while it is not known.
        pub(crate) head_readings: IntGauge = "head_readings";
        /// Readings handed to subscriptions, once for each.
        pub(crate) deliveries: IntCounter = "deliveries_total";
        /// Events of which the kernel, or the client's HTTP/2 stream, has taken the last byte.
        pub(crate) events_written: IntCounter = "events_written_total";
        /// From a reading's commit until it was written to a client that follows live, once for each client; a commit is taken
        /// to be as early as can be.
        pub(crate) event_age: WeightedHistogram = "event_age_seconds", buckets = AGES;
        /// A reading's way from the stream on, by stage.
        pub(crate) stages: By<Stage, WeightedHistogram> = "stage_seconds", by = ["stage"], buckets = AGES;
        /// Readings that seemed to be younger than nothing, by more than the clocks may be wrong by measurement. They count as 0 in
        /// the histograms.
        pub(crate) negative_ages: By<Age, IntCounter> = "negative_ages_total", by = ["stage"];
        /// Gaps that clients were told of, by reason.
        pub(crate) gaps_told: By<Reason, IntCounter> = "gaps_told_total", by = ["reason"];
        /// From a tick's commit to its publication here.
        pub(crate) age: Histogram = "age_seconds",
            buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
        /// Gaps in the stream that were filled from Postgres.
        pub(crate) gaps: IntCounter = "stream_gaps_total";
        /// Losses of the stream.
        pub(crate) feed_losses: IntCounter = "feed_losses_total";
        /// Reads of Postgres for replay and snapshots.
        pub(crate) replay_reads: IntCounter = "replay_reads_total";
        /// Reads of Postgres for history.
        pub(crate) history_reads: IntCounter = "history_reads_total";
        /// Sessions that fell behind and read on from the log.
        pub(crate) fell_behind: IntCounter = "fell_behind_total";
        /// Sessions that are behind: they read the log on at their own pace.
        pub(crate) behind_sessions: IntGauge = "behind_sessions";
        /// How many sessions there may be.
        pub(crate) sessions_limit: IntGauge = "sessions_limit";
        /// Bytes in the mailboxes of all sessions.
        pub(crate) mailbox_bytes: IntGauge = "mailbox_bytes";
        /// Bytes that wait to be written, without outboxes of less than 64 KiB.
        pub(crate) outbox_bytes: IntGauge = "outbox_bytes";
        /// From so many on, sessions with more than 64 KiB to write read the log on instead.
        pub(crate) outbox_limit: IntGauge = "outbox_limit_bytes";
        /// Bytes of the recent past in memory, with what is encoded of it.
        pub(crate) window_bytes: IntGauge = "window_bytes";
        /// How many bytes of readings the recent past may have.
        pub(crate) window_limit: IntGauge = "window_limit_bytes";
        /// Permits for reads of Postgres that are in use.
        pub(crate) read_permits: By<Reads, IntGauge> = "read_permits_in_use", by = ["kind"];
        /// How many there are.
        pub(crate) read_permits_limit: By<Reads, IntGauge> = "read_permits_limit", by = ["kind"];
    }
}

impl Metrics {
    /// Where the feed is, and how many readings its epoch has up to there.
    pub(crate) fn set_head(&self, head: Position, count: Option<i64>) {
        self.head_tick.set(head.tick.0);
        self.head_readings.set(count.unwrap_or_default());
    }

    /// The feed took readings of a tick that was committed so many microseconds ago, and appended so many, if that is known.
    pub(crate) fn count_taken(
        &self,
        source: Source,
        readings: u64,
        (since_tick, since_append): (i64, Option<i64>),
        clock: &Clock,
    ) {
        self.readings.inc_by(readings);
        self.taken_readings.of(source).inc_by(readings);
        self.age.observe(self.seconds(Age::TickToFeed, since_tick, clock, readings));
        if let Some(since_append) = since_append {
            let seconds = self.seconds(Age::StreamToFeed, since_append, clock, readings);
            self.stages.of(Stage::StreamToFeed).observe(seconds, readings);
        }
    }

    /// An age of so many readings in seconds, by this clock. One that is negative is 0, and counted.
    fn seconds(&self, age: Age, micros: i64, clock: &Clock, readings: u64) -> f64 {
        if clock.is_negative(micros) {
            self.negative_ages.of(age).inc_by(readings);
        }
        micros.max(0) as f64 / 1e6
    }

    /// A peer has taken events, at a time by this clock.
    pub(crate) fn count_written(&self, events: &Events, now: i64, clock: &Clock) {
        self.events_written.inc_by(events.count);
        if let Some(times) = events.times {
            let age = now.saturating_sub(times.committed_at);
            let seconds = self.seconds(Age::CommitToWrite, age, clock, events.live);
            self.event_age.observe(seconds, events.live);
            // by one clock, which may be set back meanwhile
            let seconds = now.saturating_sub(times.taken_at).max(0) as f64 / 1e6;
            self.stages.of(Stage::FeedToWrite).observe(seconds, events.live);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_is_at_its_index() {
        for (index, end) in Ended::all().enumerate() {
            assert_eq!(end.index(), index, "{}", end.label());
        }
        for (index, reason) in Reason::all().enumerate() {
            assert_eq!(reason.index(), index, "{}", reason.label());
        }
    }
}
