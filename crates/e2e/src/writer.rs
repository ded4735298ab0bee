//! Devices and SQL sessions that write all the time.

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

/// A device that has no answer for so long sends its next reading: more than ingest takes to refuse one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between a writer's readings.
const PACE: Duration = Duration::from_millis(4);

/// Writers that run until they are told to stop.
#[derive(Debug)]
pub struct Writers {
    stop: Arc<AtomicBool>,
    taken: Arc<Mutex<Taken>>,
    tasks: JoinSet<()>,
}

/// What devices were told.
#[derive(Debug, Default)]
struct Taken {
    /// Readings that were answered with 201.
    ids: BTreeSet<i64>,
    /// The longest that a device had to try.
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
        let mut writers = Self { stop: Arc::default(), taken: Arc::default(), tasks: JoinSet::new() };
        for device in numbers {
            writers.tasks.spawn(post(device, ingest, writers.stop.clone(), writers.taken.clone()));
        }
        writers
    }

    /// How many readings were answered with 201.
    pub fn acknowledged(&self) -> usize {
        self.taken(|taken| taken.ids.len())
    }

    /// The longest that a device had to try until a reading of it was taken.
    pub fn longest_refusal(&self) -> Duration {
        self.taken(|taken| taken.longest_refusal)
    }

    fn taken<T>(&self, look: impl FnOnce(&mut Taken) -> T) -> T {
        look(&mut self.taken.lock().expect("no writer panics with the lock"))
    }

    /// Stops them and gives the ids that were answered with 201.
    pub async fn finish(mut self) -> BTreeSet<i64> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a writer does not panic");
        }
        self.taken(|taken| std::mem::take(&mut taken.ids))
    }
}

async fn post(device: usize, ingest: SocketAddr, stop: Arc<AtomicBool>, taken: Arc<Mutex<Taken>>) {
    let (mut value, mut began) = (0, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        // what was refused is tried again, as another reading: it may have been stored all the same
        if let Ok(Ok(ids)) = timeout(PATIENCE, post_one(device, value, ingest)).await
            && !ids.is_empty()
        {
            let mut taken = taken.lock().expect("no writer panics with the lock");
            taken.ids.extend(ids);
            taken.longest_refusal = taken.longest_refusal.max(began.elapsed());
            began = Instant::now();
        }
        tokio::time::sleep(PACE).await;
    }
}

/// One reading, or now and then an array.
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
        // a database that is down refuses, and the next one tries again
        let _ = tokio::task::spawn_blocking(move || psql(&database, &sql)).await;
        tokio::time::sleep(PACE).await;
    }
}
