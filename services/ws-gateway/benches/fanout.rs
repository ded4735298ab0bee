//! What a delivery costs on its way from the feed to the socket's door, and what it allocates.
//!
//! `cargo bench -p ws-gateway --bench fanout`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::{alloc::System, hint::black_box, sync::Arc};

use auth::{Grant, Scope, Subject};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use store::log::TickReadings;
use time::macros::datetime;
use tokio::time::Instant;
use wire::{EntryBuilder, Epoch, Position, Reading, Tick, frame::Limits};
use ws_gateway::{
    encode::Protocol,
    fanout::{batch::Batch, hub::Hub, mailbox::Mailbox},
    outbox::Outbox,
    session::{Opening, Session, effect::Effect},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LIMITS: Limits =
    Limits { message_bytes: 1 << 16, subscriptions: 64, patterns: 256, fragments: 64, commands_per_s: 50 };

fn at(tick: i64, id: i64) -> Position {
    Position::new(Epoch(1), Tick(tick), id)
}

fn reading(id: i64, sensor: &str) -> Reading {
    let time = datetime!(2026-11-23 08:00 UTC);
    Reading {
        id,
        sensor_id: sensor.to_owned(),
        value: 21.57,
        timestamp: time,
        metadata: r#"{"unit":"C"}"#.to_owned(),
        created_at: time,
        updated_at: time,
    }
}

/// A tick of so many readings, of one sensor or of one each.
fn batch(tick: i64, rows: i64, sensor: impl Fn(i64) -> String) -> Arc<Batch> {
    let first = tick * 1_000;
    let readings = (first..first + rows).map(|id| reading(id, &sensor(id))).collect();
    let readings = TickReadings::new(Epoch(1), Tick(tick), datetime!(2026-11-23 08:00 UTC), readings);
    Arc::new(Batch::from_log(at(tick - 1, first - 1), &readings).unwrap())
}

/// A client with one subscription, as far as its socket.
struct Client {
    mailbox: Arc<Mailbox>,
    session: Session,
    outbox: Outbox,
}

impl Client {
    fn attached(hub: &Hub, sensors: Option<Vec<String>>) -> Self {
        let (mailbox, mut outbox) = (Mailbox::new(), Outbox::default());
        let query = wire::Subscribe { sensors, ..wire::Subscribe::default() };
        let now = Instant::now();
        let grant = Grant {
            subject: Subject::Anonymous,
            write: Scope::none(),
            read: Scope::all(),
            limits: auth::Limits::default(),
            expires_at: None,
        };
        let opening = Opening {
            protocol: Protocol::V1,
            number: mailbox.session,
            limits: Arc::new(LIMITS),
            asks: false,
            grant: Some(Arc::new(grant)),
            share: None,
            query: Some(&query),
        };
        let (mut session, effects) = Session::begin(opening, (hub.head().unwrap(), now), &mut outbox);
        for effect in effects {
            let Effect::Attach { sub, filter, after } = effect else { panic!("{effect:?}") };
            let attach = hub.attach(&mailbox, sub, &filter, after);
            session.on_attach(sub, attach, now, &mut outbox);
        }
        outbox.advance(outbox.bytes());
        Self { mailbox, session, outbox }
    }

    /// What a connection does between two waits: takes the mail and writes all of it.
    fn serve(&mut self, now: Instant) -> usize {
        for delivery in &self.mailbox.take().deliveries {
            self.session.on_delivery(delivery, now, &mut self.outbox);
        }
        let bytes = black_box(self.outbox.chunks(usize::MAX)).iter().map(|slice| slice.len()).sum();
        self.outbox.advance(bytes);
        bytes
    }
}

fn hub() -> Hub {
    let hub = Hub::new(1 << 20);
    hub.start_at(at(0, 0));
    hub
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode an entry");
    for rows in [1, 20, 1_000] {
        let mut entry = EntryBuilder::new(0);
        for id in 0..rows {
            entry.push(id, "bench-0001", |out| reading(id, "bench-0001").write_json(out));
        }
        let bytes = Bytes::from(entry.finish());
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::from_parameter(rows), |b| {
            b.iter(|| Batch::decode(at(0, 0), at(1, rows), None, bytes.clone()).unwrap());
        });
    }
}

/// From the feed to what a socket would write, for clients that want everything.
fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("fan out, a delivery");
    for (clients, rows) in [(100, 1), (100, 20), (1_000, 1), (1_000, 20)] {
        let hub = hub();
        let mut all: Vec<Client> = (0..clients).map(|_| Client::attached(&hub, None)).collect();
        let (mut tick, now) = (0, Instant::now());
        let publish = |all: &mut Vec<Client>, batch: Arc<Batch>| {
            hub.publish(batch);
            all.iter_mut().map(|client| client.serve(now)).sum::<usize>()
        };
        let deliveries = clients as u64 * rows as u64;
        group.throughput(Throughput::Elements(deliveries));
        let name = format!("{clients} clients, {rows} readings a tick");
        let mut next = || {
            tick += 1;
            batch(tick, rows, |_| "bench-0001".to_owned())
        };
        publish(&mut all, next());
        let fresh = next();
        let region = Region::new(ALLOCATOR);
        publish(&mut all, fresh);
        let each = region.change().allocations as f64 / deliveries as f64;
        println!("{name}: {each:.3} allocations a delivery");
        group.bench_function(name, |b| {
            b.iter_batched(&mut next, |batch| publish(&mut all, batch), BatchSize::SmallInput);
        });
    }
}

/// One client that wants a sensor, beside many that want others.
fn interest(c: &mut Criterion) {
    let mut group = c.benchmark_group("one delivery beside others");
    for others in [0, 1_000, 100_000] {
        for (kind, sensor) in [("sensors", "other-"), ("prefixes", "oth-")] {
            let hub = hub();
            let mut own = Client::attached(&hub, Some(vec!["own".to_owned()]));
            let star = if kind == "prefixes" { "*" } else { "" };
            let crowd: Vec<Client> = (0..others)
                .map(|n| Client::attached(&hub, Some(vec![format!("{sensor}{n}{star}")])))
                .collect();
            let (mut tick, now) = (0, Instant::now());
            let mut next = || {
                tick += 1;
                batch(tick, 1, |_| "own".to_owned())
            };
            group.bench_function(format!("{others} that want other {kind}"), |b| {
                b.iter_batched(
                    &mut next,
                    |batch| {
                        hub.publish(batch);
                        own.serve(now)
                    },
                    BatchSize::SmallInput,
                );
            });
            drop(crowd);
        }
    }
}

/// For how long a publish has the hub to itself: whoever subscribes meanwhile waits.
fn lock(c: &mut Criterion) {
    let mut group = c.benchmark_group("the hub's lock");
    group.sample_size(20);
    let long = |id: i64| format!("{}{id}", "long-".repeat(20));
    let crowd = |hub: &Hub, clients: usize, sensors: Option<Vec<String>>| -> Vec<Client> {
        (0..clients).map(|_| Client::attached(hub, sensors.clone())).collect()
    };
    // a subscription's patterns, each of another length, on sensors that all of them mean
    let every_length = |n: usize| Some((1..=n).map(|length| format!("{}*", &long(0)[..length])).collect());
    for (name, clients, sensors) in [
        ("20,000 that want everything", 20_000, None),
        ("20,000 that want a prefix", 20_000, Some(vec!["long-*".to_owned()])),
        ("one with 100 prefixes", 1, every_length(100)),
        ("200 with 100 prefixes each", 200, every_length(100)),
    ] {
        for rows in [1, 100] {
            let hub = hub();
            let mut all = crowd(&hub, clients, sensors.clone());
            let mut tick = 0;
            group.bench_function(format!("{name}, {rows} readings a tick"), |b| {
                b.iter_custom(|rounds| {
                    let mut held = std::time::Duration::ZERO;
                    for _ in 0..rounds {
                        tick += 1;
                        let batch = batch(tick, rows, long);
                        let began = std::time::Instant::now();
                        let deliveries = hub.publish(batch);
                        held += began.elapsed();
                        assert_eq!(deliveries, clients * rows as usize, "{name}");
                        all.iter_mut().for_each(|client| drop(client.mailbox.take()));
                    }
                    held
                });
            });
        }
    }
}

criterion_group!(benches, decode, fan_out, interest, lock);
criterion_main!(benches);
