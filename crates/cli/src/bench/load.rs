//! The load: POSTs whose times are planned in advance, so that a slow server does not slow the plan.

use std::{io::Write as _, time::Duration};

use tokio::{task::JoinSet, time};

use super::{
    clock::{Clock, Window},
    device_keys::DeviceKeys,
    follows,
    http::Connection,
    ledger::Write,
    socket::Address,
};
use crate::args::{Load, Posts};

/// No answer is awaited for longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Planned POSTs that a slow server has not let through by then are counted and not sent.
const OVERTIME: Duration = Duration::from_secs(10);

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// This many requests a second over all connections.
    Planned(f64),
    /// Each connection sends after its last answer.
    Max,
    /// The same, until this many requests are sent.
    Posts(u64),
}

/// A load before it runs.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) ingest: Address,
    pub(super) pace: Pace,
    pub(super) connections: u64,
    pub(super) readings: u64,
    pub(super) sensors: u64,
    pub(super) clock: Clock,
    pub(super) start: u64,
    pub(super) window: Window,
    /// What the requests present, if ingest asks for credentials.
    pub(super) keys: Option<DeviceKeys>,
}

/// One POST, in microseconds of the clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    /// When it was to be sent.
    pub(super) planned: u64,
    /// When it was sent.
    pub(super) sent: u64,
    /// When its answer had come.
    pub(super) answered: u64,
    /// How it ended.
    pub(super) outcome: Outcome,
}

/// How a POST ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 201.
    Stored,
    /// Any other status: nothing is stored.
    Refused,
    /// No answer: whether it is stored is not known.
    Failed,
}

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) requests: Vec<Request>,
    pub(super) writes: Vec<Write>,
    /// Planned, but not sent within [`OVERTIME`].
    pub(super) unsent: u64,
}

impl Sent {
    /// POSTs that were not answered with 201.
    pub(super) fn not_stored(&self) -> u64 {
        self.requests.iter().filter(|request| request.outcome != Outcome::Stored).count() as u64
    }
}

impl Plan {
    /// Starts now.
    pub(super) fn new(ingest: Address, load: &Load, pace: Pace, clock: Clock) -> Self {
        let start = clock.micros();
        let window = Window::after(start, load.warmup, load.duration);
        Self {
            ingest,
            pace,
            connections: u64::from(load.connections),
            readings: u64::from(load.readings),
            sensors: u64::from(load.sensors),
            clock,
            start,
            window,
            keys: None,
        }
    }

    /// This many readings, rounded up to full requests, as fast as they are taken, however long that takes.
    pub(super) fn of_readings(ingest: Address, readings: u32, posts: &Posts, clock: Clock) -> Self {
        let start = clock.micros();
        Self {
            ingest,
            pace: Pace::Posts(u64::from(readings.div_ceil(posts.together))),
            connections: u64::from(posts.connections),
            readings: u64::from(posts.together),
            sensors: u64::from(posts.sensors),
            clock,
            start,
            window: Window { from: start, to: u64::MAX },
            keys: None,
        }
    }

    /// When a connection's request number `nth` is due, if there is one.
    fn due(&self, lane: u64, nth: u64) -> Option<u64> {
        let of_all = nth * self.connections + lane;
        let due = match self.pace {
            Pace::Posts(posts) if of_all >= posts => return None,
            Pace::Max | Pace::Posts(_) => self.clock.micros(),
            Pace::Planned(per_second) => self.start + (of_all as f64 * 1e6 / per_second) as u64,
        };
        (due < self.window.to).then_some(due)
    }

    /// What a connection's request number `nth` presents.
    fn key(&self, lane: u64, nth: u64) -> &str {
        self.keys.as_ref().map_or("", |keys| keys.of(nth * self.connections + lane))
    }

    /// The sensor of a connection's `nth` reading: as far as there are enough, each sensor has one connection.
    fn sensor(&self, lane: u64, nth: u64) -> u64 {
        let own = (self.sensors.saturating_sub(lane % self.sensors)).div_ceil(self.connections).max(1);
        (lane + nth % own * self.connections) % self.sensors
    }

    /// Sends everything.
    pub(super) async fn run(&self) -> Sent {
        let mut lanes = JoinSet::new();
        for lane in 0..self.connections {
            let plan = self.clone();
            lanes.spawn(async move { Lane { plan, lane, body: Vec::new(), nth: 0 }.run().await });
        }
        let mut all = Sent::default();
        for sent in lanes.join_all().await {
            let before = all.requests.len() as u32;
            all.requests.extend(sent.requests);
            all.writes
                .extend(sent.writes.iter().map(|write| Write { request: write.request + before, ..*write }));
            all.unsent += sent.unsent;
        }
        all
    }
}

/// One connection's part.
struct Lane {
    plan: Plan,
    lane: u64,
    body: Vec<u8>,
    /// How many readings it has sent.
    nth: u64,
}

impl Lane {
    async fn run(mut self) -> Sent {
        let clock = self.plan.clock;
        let over = self.plan.window.to.saturating_add(OVERTIME.as_micros() as u64);
        let (mut sent, mut connection) = (Sent::default(), None);
        for nth in 0.. {
            let Some(planned) = self.plan.due(self.lane, nth) else { break };
            let now = clock.micros();
            if now > over {
                sent.unsent += 1;
                continue;
            }
            if planned > now {
                time::sleep_until(clock.at(planned).into()).await;
            }
            let first = self.nth;
            self.write_body(planned);
            let request = sent.requests.len() as u32;
            let begun = clock.micros();
            let key = self.plan.key(self.lane, nth);
            let answer = post(&mut connection, &self.plan.ingest, (key, &self.body));
            let answer = time::timeout(ANSWER_LIMIT, answer).await;
            let answered = clock.micros();
            let outcome = match answer {
                Ok(Ok(answer)) if answer.status == 201 => {
                    sent.writes.extend(answer.ids.iter().zip(first..).map(|(id, nth)| {
                        let stream = self.lane << 32 | self.plan.sensor(self.lane, nth);
                        Write { id: *id, stream, request }
                    }));
                    Outcome::Stored
                }
                Ok(Ok(_)) => Outcome::Refused,
                Ok(Err(_)) | Err(_) => {
                    connection = None;
                    // an unreachable server refuses at once: without a pause this would be a busy loop
                    time::sleep(Duration::from_millis(20)).await;
                    Outcome::Failed
                }
            };
            sent.requests.push(Request { planned, sent: begun, answered, outcome });
        }
        sent
    }

    /// The next readings, as an object or an array.
    fn write_body(&mut self, planned: u64) {
        let (readings, many) = (self.plan.readings, self.plan.readings > 1);
        self.body.clear();
        self.body.extend_from_slice(if many { b"[" } else { b"" });
        for k in 0..readings {
            let sensor = self.plan.sensor(self.lane, self.nth);
            let comma = if k > 0 { "," } else { "" };
            // any value will do, as long as it moves
            let value = (planned / 1_000 + k) % 4_000;
            write!(
                self.body,
                r#"{comma}{{"sensor_id":"{}","value":{}.{:02},"metadata":{{"unit":"C"}}}}"#,
                follows::sensor(sensor),
                value / 100,
                value % 100
            )
            .expect("writing to memory does not fail");
            self.nth += 1;
        }
        self.body.extend_from_slice(if many { b"]" } else { b"" });
    }
}

async fn post(
    connection: &mut Option<Connection>,
    ingest: &Address,
    (key, body): (&str, &[u8]),
) -> anyhow::Result<super::http::Answered> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(Connection::open(ingest).await?),
    };
    connection.post(key, body).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn plan(connections: u64, sensors: u64, pace: Pace) -> Plan {
        let clock = Clock::start();
        let window = Window { from: 1_000_000, to: 3_000_000 };
        let ingest = Address::parse("http://127.0.0.1:1").unwrap();
        Plan { ingest, pace, connections, readings: 2, sensors, clock, start: 0, window, keys: None }
    }

    #[test]
    fn planned_times_are_even_over_all_connections() {
        let plan = plan(4, 4, Pace::Planned(1_000.0));
        let mut due: Vec<u64> = (0..4)
            .flat_map(|lane| {
                (0..)
                    .map_while(move |nth| Some((lane, nth)))
                    .map_while(|(lane, nth)| plan.due(lane, nth))
                    .collect::<Vec<_>>()
            })
            .collect();
        due.sort_unstable();
        assert_eq!(due, (0..3_000).map(|k| k * 1_000).collect::<Vec<u64>>());
    }

    #[test]
    fn a_number_of_posts_is_shared_by_the_connections() {
        let plan = plan(4, 4, Pace::Posts(10));
        let posts = |lane| (0..).take_while(|nth| plan.due(lane, *nth).is_some()).count();
        assert_eq!([0, 1, 2, 3].map(posts), [3, 3, 2, 2]);
    }

    #[track_caller]
    fn check_sensors(connections: u64, sensors: u64, alone: bool) {
        let plan = plan(connections, sensors, Pace::Max);
        let mut owners: HashMap<u64, Vec<u64>> = HashMap::new();
        for lane in 0..connections {
            let mut own: Vec<u64> = (0..sensors).map(|nth| plan.sensor(lane, nth)).collect();
            own.sort_unstable();
            own.dedup();
            own.into_iter().for_each(|sensor| owners.entry(sensor).or_default().push(lane));
        }
        assert_eq!(owners.len() as u64, sensors, "every sensor is written");
        assert!(owners.keys().all(|sensor| *sensor < sensors));
        assert_eq!(owners.values().all(|lanes| lanes.len() == 1), alone);
    }

    #[test]
    fn every_sensor_has_one_connection_if_there_are_enough() {
        check_sensors(64, 100, true);
        check_sensors(64, 64, true);
        check_sensors(3, 10, true);
        check_sensors(64, 10, false);
        check_sensors(1, 7, true);
    }

    #[test]
    fn a_body_is_an_object_or_an_array() {
        for (readings, array) in [(1, false), (2, true)] {
            let plan = Plan { readings, ..plan(4, 4, Pace::Max) };
            let mut lane = Lane { plan, lane: 3, body: Vec::new(), nth: 0 };
            lane.write_body(1_234_567);
            let body: serde_json::Value = serde_json::from_slice(&lane.body).unwrap();
            assert_eq!(body.is_array(), array);
            let reading = if array { &body[1] } else { &body };
            assert_eq!(reading["sensor_id"], "bench-0003");
            assert!(reading["value"].is_number());
        }
    }
}
