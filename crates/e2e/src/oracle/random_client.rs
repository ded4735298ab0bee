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

use super::{
    grants::{Grants, Token},
    truth::{Committed, Horizon},
};
use crate::{
    client::{self, Socket},
    tokens::Issuer,
};

/// Positions that any client has seen, from which others may resume.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions(Arc<Mutex<Vec<Position>>>);

impl Positions {
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

/// What all clients share.
pub(super) struct Sources {
    pub(super) gateways: Arc<[SocketAddr]>,
    pub(super) positions: Positions,
    pub(super) horizon: Horizon,
    pub(super) issuer: Arc<Issuer>,
}

/// A client that chooses at random.
pub(super) struct RandomClient {
    number: u64,
    rng: StdRng,
    sources: Sources,
    /// The token that was sent last, and the command that is not answered yet.
    renewing: Option<(u64, Token)>,
    commands: u64,
}

/// What one subscription received from its beginning to its end.
#[derive(Debug)]
pub(super) struct Recorded {
    /// For the report of a failure.
    pub(super) request: String,
    filter: Filter,
    /// Everything after this position must have arrived.
    from: Position,
    /// Up to this position.
    upto: Position,
    pub(super) events: Vec<Position>,
    pub(super) gaps: Vec<Gap>,
    /// What its tokens granted.
    pub(super) grants: Grants,
    /// A gap that retention did not cause, or another error.
    wrong: Option<String>,
}

impl RandomClient {
    pub(super) fn new(number: u64, rng: StdRng, sources: Sources) -> Self {
        Self { number, rng, sources, renewing: None, commands: 1 }
    }

    /// Makes one subscription after the other, until stopped.
    pub(super) async fn run(mut self, stopped: watch::Receiver<bool>) -> Vec<Recorded> {
        let mut all = Vec::new();
        while !*stopped.borrow() {
            all.extend(self.one(&stopped).await);
        }
        all
    }

    /// A subscription, resumed a few times; `None` where it never began.
    async fn one(&mut self, stopped: &watch::Receiver<bool>) -> Option<Recorded> {
        let sensors = *SENSORS.choose(&mut self.rng)?;
        let patterns: Vec<String> = serde_json::from_str(sensors).expect("a list");
        let old = if self.rng.random_bool(0.6) { self.sources.positions.any(&mut self.rng) } else { None };
        let start = old.map_or("now".to_owned(), |pos| pos.to_string());
        let mut recorded = Recorded {
            request: format!("{sensors} from {start}"),
            filter: Filter::parse(Some(&patterns)).expect("a filter"),
            from: old.unwrap_or_default(),
            upto: old.unwrap_or_default(),
            events: Vec::new(),
            gaps: Vec::new(),
            grants: Grants::default(),
            wrong: None,
        };
        let mut active = old.is_some();
        for _ in 0..self.rng.random_range(1..5) {
            if *stopped.borrow() {
                break;
            }
            let from = if active { recorded.upto.to_string() } else { "now".to_owned() };
            let body = format!(r#"{{"sensors":{sensors},"from":"{from}"}}"#);
            let token = Token::random(&self.sources.issuer, self.number, &mut self.rng);
            // a killed gateway is tried again, or another one
            let Ok(socket) = self.connect(&token, &body).await else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            recorded.grants.begin(token.filter, recorded.upto);
            let slow = self.rng.random_bool(0.3);
            let time = Duration::from_millis(self.rng.random_range(50..4_000));
            self.listen(socket, &mut recorded, &mut active, slow, time).await;
        }
        active.then_some(recorded)
    }

    async fn connect(&mut self, token: &Token, body: &str) -> Result<Socket> {
        self.renewing = None;
        let gateway = *self.sources.gateways.choose(&mut self.rng).context("there are gateways")?;
        let mut socket = timeout(Duration::from_secs(3), client::connect_v1(gateway)).await??;
        let Token { text, .. } = token;
        let first = format!(r#"[{{"auth":{{"token":"{text}"}}}},{{"id":1,"subscribe":{body}}}]"#);
        client::try_send(&mut socket, &first).await?;
        Ok(socket)
    }

    /// Sends another token from time to time, once the one before has shown its effect.
    async fn renew(&mut self, socket: &mut Socket, recorded: &Recorded) {
        if self.renewing.is_some() || recorded.grants.is_open() || !self.rng.random_bool(0.1) {
            return;
        }
        self.commands += 1;
        let (id, token) = (self.commands, Token::random(&self.sources.issuer, self.number, &mut self.rng));
        let command = format!(r#"{{"id":{id},"auth":{{"token":"{}"}}}}"#, token.text);
        // a connection that ends here ends for the reader, too
        let _ = client::try_send(socket, &command).await;
        self.renewing = Some((id, token));
    }

    /// Until the time is over or the connection ends.
    async fn listen(
        &mut self,
        mut socket: Socket,
        recorded: &mut Recorded,
        active: &mut bool,
        slow: bool,
        time: Duration,
    ) {
        let until = Instant::now() + time;
        while Instant::now() < until
            && let Ok(Ok(messages)) = timeout_at(until, client::next_messages(&mut socket)).await
        {
            for message in messages {
                self.receive(&message, recorded, active);
            }
            if *active {
                self.renew(&mut socket, recorded).await;
            }
            if slow {
                // the reading speed, not a wait for anything
                sleep(Duration::from_millis(self.rng.random_range(10..120))).await;
            }
        }
    }

    fn receive(&mut self, message: &ServerMessage, recorded: &mut Recorded, active: &mut bool) {
        if let Some(error) = &message.error {
            recorded.wrong = Some(format!("refused: {}", error.message));
        }
        if message.auth.is_some()
            && let Some((_, token)) = self.renewing.take_if(|(id, _)| message.id == Some(*id))
        {
            recorded.grants.change(token.filter, recorded.upto);
        }
        if let Some(gap) = message.gap {
            self.check_gap(gap, recorded);
            recorded.gaps.push(gap);
            recorded.upto = gap.to;
            recorded.grants.note(gap.to);
        }
        if let Some(pos) = message.ok.as_ref().and_then(|ok| ok.pos)
            && !*active
        {
            (recorded.from, recorded.upto, *active) = (pos, pos, true);
        }
        if message.data.is_some() {
            recorded.events.extend(message.pos);
        }
        let live = message.live.map(|live| live.pos);
        let mark = message.mark.map(|mark| mark.pos);
        for pos in [message.pos, live, mark].into_iter().flatten() {
            recorded.upto = recorded.upto.max(pos);
            recorded.grants.note(pos);
            if self.rng.random_bool(0.05) {
                self.sources.positions.add(pos);
            }
        }
    }

    /// A gap is right only where the log no longer reached back.
    fn check_gap(&self, gap: Gap, recorded: &mut Recorded) {
        let base = if gap.from.ends_tick() { gap.from.tick.0 } else { gap.from.tick.0 - 1 };
        let horizon = self.sources.horizon.now();
        if base >= horizon.0 || gap.to.tick > horizon {
            recorded.wrong = Some(format!("{gap:?} while the log reached back to {horizon:?}"));
        }
    }
}

impl Recorded {
    /// Compares what was received with the committed log.
    pub(super) fn check(&self, log: &[Committed]) -> Result<()> {
        if let Some(wrong) = &self.wrong {
            bail!("{wrong}");
        }
        let in_gap = |pos: &Position| self.gaps.iter().any(|gap| gap.from < *pos && *pos <= gap.to);
        let selected: Vec<Committed> = log
            .iter()
            .filter(|own| self.from < own.pos && own.pos <= self.upto)
            .filter(|own| self.filter.matches(&own.sensor) && !in_gap(&own.pos))
            .cloned()
            .collect();
        let is_granted = self.grants.of(&selected, &self.events);
        let expected: Vec<Position> =
            selected.iter().filter(|own| is_granted(own)).map(|own| own.pos).collect();
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

    fn recorded(events: &[i64], gaps: Vec<Gap>) -> Recorded {
        let mut grants = Grants::default();
        grants.begin(Filter::All, Position::default());
        Recorded {
            grants,
            request: String::new(),
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
        recorded(&[4, 6, 8], vec![]).check(&log).unwrap();
        let gap = Gap { from: at(2), to: at(5), reason: GapReason::Retention };
        recorded(&[6, 8], vec![gap]).check(&log).unwrap();
        for wrong in [&[4, 8][..], &[4, 4, 6, 8], &[4, 5, 6, 8], &[6, 4, 8], &[2, 4, 6, 8]] {
            assert!(recorded(wrong, vec![]).check(&log).is_err(), "{wrong:?}");
        }
        assert!(
            recorded(&[4, 6, 8], vec![gap]).check(&log).is_err(),
            "what a gap reports as missing arrived"
        );
    }
}
