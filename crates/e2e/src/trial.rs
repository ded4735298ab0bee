//! A run: writers write, clients listen, faults are injected, and the ledger must balance.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use tokio::time::Instant;

use crate::{
    audit,
    client::Client,
    fault::Fault,
    stack::{DATABASE, Stack},
    traffic::{Summary, Traffic},
    writer::Writers,
};

/// Devices that POST during a trial.
const DEVICES: usize = 3;

/// Clients of each gateway.
const CLIENTS_EACH: usize = 2;

/// A stack under load.
pub struct Trial {
    /// The installation.
    pub stack: Stack,
    traffic: Traffic,
}

impl Trial {
    /// Starts clients, then writers.
    pub async fn begin(stack: Stack) -> Self {
        let gateways: Vec<_> =
            stack.gateways.iter().flat_map(|gateway| [gateway.public(); CLIENTS_EACH]).collect();
        let (ingest, database) = (stack.ingest.public(), stack.postgres.url(DATABASE));
        let traffic = Traffic::begin(&gateways, || Writers::start(DEVICES, ingest, &database)).await;
        Self { stack, traffic }
    }

    /// The clients, two for each gateway in turn.
    pub fn clients(&self) -> &[Client] {
        self.traffic.clients()
    }

    /// Waits until each client has received a reading that was written after now.
    pub async fn progress(&self, what: &str) {
        self.traffic.progress(what).await;
    }

    /// Injects a fault, and waits until readings arrive again; returns the time from its removal to each client's eleventh
    /// new reading.
    pub async fn inject(&mut self, fault: Fault) -> Result<Duration> {
        fault.inject(&mut self.stack).await?;
        let healed = Instant::now();
        self.progress(&format!("readings after {fault:?}")).await;
        Ok(healed.elapsed())
    }

    /// Stops writing, waits until every client has everything, and checks the logs against the table.
    pub async fn end(self) -> Result<Summary> {
        let Self { stack, traffic } = self;
        let written = traffic.stop().await;
        let committed: BTreeSet<i64> =
            stack.psql("select id from sensor_readings").lines().filter_map(|id| id.parse().ok()).collect();
        audit::check(&stack, committed.len()).await;
        written.check(&committed).await
    }
}
