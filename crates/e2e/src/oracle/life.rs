//! A client's subscriptions: each from its `ok`, through disconnects and resumes, to its last position.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use wire::{Filter, Position, ServerMessage, frame::Gap};

use super::truth::{Committed, Horizon};
use crate::client::{self, Socket};

/// Positions that any client has seen, from which others may resume.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<Vec<Position>>>);

impl Places {
    fn add(&self, pos: Position) {
        self.0.lock().expect("no client panics while it holds the lock").push(pos);
    }

    fn any(&self, rng: &mut StdRng) -> Option<Position> {
        self.0.lock().expect("no client panics while it holds the lock").choose(rng).copied()
    }
}

/// The filters that clients choose from.
const SENSORS: [&str; 6] = [
    r#"["writer-0"]"#,
    r#"["writer-1","writer-psql"]"#,
    r#"["writer-*"]"#,
    r#"["writer-p*","writer-2"]"#,
    r#"["nobody"]"#,
    r#"["*"]"#,
];

/// A client with its random number generator.
pub(super) struct Life {
    rng: StdRng,
    gateways: Arc<[SocketAddr]>,
    places: Places,
    horizon: Horizon,
}

/// What one subscription received from its beginning to its end.
#[derive(Debug)]
pub(super) struct Lived {
    /// For the failure's report.
    pub(super) asked: String,
    filter: Filter,
    /// Everything after this position must have arrived.
    from: Position,
    /// Up to this position.
    upto: Position,
    pub(super) events: Vec<Position>,
    pub(super) gaps: Vec<Gap>,
    /// A gap that retention did not cause, or another error.
    wrong: Option<String>,
}

impl Life {
    pub(super) fn new(rng: StdRng, gateways: Arc<[SocketAddr]>, places: Places, horizon: Horizon) -> Self {
        Self { rng, gateways, places, horizon }
    }

    /// One subscription after the other, until stopped.
    pub(super) async fn live(mut self, stopped: watch::Receiver<bool>) -> Vec<Lived> {
        let mut lives = Vec::new();
        while !*stopped.borrow() {
            lives.extend(self.one(&stopped).await);
        }
        lives
    }

    /// A subscription, resumed a few times; `None` where it never began.
    async fn one(&mut self, stopped: &watch::Receiver<bool>) -> Option<Lived> {
        let sensors = *SENSORS.choose(&mut self.rng)?;
        let patterns: Vec<String> = serde_json::from_str(sensors).expect("a list");
        let old = if self.rng.random_bool(0.6) { self.places.any(&mut self.rng) } else { None };
        let start = old.map_or("now".to_owned(), |pos| pos.to_string());
        let mut lived = Lived {
            asked: format!("{sensors} from {start}"),
            filter: Filter::parse(Some(&patterns)).expect("a filter"),
            from: old.unwrap_or_default(),
            upto: old.unwrap_or_default(),
            events: Vec::new(),
            gaps: Vec::new(),
            wrong: None,
        };
        let mut stands = old.is_some();
        for _ in 0..self.rng.random_range(1..5) {
            if *stopped.borrow() {
                break;
            }
            let from = if stands { lived.upto.to_string() } else { "now".to_owned() };
            let body = format!(r#"{{"sensors":{sensors},"from":"{from}"}}"#);
            // a killed gateway is tried again, or another one
            let Ok(socket) = self.connect(&body).await else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let slow = self.rng.random_bool(0.3);
            let time = Duration::from_millis(self.rng.random_range(50..4_000));
            self.listen(socket, &mut lived, &mut stands, slow, time).await;
        }
        stands.then_some(lived)
    }

    async fn connect(&mut self, body: &str) -> Result<Socket> {
        let gateway = *self.gateways.choose(&mut self.rng).context("there are gateways")?;
        let mut socket = timeout(Duration::from_secs(3), client::connect_v1(gateway)).await??;
        client::try_send(&mut socket, &format!(r#"{{"id":1,"subscribe":{body}}}"#)).await?;
        Ok(socket)
    }

    /// Until the time is over or the connection ends.
    async fn listen(
        &mut self,
        mut socket: Socket,
        lived: &mut Lived,
        stands: &mut bool,
        slow: bool,
        time: Duration,
    ) {
        let until = Instant::now() + time;
        while Instant::now() < until
            && let Ok(Ok(messages)) = timeout_at(until, client::next_messages(&mut socket)).await
        {
            for message in messages {
                self.take(&message, lived, stands);
            }
            if slow {
                // the reading speed, not a wait for anything
                sleep(Duration::from_millis(self.rng.random_range(10..120))).await;
            }
        }
    }

    fn take(&mut self, message: &ServerMessage, lived: &mut Lived, stands: &mut bool) {
        if let Some(error) = &message.error {
            lived.wrong = Some(format!("refused: {}", error.message));
        }
        if let Some(gap) = message.gap {
            self.check_gap(gap, lived);
            lived.gaps.push(gap);
            lived.upto = gap.to;
        }
        if let Some(pos) = message.ok.as_ref().and_then(|ok| ok.pos)
            && !*stands
        {
            (lived.from, lived.upto, *stands) = (pos, pos, true);
        }
        if message.data.is_some() {
            lived.events.extend(message.pos);
        }
        let live = message.live.map(|live| live.pos);
        let mark = message.mark.map(|mark| mark.pos);
        for pos in [message.pos, live, mark].into_iter().flatten() {
            lived.upto = lived.upto.max(pos);
            if self.rng.random_bool(0.05) {
                self.places.add(pos);
            }
        }
    }

    /// A gap is right only where the log no longer reached back.
    fn check_gap(&self, gap: Gap, lived: &mut Lived) {
        let base = if gap.from.ends_tick() { gap.from.tick.0 } else { gap.from.tick.0 - 1 };
        let horizon = self.horizon.now();
        if base >= horizon.0 || gap.to.tick > horizon {
            lived.wrong = Some(format!("{gap:?} while the log reached back to {horizon:?}"));
        }
    }
}

impl Lived {
    /// Compares what was received with the committed log.
    pub(super) fn check(&self, log: &[Committed]) -> Result<()> {
        if let Some(wrong) = &self.wrong {
            bail!("{wrong}");
        }
        let in_gap = |pos: &Position| self.gaps.iter().any(|gap| gap.from < *pos && *pos <= gap.to);
        let expected: Vec<Position> = log
            .iter()
            .filter(|own| self.from < own.pos && own.pos <= self.upto)
            .filter(|own| self.filter.matches(&own.sensor) && !in_gap(&own.pos))
            .map(|own| own.pos)
            .collect();
        let differs =
            (0..expected.len().max(self.events.len())).find(|at| expected.get(*at) != self.events.get(*at));
        ensure!(
            differs.is_none(),
            "event {:?}: received {:?}, expected {:?}; from {} to {}, {} gaps, {} received, {} expected",
            differs,
            differs.and_then(|at| self.events.get(at)).map(Position::to_string),
            differs.and_then(|at| expected.get(at)).map(Position::to_string),
            self.from,
            self.upto,
            self.gaps.len(),
            self.events.len(),
            expected.len()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wire::{Epoch, Tick, frame::GapReason};

    use super::*;

    fn at(tick: i64) -> Position {
        Position::new(Epoch(1), Tick(tick), tick)
    }

    fn lived(events: &[i64], gaps: Vec<Gap>) -> Lived {
        Lived {
            asked: String::new(),
            filter: Filter::parse(Some(&["a"])).unwrap(),
            from: at(2),
            upto: at(8),
            events: events.iter().map(|tick| at(*tick)).collect(),
            gaps,
            wrong: None,
        }
    }

    #[test]
    fn lost_duplicate_foreign_and_late_events_are_found() {
        let sensor = |tick| if tick % 2 == 0 { "a" } else { "b" };
        let log: Vec<Committed> =
            (1..12).map(|tick| Committed { pos: at(tick), sensor: sensor(tick).to_owned() }).collect();
        lived(&[4, 6, 8], vec![]).check(&log).unwrap();
        let gap = Gap { from: at(2), to: at(5), reason: GapReason::Retention };
        lived(&[6, 8], vec![gap]).check(&log).unwrap();
        for wrong in [&[4, 8][..], &[4, 4, 6, 8], &[4, 5, 6, 8], &[6, 4, 8], &[2, 4, 6, 8]] {
            assert!(lived(wrong, vec![]).check(&log).is_err(), "{wrong:?}");
        }
        assert!(lived(&[4, 6, 8], vec![gap]).check(&log).is_err(), "what a gap says is missing did come");
    }
}
