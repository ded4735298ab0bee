//! `rowcast bench fairness`: what a client that sends single readings notices of others that flood.

use std::{cell::Cell, net::IpAddr, time::Duration};

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::json;
use tokio::time;

use super::{
    clock::Clock,
    histogram::{Histogram, Summary},
    http::Connection,
    round::round,
    socket::Address,
};
use crate::args::BenchFairness;

/// The most readings of an array.
const READINGS: usize = 1_000;

/// Metadata that makes an array of so many nearly 1 MiB.
const METADATA_BYTES: usize = 980;

/// After a refusal: a flood that is refused at once is none.
const PAUSE: Duration = Duration::from_millis(20);

/// The report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fairness {
    schema: u32,
    floods: u32,
    /// From a single reading's POST to its answer, without the others.
    alone_ms: Summary,
    /// The same beside them.
    beside_ms: Summary,
    /// Of the two 99th percentiles.
    p99_ratio: f64,
    /// Readings that the others stored.
    flood_readings_per_s: f64,
    flood_refused: u64,
}

/// Measures the same client alone and then beside the others.
pub(super) async fn measure(options: &BenchFairness) -> anyhow::Result<Fairness> {
    let run = Run {
        ingest: Address::parse(&options.ingest.url)?,
        from: options.from,
        clock: Clock::start(),
        is_over: Cell::new(false),
        stored: Cell::new(0),
        refused: Cell::new(0),
    };
    run.single(options.warmup).await?;
    let alone = run.single(options.duration).await?;
    let body = flood_body();
    let lone = async {
        run.single(options.warmup).await?;
        let (began, stored) = (run.clock.micros(), run.stored.get());
        let beside = run.single(options.duration).await;
        let seconds = (run.clock.micros() - began) as f64 / 1e6;
        run.is_over.set(true);
        Ok::<_, anyhow::Error>((beside?, (run.stored.get() - stored) as f64 / seconds))
    };
    let floods = try_join_all((0..options.floods).map(|_| run.flood(&body)));
    let ((beside, per_s), _) = tokio::try_join!(lone, floods)?;
    Ok(Fairness {
        schema: 1,
        floods: options.floods,
        alone_ms: alone,
        beside_ms: beside,
        p99_ratio: round(beside.p99 / alone.p99),
        flood_readings_per_s: round(per_s),
        flood_refused: run.refused.get(),
    })
}

fn flood_body() -> Vec<u8> {
    let metadata = "x".repeat(METADATA_BYTES);
    let reading = |n| json!({ "sensor_id": format!("flood-{n}"), "value": n, "metadata": metadata });
    json!((0..READINGS).map(reading).collect::<Vec<_>>()).to_string().into_bytes()
}

struct Run {
    ingest: Address,
    /// Where single readings come from.
    from: Option<IpAddr>,
    clock: Clock,
    is_over: Cell<bool>,
    stored: Cell<usize>,
    refused: Cell<u64>,
}

impl Run {
    /// One reading after the other.
    async fn single(&self, duration: Duration) -> anyhow::Result<Summary> {
        let (mut connection, mut times) =
            (Connection::open_from(&self.ingest, self.from).await?, Histogram::default());
        let until = self.clock.micros() + duration.as_micros() as u64;
        while self.clock.micros() < until {
            let began = self.clock.micros();
            let answered = connection.post("", br#"{"sensor_id":"lone","value":1}"#).await?;
            anyhow::ensure!(answered.status == 201, "a single reading was answered with {}", answered.status);
            times.record(self.clock.micros() - began);
        }
        Ok(times.summary())
    }

    /// Arrays, until it is over.
    async fn flood(&self, body: &[u8]) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.ingest).await?;
        while !self.is_over.get() {
            let answered = connection.post("", body).await?;
            if answered.status == 201 {
                self.stored.set(self.stored.get() + READINGS);
            } else {
                self.refused.set(self.refused.get() + 1);
                time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}

impl Fairness {
    /// For people.
    pub(super) fn text(&self) -> String {
        let shown =
            |of: &Summary| format!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", of.p50, of.p99, of.max);
        format!(
            "single readings alone: {}\nbeside {} floods: {}\np99 ratio: {:.2}\nfloods: {:.0} readings/s stored, {} requests refused",
            shown(&self.alone_ms),
            self.floods,
            shown(&self.beside_ms),
            self.p99_ratio,
            self.flood_readings_per_s,
            self.flood_refused
        )
    }
}
