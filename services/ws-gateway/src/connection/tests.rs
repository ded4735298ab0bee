//! A connection over peers that no socket could play on demand.

use std::{net::Ipv4Addr, sync::Arc};

use access::Gate;
use chassis::{Life, Readiness};
use instruments::{IntGauge, Registry};
use store::{Database, Options, log::TickReadings};
use time::OffsetDateTime;
use wire::{Epoch, Reading, Tick};

use super::*;
use crate::{
    admission::{roster::Roster, subjects::Subjects},
    config::LimitsConfig,
    fanout::{batch::Batch, hub::Hub, replay::Replay},
    gateway::{Documents, Gateway},
    history_reader::HistoryReader,
    metrics::Metrics,
    outbox::Backlog,
    tickets::Tickets,
};

/// How many messages of a peer that never pauses may be read before another event is handled: with a fair choice each
/// of several has, long before.
const MAX_MESSAGES: usize = 1_000;

const EPOCH: Epoch = Epoch(7);

/// A gateway without a database.
fn app() -> App {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let options = Options::new("postgres://127.0.0.1:1/none", "test").unwrap();
    let (hub, life) = (Hub::new(64 << 20), Life::new());
    hub.start_at(Position::after_tick(EPOCH, Tick(1)));
    hub.set_feed_state(FeedState::Current);
    let open = IntGauge::new("open", "open").unwrap();
    let room = Readiness::new(&life, &Registry::new()).unwrap().condition("room");
    let second = Duration::from_secs(1);
    let redis = bus::Options::at("redis://127.0.0.1:1", "test").unwrap();
    Arc::new(Gateway {
        gate: Gate::open(),
        tickets: Tickets::new(redis, Database::new(&options, 1)),
        replay: Replay::new(hub.clone(), Database::new(&options, 1), metrics.clone()),
        history: HistoryReader::new(options, metrics.clone()),
        subjects: Subjects::default(),
        roster: Roster::new((10, 10), hub.clone(), room, open),
        hub,
        life,
        shared_clock: chassis::Clock::register(&Registry::new()).unwrap(),
        metrics,
        limits: Arc::new(
            LimitsConfig { commands_per_s: 1_000_000, ..LimitsConfig::default() }.of_connection(),
        ),
        timers: Timers { ping_every: 25 * second, pong_deadline: 20 * second, max_age: None },
        backlog: Backlog::new(usize::MAX, Arc::default()),
        prefix: chassis::Prefix::default(),
        documents: Documents::default(),
    })
}

fn connection<P: Peer>(app: &App, peer: P) -> Connection<P> {
    let permit = app.roster.admit(Ipv4Addr::LOCALHOST.into()).unwrap();
    let admitted = Admitted { permit, subject: None, head: app.hub.head().unwrap() };
    let query = Subscribe::default();
    Connection::begin(app.clone(), peer, admitted, Some(Caller::open()), (Protocol::V1, Some(&query)))
}

/// The next tick, with so many readings of so much metadata.
fn batch(app: &App, count: i64, bytes: usize) -> Arc<Batch> {
    let head = app.hub.head().unwrap();
    let at = OffsetDateTime::UNIX_EPOCH;
    let reading = |id: i64| Reading {
        id,
        sensor_id: "delivered".to_owned(),
        value: 1.0,
        timestamp: at,
        metadata: format!("\"{}\"", "x".repeat(bytes)),
        created_at: at,
        updated_at: at,
    };
    let tick = TickReadings::new(EPOCH, head.tick.next(), at, (1..=count).map(reading).collect());
    Arc::new(Batch::from_log(head, &tick).unwrap())
}

/// Takes everything at once, and never pauses sending.
struct NeverPauses {
    app: App,
    messages: usize,
    received: Vec<u8>,
}

impl Peer for NeverPauses {
    const ANSWERS_CLOSE: bool = false;

    async fn exchange(&mut self, out: &mut Outbox, _: bool) -> io::Result<PeerEvent> {
        if self.messages == 0 {
            self.app.hub.publish(batch(&self.app, 1, 1));
        }
        self.messages += 1;
        let bytes = out.bytes();
        self.received.extend(out.chunks(usize::MAX).iter().flat_map(|chunk| chunk.to_vec()));
        out.advance(bytes.min(self.received.len()));
        let is_delivered = self.received.windows(9).any(|bytes| bytes == b"delivered");
        self.received.clear();
        assert!(self.messages < MAX_MESSAGES, "the reading was not delivered");
        Ok(if is_delivered { PeerEvent::Closed(None) } else { PeerEvent::Text(r#"{"ping":{}}"#.to_owned()) })
    }
}

#[tokio::test]
async fn a_client_that_never_pauses_gets_readings_all_the_same() {
    let app = app();
    let peer = NeverPauses { app: app.clone(), messages: 0, received: Vec::new() };
    connection(&app, peer).serve().await;
    assert_eq!(app.hub.attached().get(), 0);
}

/// Never takes a byte.
struct NeverReads {
    app: App,
    batch: Option<Arc<Batch>>,
}

impl Peer for NeverReads {
    const ANSWERS_CLOSE: bool = true;

    async fn exchange(&mut self, _: &mut Outbox, _: bool) -> io::Result<PeerEvent> {
        if let Some(batch) = self.batch.take() {
            self.app.hub.publish(batch);
        }
        std::future::pending().await
    }
}

#[tokio::test]
async fn more_than_any_session_needs_ends_the_connection() {
    let app = app();
    // no tick's page is so large
    let peer = NeverReads { app: app.clone(), batch: Some(batch(&app, 20, 1_000_000)) };
    connection(&app, peer).serve().await;
    assert_eq!(app.metrics.closes.of(Ended(Some(Close::Overloaded))).get(), 1);
    assert_eq!(app.hub.attached().get(), 0);
}

/// A fault of ours.
struct Broken;

impl Peer for Broken {
    const ANSWERS_CLOSE: bool = false;

    async fn exchange(&mut self, _: &mut Outbox, _: bool) -> io::Result<PeerEvent> {
        panic!("as a fault would")
    }
}

#[tokio::test]
async fn a_panic_leaves_nothing_in_the_hub_and_the_roster() {
    let app = app();
    let mut connection = connection(&app, Broken);
    assert_eq!((app.hub.attached().get(), app.roster.all().len()), (1, 1));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { connection.serve().await });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    assert_eq!((app.hub.attached().get(), app.roster.all().len()), (0, 0));
}
