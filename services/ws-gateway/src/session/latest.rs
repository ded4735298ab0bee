//! Mode `latest`: at most so many events a second for each sensor, each the newest; older ones that wait are merged.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ahash::{AHashMap, RandomState};
use tokio::time::Instant;
use wire::{Filter, Position};

use crate::{
    encode::LatestEvents,
    outbox::{Backlog, Outbox, Share},
};

/// With so many bytes that a connection's subscriptions hold back, they take no more until some are sent.
const HIGH_BYTES: usize = 8 << 20;

/// What times may take of it. With more sensors than that, some are sent more often than their rate.
const TIMES_BYTES: usize = 2 << 20;

/// A sensor that waits costs so much beside its name and its reading: two map entries and a place in the heap.
const WAITING_BYTES: usize = 160;

/// The time from which a sensor may be sent again.
const TIME_BYTES: usize = 32;

/// Times that have passed are forgotten when so many are known.
const SWEEP_AT: usize = 1_024;

/// What all subscriptions of a connection hold back.
#[derive(Debug)]
pub(super) struct Held {
    waiting: AtomicUsize,
    times: AtomicUsize,
    share: Share,
}

impl Held {
    pub(super) fn new(backlog: Arc<Backlog>) -> Arc<Self> {
        let share = Share::of(backlog);
        Arc::new(Self { waiting: AtomicUsize::new(0), times: AtomicUsize::new(0), share })
    }

    /// The connection's task alone adds and takes; the counters are atomic only because it may change its thread.
    fn change(&self, counter: &AtomicUsize, added: usize, taken: usize) {
        let bytes = counter.load(Ordering::Relaxed) + added;
        counter.store(bytes.saturating_sub(taken), Ordering::Relaxed);
        self.share.set(self.bytes());
    }

    fn bytes(&self) -> usize {
        self.waiting.load(Ordering::Relaxed) + self.times.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= HIGH_BYTES - TIMES_BYTES || self.share.is_too_much()
    }
}

/// What a subscription of mode `latest` holds back.
#[derive(Debug)]
pub(super) struct Latest {
    /// Between two events of a sensor; zero where only a slow connection makes them wait.
    interval: Duration,
    waiting: AHashMap<Arc<str>, Waiting>,
    /// From when each waiting sensor may be sent.
    due: BinaryHeap<Reverse<(Instant, Arc<str>)>>,
    /// From when each sensor that was sent may be sent again, by the hash of its name. Two names of one hash would only
    /// wait for each other.
    times: AHashMap<u64, Instant>,
    hasher: RandomState,
    sweep_at: usize,
    held: Arc<Held>,
}

/// The newest reading of a sensor that could not be sent yet.
#[derive(Debug)]
struct Waiting {
    /// Its own bytes: a slice of its batch would keep the whole batch in memory.
    data: Box<[u8]>,
    merged: u64,
    /// The position of the first reading that waited: no position from it on is safe to resume after.
    first: Position,
}

impl Latest {
    /// At most `rate` events a second for each sensor.
    pub(super) fn new(rate: Option<f64>, held: Arc<Held>) -> Self {
        Self {
            interval: rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
            waiting: AHashMap::new(),
            due: BinaryHeap::new(),
            times: AHashMap::new(),
            hasher: RandomState::new(),
            sweep_at: SWEEP_AT,
            held,
        }
    }

    /// What the connection's other subscriptions are counted with.
    pub(super) fn held(&self) -> Arc<Held> {
        self.held.clone()
    }

    /// Whether it takes no more at present.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty() && self.held.is_full()
    }

    /// When something that waits may be sent.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// A reading came; [`Latest::flush`] sends what may be sent.
    pub(super) fn take(&mut self, sensor: &str, pos: Position, data: &[u8], now: Instant) {
        if let Some(waits) = self.waiting.get_mut(sensor) {
            self.held.change(&self.held.waiting, data.len(), waits.data.len());
            (waits.data, waits.merged) = (data.into(), waits.merged + 1);
            return;
        }
        let next = self.times.remove(&self.hasher.hash_one(sensor));
        if next.is_some() {
            self.held.change(&self.held.times, 0, TIME_BYTES);
        }
        let name: Arc<str> = Arc::from(sensor);
        self.due.push(Reverse((next.unwrap_or(now).max(now), name.clone())));
        self.held.change(&self.held.waiting, cost(&name, data), 0);
        self.waiting.insert(name, Waiting { data: data.into(), merged: 0, first: pos });
    }

    /// Drops what is held back of sensors that the filter does not have.
    pub(super) fn retain(&mut self, filter: &Filter) {
        let held = &self.held;
        self.waiting.retain(|name, waits| {
            let stays = filter.matches(name);
            if !stays {
                held.change(&held.waiting, 0, cost(name, &waits.data));
            }
            stays
        });
        let waiting = &self.waiting;
        self.due.retain(|Reverse((_, name))| waiting.contains_key(name));
    }

    /// Sends at once what is due and fits; how many events that were.
    pub(super) fn flush(&mut self, mut events: LatestEvents, now: Instant, out: &mut Outbox) -> u64 {
        while !out.is_full()
            && out.bytes() + events.bytes() < crate::outbox::HIGH_BYTES
            && let Some(Reverse((at, _))) = self.due.peek()
            && *at <= now
        {
            let Some(Reverse((_, name))) = self.due.pop() else { break };
            let Some(Waiting { data, merged, .. }) = self.waiting.remove(&name) else { continue };
            self.held.change(&self.held.waiting, 0, cost(&name, &data));
            self.note_time(&name, now);
            events.add(merged, &data);
        }
        events.push(out)
    }

    /// Everything that matches up to here has been sent or merged into what was.
    pub(super) fn safe(&self, sent: Position) -> Position {
        self.waiting.values().map(|waits| waits.first.before()).min().map_or(sent, |first| first.min(sent))
    }

    fn note_time(&mut self, name: &str, now: Instant) {
        if self.interval.is_zero() {
            return;
        }
        if self.times.len() >= self.sweep_at {
            let before = self.times.len();
            self.times.retain(|_, next| *next > now);
            self.sweep_at = (2 * self.times.len()).max(SWEEP_AT);
            self.held.change(&self.held.times, 0, (before - self.times.len()) * TIME_BYTES);
        }
        if self.held.times.load(Ordering::Relaxed) < TIMES_BYTES
            && self.times.insert(self.hasher.hash_one(name), now + self.interval).is_none()
        {
            self.held.change(&self.held.times, TIME_BYTES, 0);
        }
    }
}

impl Drop for Latest {
    fn drop(&mut self) {
        let waiting = self.waiting.iter().map(|(name, waits)| cost(name, &waits.data)).sum();
        self.held.change(&self.held.waiting, 0, waiting);
        self.held.change(&self.held.times, 0, self.times.len() * TIME_BYTES);
    }
}

fn cost(name: &str, data: &[u8]) -> usize {
    WAITING_BYTES + name.len() + data.len()
}

#[cfg(test)]
mod tests {
    use wire::{Epoch, Tick};

    use super::*;
    use crate::encode::Protocol;

    fn at(id: i64) -> Position {
        Position::new(Epoch(1), Tick(1), id)
    }

    fn latest(rate: Option<f64>) -> Latest {
        Latest::new(rate, Held::new(Backlog::new(usize::MAX, Arc::default())))
    }

    fn flushed(latest: &mut Latest, now: Instant) -> String {
        let mut out = Outbox::default();
        latest.flush(Protocol::Sse.latest(1), now, &mut out);
        String::from_utf8(out.chunks(usize::MAX).iter().flat_map(|slice| slice.to_vec()).collect()).unwrap()
    }

    #[test]
    fn a_sensor_speaks_at_once_and_then_at_its_rate_with_the_newest() {
        let mut latest = latest(Some(2.0));
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        latest.take("a", at(1), b"1", start);
        assert_eq!(flushed(&mut latest, start), "data: 1\n\n");
        for id in 2..5 {
            latest.take("a", at(id), id.to_string().as_bytes(), after(100));
        }
        latest.take("b", at(5), b"5", after(100));
        assert_eq!(flushed(&mut latest, after(100)), "data: 5\n\n", "another sensor does not wait");
        assert_eq!(latest.safe(at(5)), at(1), "what waits is not safe to resume after");
        assert_eq!(latest.next_due(), Some(after(500)));
        assert_eq!(flushed(&mut latest, after(499)), "");
        assert_eq!(flushed(&mut latest, after(500)), ": merged 2\ndata: 4\n\n");
        assert_eq!(latest.safe(at(5)), at(5));
        assert_eq!((latest.next_due(), latest.held.waiting.load(Ordering::Relaxed)), (None, 0));
    }

    #[test]
    fn what_waits_is_bounded_and_a_full_outbox_keeps_it_waiting() {
        let mut latest = latest(None);
        let now = Instant::now();
        let mut sensor = 0;
        while !latest.is_full() {
            sensor += 1;
            latest.take(&format!("s{sensor}"), at(sensor), &[b'7'; 10_000], now);
        }
        let mut out = Outbox::default();
        let sent = latest.flush(Protocol::V1.latest(1), now, &mut out);
        assert!(out.is_full() && sent < sensor as u64, "{sent} of {sensor}");
        assert_eq!(latest.flush(Protocol::V1.latest(1), now, &mut out), 0);
        out.advance(out.bytes());
        assert!(latest.flush(Protocol::V1.latest(1), now, &mut out) > 0);
    }

    #[test]
    fn sensors_that_have_long_been_silent_are_forgotten() {
        let mut latest = latest(Some(1.0));
        let start = Instant::now();
        for sensor in 0..10 * SWEEP_AT {
            let now = start + Duration::from_millis(10 * sensor as u64);
            latest.take(&format!("s{sensor}"), at(sensor as i64), b"1", now);
            flushed(&mut latest, now);
        }
        assert!(latest.times.len() < 2 * SWEEP_AT, "{}", latest.times.len());
    }

    #[test]
    fn a_thousand_seconds_for_each_of_many_sensors_are_bounded_and_leave_nothing_behind() {
        let held = Held::new(Backlog::new(usize::MAX, Arc::default()));
        let now = Instant::now();
        let mut subscriptions: Vec<Latest> = (0..4).map(|_| Latest::new(Some(0.001), held.clone())).collect();
        for sensor in 0..40_000 {
            for latest in &mut subscriptions {
                latest.take(&format!("sensor-{sensor}"), at(sensor), b"1", now);
                latest.flush(Protocol::V1.latest(1), now, &mut Outbox::default());
            }
        }
        let times: usize = subscriptions.iter().map(|latest| latest.times.len()).sum();
        assert!(times <= TIMES_BYTES / TIME_BYTES, "{times}");
        subscriptions[0].take("sensor-1", at(50_000), b"1", now);
        assert_eq!(subscriptions[0].next_due(), Some(now + Duration::from_secs(1_000)));
        drop(subscriptions);
        assert_eq!(held.bytes(), 0);
    }
}
