//! Mode `latest`: at most so many events a second for each sensor, each the newest; older ones that wait are merged.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use ahash::AHashMap;
use tokio::time::Instant;
use wire::Position;

use crate::{
    form::{Form, text, write_latest},
    outbox::Outbox,
};

/// With so many bytes of readings that wait, the subscription takes no more until some are sent.
const HIGH_BYTES: usize = 1 << 20;

/// Sensors that may be spoken of again are forgotten when so many are known.
const SWEEP_AT: usize = 1_024;

/// What a subscription of mode `latest` holds back.
#[derive(Debug)]
pub(super) struct Latest {
    /// Between two events of a sensor; zero where only a slow connection makes them wait.
    interval: Duration,
    sensors: AHashMap<Arc<str>, Sensor>,
    /// When each sensor that waits may be spoken of.
    due: BinaryHeap<Reverse<(Instant, Arc<str>)>>,
    bytes: usize,
    sweep_at: usize,
}

#[derive(Debug)]
struct Sensor {
    /// Not before this.
    next: Instant,
    waits: Option<Waiting>,
}

/// The newest reading of a sensor that could not be sent yet.
#[derive(Debug)]
struct Waiting {
    /// Its own bytes: a slice of its batch would keep the whole batch in memory.
    data: Box<[u8]>,
    merged: u64,
    /// Where the first reading that waited stands: nothing from it on is safe to resume after.
    first: Position,
}

impl Latest {
    /// At most `rate` events a second for each sensor.
    pub(super) fn new(rate: Option<f64>) -> Self {
        Self {
            interval: rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
            sensors: AHashMap::new(),
            due: BinaryHeap::new(),
            bytes: 0,
            sweep_at: SWEEP_AT,
        }
    }

    /// Whether it takes no more at present.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= HIGH_BYTES
    }

    /// When something that waits may be sent.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// A reading came; [`Latest::flush`] sends what may be sent.
    pub(super) fn take(&mut self, sensor: &str, pos: Position, data: &[u8], now: Instant) {
        self.bytes += data.len();
        if let Some(known) = self.sensors.get_mut(sensor)
            && let Some(waits) = &mut known.waits
        {
            self.bytes -= waits.data.len();
            (waits.data, waits.merged) = (data.into(), waits.merged + 1);
            return;
        }
        let waits = Waiting { data: data.into(), merged: 0, first: pos };
        let (name, next) = match self.sensors.get_key_value(sensor) {
            Some((name, known)) => (name.clone(), known.next.max(now)),
            None => (Arc::from(sensor), now),
        };
        self.due.push(Reverse((next, name.clone())));
        self.sensors.insert(name, Sensor { next, waits: Some(waits) });
    }

    /// Sends, in one frame, what is due and fits; how many events that were.
    pub(super) fn flush(&mut self, form: Form, sub: u32, now: Instant, out: &mut Outbox) -> u64 {
        let (mut events, mut count) = (Vec::new(), 0);
        while out.bytes() + events.len() < crate::outbox::HIGH_BYTES
            && let Some(Reverse((at, _))) = self.due.peek()
            && *at <= now
        {
            let Some(Reverse((_, name))) = self.due.pop() else { break };
            let Some(sensor) = self.sensors.get_mut(&name) else { continue };
            let Some(Waiting { data, merged, .. }) = sensor.waits.take() else { continue };
            sensor.next = now + self.interval;
            self.bytes -= data.len();
            if form == Form::V1 {
                events.push(if count == 0 { b'[' } else { b',' });
            }
            write_latest(form, sub, merged, &data, &mut events);
            count += 1;
        }
        match (form, count) {
            (_, 0) => {}
            (Form::Sse, _) => out.push(events),
            (_, 1) => text(&events[1..], out),
            _ => {
                events.push(b']');
                text(&events, out);
            }
        }
        self.sweep(now);
        count
    }

    /// Everything that matches up to here has been sent or merged into what was.
    pub(super) fn safe(&self, sent: Position) -> Position {
        let waiting = self.sensors.values().filter_map(|sensor| sensor.waits.as_ref());
        waiting.map(|waits| waits.first.before()).min().map_or(sent, |first| first.min(sent))
    }

    fn sweep(&mut self, now: Instant) {
        if self.sensors.len() >= self.sweep_at {
            self.sensors.retain(|_, sensor| sensor.waits.is_some() || sensor.next > now);
            self.sweep_at = (2 * self.sensors.len()).max(SWEEP_AT);
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::{Epoch, Tick};

    use super::*;

    fn at(id: i64) -> Position {
        Position::new(Epoch(1), Tick(1), id)
    }

    fn flushed(latest: &mut Latest, now: Instant) -> String {
        let mut out = Outbox::default();
        latest.flush(Form::Sse, 1, now, &mut out);
        String::from_utf8(out.chunks().iter().flat_map(|slice| slice.to_vec()).collect()).unwrap()
    }

    #[test]
    fn a_sensor_speaks_at_once_and_then_at_its_rate_with_the_newest() {
        let mut latest = Latest::new(Some(2.0));
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
        assert_eq!((latest.next_due(), latest.bytes), (None, 0));
    }

    #[test]
    fn what_waits_is_bounded_and_a_full_outbox_keeps_it_waiting() {
        let mut latest = Latest::new(None);
        let now = Instant::now();
        let mut sensor = 0;
        while !latest.is_full() {
            sensor += 1;
            latest.take(&format!("s{sensor}"), at(sensor), &[b'7'; 1_000], now);
        }
        let mut out = Outbox::default();
        let sent = latest.flush(Form::V1, 1, now, &mut out);
        assert!(out.is_full() && sent < sensor as u64, "{sent} of {sensor}");
        assert_eq!(latest.flush(Form::V1, 1, now, &mut out), 0);
        out.advance(out.bytes());
        assert!(latest.flush(Form::V1, 1, now, &mut out) > 0);
    }

    #[test]
    fn sensors_that_have_long_been_silent_are_forgotten() {
        let mut latest = Latest::new(Some(1.0));
        let start = Instant::now();
        for sensor in 0..10 * SWEEP_AT {
            let now = start + Duration::from_millis(10 * sensor as u64);
            latest.take(&format!("s{sensor}"), at(sensor as i64), b"1", now);
            flushed(&mut latest, now);
        }
        assert!(latest.sensors.len() < 2 * SWEEP_AT, "{}", latest.sensors.len());
    }
}
