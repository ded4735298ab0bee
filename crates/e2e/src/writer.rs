//! Devices and SQL sessions that write continuously.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use testkit::postgres::psql;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::http;

/// A device without an answer for this long sends its next reading: longer than ingest takes to refuse one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Between a writer's readings.
const PACE: Duration = Duration::from_millis(4);

/// Writers that run until they are stopped.
#[derive(Debug)]
pub struct Writers {
    stop: Arc<AtomicBool>,
    accepted: Arc<Mutex<Accepted>>,
    tasks: JoinSet<()>,
}

/// The answers that devices got.
#[derive(Debug, Default)]
struct Accepted {
    /// Readings that were answered with 201.
    ids: BTreeSet<i64>,
    /// The longest time until a reading was accepted.
    longest_refusal: Duration,
}

impl Writers {
    /// Starts so many devices that POST, each its own sensor, and one psql that inserts.
    pub fn start(devices: usize, ingest: SocketAddr, database: &str) -> Self {
        let mut writers = Self::devices(0..devices, ingest);
        writers.tasks.spawn(insert(database.to_owned(), writers.stop.clone()));
        writers
    }

    /// Starts the devices with these numbers, which POST, each its own sensor.
    pub fn devices(numbers: Range<usize>, ingest: SocketAddr) -> Self {
        let mut writers = Self { stop: Arc::default(), accepted: Arc::default(), tasks: JoinSet::new() };
        for device in numbers {
            writers.tasks.spawn(post(device, ingest, writers.stop.clone(), writers.accepted.clone()));
        }
        writers
    }

    /// How many readings were answered with 201.
    pub fn acknowledged(&self) -> usize {
        self.accepted(|accepted| accepted.ids.len())
    }

    /// The longest time until a device's reading was accepted.
    pub fn longest_refusal(&self) -> Duration {
        self.accepted(|accepted| accepted.longest_refusal)
    }

    fn accepted<T>(&self, read: impl FnOnce(&mut Accepted) -> T) -> T {
        read(&mut self.accepted.lock().expect("no writer panics with the lock"))
    }

    /// Stops them and returns the ids that were answered with 201.
    pub async fn finish(mut self) -> BTreeSet<i64> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a writer does not panic");
        }
        self.accepted(|accepted| std::mem::take(&mut accepted.ids))
    }
}

async fn post(device: usize, ingest: SocketAddr, stop: Arc<AtomicBool>, accepted: Arc<Mutex<Accepted>>) {
    let (mut value, mut began) = (0, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        // after a refusal the device sends another reading: the refused one may have been stored nevertheless
        if let Ok(Ok(ids)) = timeout(ANSWER_TIMEOUT, post_one(device, value, ingest)).await
            && !ids.is_empty()
        {
            let mut accepted = accepted.lock().expect("no writer panics with the lock");
            accepted.ids.extend(ids);
            accepted.longest_refusal = accepted.longest_refusal.max(began.elapsed());
            began = Instant::now();
        }
        tokio::time::sleep(PACE).await;
    }
}

/// One reading, or from time to time an array.
async fn post_one(device: usize, value: i64, ingest: SocketAddr) -> Result<Vec<i64>> {
    let reading = |n: i64| format!(r#"{{"sensor_id":"writer-{device}","value":{n}}}"#);
    if value % 10 != 0 {
        let answer = http::post(ingest, "/api/sensors/", &reading(value * 10)).await?;
        return Ok(answer.json()["id"].as_i64().into_iter().collect());
    }
    let body = format!("[{},{}]", reading(value * 10), reading(value * 10 + 1));
    let answer = http::post(ingest, "/api/sensors/", &body).await?;
    let ids = answer.json()["ids"].as_array().cloned().unwrap_or_default();
    Ok(ids.iter().filter_map(serde_json::Value::as_i64).collect())
}

async fn insert(database: String, stop: Arc<AtomicBool>) {
    let mut value = 0;
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        let sql = format!("insert into sensor_readings (sensor_id, value) values ('writer-psql', {value})");
        let database = database.clone();
        // a database that is down refuses, and the next iteration tries again
        let _ = tokio::task::spawn_blocking(move || psql(&database, &sql)).await;
        tokio::time::sleep(PACE).await;
    }
}
