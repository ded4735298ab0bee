//! The hub's registration against its publishing, under thousands of schedules of their threads: nothing is missed,
//! nothing comes twice, and no session waits for ever.

use shuttle::thread;
use store::log::TickReadings;
use time::macros::datetime;
use wire::{Epoch, Reading, Tick};

use super::*;
use crate::fanout::lock::in_model;

const TICKS: i64 = 4;
const SCHEDULES: usize = 5_000;

pub(super) fn at(tick: i64) -> Position {
    Position::new(Epoch(1), Tick(tick), tick)
}

/// Tick n holds one reading with the id n, of sensor `a`.
pub(super) fn batch(tick: i64) -> Arc<Batch> {
    batch_of(tick, &["a"])
}

/// Tick n holds a reading of each of these sensors, the last with the id n.
pub(super) fn batch_of(tick: i64, sensors: &[&str]) -> Arc<Batch> {
    let time = datetime!(2026-11-23 08:00 UTC);
    let first = tick + 1 - sensors.len() as i64;
    let reading = |(id, sensor): (i64, &&str)| Reading {
        id,
        sensor_id: (*sensor).to_owned(),
        value: 1.0,
        timestamp: time,
        metadata: "{}".to_owned(),
        created_at: time,
        updated_at: time,
    };
    let readings = (first..).zip(sensors).map(reading).collect();
    let readings = TickReadings::new(Epoch(1), Tick(tick), time, readings);
    Arc::new(Batch::from_log(at(tick - 1), &readings).unwrap())
}

/// What one subscription has got, and behind which position.
struct Got {
    from: Position,
    ids: Vec<i64>,
}

impl Got {
    fn take(&mut self, batch: &Batch) {
        for row in batch.first_after(self.end())..batch.count() {
            self.ids.push(batch.row(row).1.id);
        }
    }

    fn end(&self) -> Position {
        self.ids.last().map_or(self.from, |id| at(*id))
    }

    fn take_mail(&mut self, mailbox: &Mailbox) {
        for delivery in mailbox.take().deliveries {
            assert!(matches!(delivery.selection, Selection::All | Selection::Each), "its only reading");
            self.take(&delivery.batch);
        }
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(self.ids, (self.from.id + 1..=TICKS).collect::<Vec<_>>(), "behind {}", self.from);
    }
}

fn attach(hub: &Hub, mailbox: &Arc<Mailbox>, filter: &Arc<Filter>, got: Option<Got>) -> Got {
    let after = got.as_ref().map(Got::end);
    let Attach::Live { head, missing } = hub.attach(mailbox, 1, filter, after) else {
        panic!("the window holds everything")
    };
    let mut got = got.unwrap_or(Got { from: head, ids: Vec::new() });
    missing.iter().for_each(|batch| got.take(batch));
    got
}

fn filters() -> [Arc<Filter>; 3] {
    let parse = |sensors: &[&str]| Arc::new(Filter::parse(Some(sensors)).unwrap());
    [Arc::new(Filter::All), parse(&["a"]), parse(&["a*", "b"])]
}

fn registration_against_publishing() {
    let hub = Hub::new(1 << 20);
    hub.start_at(at(0));
    let publisher = {
        let hub = hub.clone();
        thread::spawn(move || {
            (1..=TICKS).for_each(|tick| {
                hub.publish(batch(tick));
            })
        })
    };
    let subscribers = filters().map(|filter| {
        let (hub, mailbox) = (hub.clone(), Mailbox::new());
        thread::spawn(move || {
            let got = attach(&hub, &mailbox, &filter, None);
            (mailbox, got)
        })
    });
    // one that comes back where it left off, as after a slow moment
    let returning = {
        let hub = hub.clone();
        thread::spawn(move || {
            let (mailbox, [filter, ..]) = (Mailbox::new(), filters());
            let mut got = attach(&hub, &mailbox, &filter, None);
            hub.detach(mailbox.session, 1);
            got.take_mail(&mailbox);
            let got = attach(&hub, &mailbox, &filter, Some(got));
            (mailbox, got)
        })
    };
    // and one that only comes and goes
    let passing = {
        let hub = hub.clone();
        thread::spawn(move || {
            let mailbox = Mailbox::new();
            attach(&hub, &mailbox, &filters()[2], None);
            hub.leave(mailbox.session);
        })
    };
    publisher.join().unwrap();
    passing.join().unwrap();
    for subscriber in subscribers.into_iter().chain([returning]) {
        let (mailbox, mut got) = subscriber.join().unwrap();
        got.take_mail(&mailbox);
        got.check();
    }
}

/// The feed restarts past a gap that it cannot fill: a session that sees a head has either got everything up
/// to it, or knows that it must read the log.
fn marks_against_a_new_start() {
    let hub = Hub::new(1 << 20);
    hub.start_at(at(0));
    let publisher = {
        let hub = hub.clone();
        thread::spawn(move || {
            hub.publish(batch(1));
            hub.start_at(at(3));
            hub.publish(batch(4));
        })
    };
    let subscribers = filters().map(|filter| {
        let (hub, mailbox) = (hub.clone(), Mailbox::new());
        thread::spawn(move || {
            let mut got = attach(&hub, &mailbox, &filter, None);
            for _ in 0..3 {
                let head = hub.head().expect("it has begun");
                let mail = mailbox.take();
                mail.deliveries.iter().for_each(|delivery| got.take(&delivery.batch));
                if mail.overflowed {
                    // the log has what lies between; the hub lets it in behind that
                    let Attach::Live { head, missing } = hub.attach(&mailbox, 1, &filter, Some(at(3))) else {
                        panic!("the window begins there")
                    };
                    got = Got { from: at(3), ids: Vec::new() };
                    missing.iter().for_each(|batch| got.take(batch));
                    assert_eq!(got.end(), head);
                } else {
                    assert!(got.end() >= head, "a mark at {head}, though it has come to {}", got.end());
                }
            }
        })
    });
    publisher.join().unwrap();
    subscribers.into_iter().for_each(|subscriber| subscriber.join().unwrap());
}

#[test]
fn no_mark_passes_what_a_session_has_not_got() {
    in_model(|| {
        shuttle::check_random(marks_against_a_new_start, SCHEDULES);
        shuttle::check_pct(marks_against_a_new_start, SCHEDULES, 3);
    });
}

#[test]
fn no_schedule_loses_or_doubles_a_reading_or_deadlocks() {
    in_model(|| {
        shuttle::check_random(registration_against_publishing, SCHEDULES);
        shuttle::check_pct(registration_against_publishing, SCHEDULES, 3);
    });
}
