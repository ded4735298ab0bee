//! Devices and SQL sessions that write all the time.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use testkit::postgres::psql;
use tokio::task::JoinSet;

use crate::http;

/// Between a writer's readings.
const PACE: Duration = Duration::from_millis(4);

/// Writers that run until they are told to stop.
#[derive(Debug)]
pub struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<i64>>>,
    tasks: JoinSet<()>,
}

impl Writers {
    /// Starts so many devices that POST, each its own sensor, and one psql that inserts.
    pub fn start(devices: usize, ingest: SocketAddr, database: &str) -> Self {
        let (stop, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<Mutex<BTreeSet<i64>>>::default());
        let mut tasks = JoinSet::new();
        for device in 0..devices {
            tasks.spawn(post(device, ingest, stop.clone(), acknowledged.clone()));
        }
        tasks.spawn(insert(database.to_owned(), stop.clone()));
        Self { stop, acknowledged, tasks }
    }

    /// How many readings were answered with 201.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("no writer panics with the lock").len()
    }

    /// Stops them and gives the ids that were answered with 201.
    pub async fn finish(mut self) -> BTreeSet<i64> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a writer does not panic");
        }
        std::mem::take(&mut *self.acknowledged.lock().expect("the writers have ended"))
    }
}

async fn post(
    device: usize,
    ingest: SocketAddr,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<i64>>>,
) {
    let mut value = 0;
    while !stop.load(Ordering::Relaxed) {
        value += 1;
        if let Ok(ids) = post_one(device, value, ingest).await {
            acknowledged.lock().expect("no writer panics with the lock").extend(ids);
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
