//! A run: writers write, clients listen, faults strike, and the ledger must balance.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use testkit::wait_for;
use tokio::time::Instant;

use crate::{Client, Fault, Stack, Writers, ledger};

/// How long clients may take to have everything, once the faults are healed.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Devices that POST during a trial.
const DEVICES: usize = 3;

/// Clients of each gateway.
const CLIENTS_EACH: usize = 2;

/// A stack under load.
pub struct Trial {
    /// The installation.
    pub stack: Stack,
    clients: Vec<Client>,
    writers: Writers,
}

impl Trial {
    /// Starts clients, then writers.
    pub async fn begin(stack: Stack) -> Self {
        let mut clients = Vec::new();
        for gateway in &stack.gateways {
            for _ in 0..CLIENTS_EACH {
                clients.push(Client::start(gateway.public()).await);
            }
        }
        let writers =
            Writers::start(DEVICES, stack.ingest.public(), &stack.postgres.url(crate::stack::DATABASE));
        let trial = Self { stack, clients, writers };
        trial.progress("the first readings").await;
        trial
    }

    /// The clients, two for each gateway in turn.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Waits until each client has got something new that was written after now.
    pub async fn progress(&self, what: &str) {
        let written = self.writers.acknowledged();
        let before: Vec<usize> = self.clients.iter().map(Client::count).collect();
        wait_for(what, SETTLED_WITHIN, || async {
            let more = self.writers.acknowledged() > written + 10;
            let came = self.clients.iter().zip(&before).all(|(client, before)| client.count() > before + 10);
            if more && came { Ok(()) } else { Err((self.writers.acknowledged(), self.counts())) }
        })
        .await;
    }

    fn counts(&self) -> Vec<usize> {
        self.clients.iter().map(Client::count).collect()
    }

    /// Lets a fault strike, and waits until readings flow again; how long that took from when it was healed, to
    /// each client's eleventh new reading.
    pub async fn suffer(&mut self, fault: Fault) -> Result<Duration> {
        fault.strike(&mut self.stack).await?;
        let healed = Instant::now();
        self.progress(&format!("readings after {fault:?}")).await;
        Ok(healed.elapsed())
    }

    /// Stops writing, waits until every client has everything, and holds the logs against the table.
    pub async fn end(self) -> Result<Summary> {
        let Self { stack, clients, writers } = self;
        let acknowledged = writers.finish().await;
        let committed: BTreeSet<i64> =
            stack.psql("select id from sensor_readings").lines().filter_map(|id| id.parse().ok()).collect();
        ensure!(acknowledged.is_subset(&committed), "answered with 201 and not in the table");
        wait_for("every reading at every client", SETTLED_WITHIN, || async {
            let counts: Vec<usize> = clients.iter().map(Client::count).collect();
            if counts.iter().all(|count| *count >= committed.len()) {
                Ok(())
            } else {
                Err((committed.len(), counts))
            }
        })
        .await;
        let logs: Vec<_> =
            clients.iter().map(|client| client.received(|received| received.log.clone())).collect();
        for (number, log) in logs.iter().enumerate() {
            ledger::check(log, &committed).with_context(|| format!("client {number}"))?;
        }
        ledger::check_same(&logs)?;
        let gaps: usize = clients.iter().map(|client| client.received(|received| received.gaps.len())).sum();
        ensure!(gaps == 0, "{gaps} gaps were told, and nothing was lost");
        Ok(Summary { readings: committed.len(), clients: logs.len() })
    }
}

/// What a trial delivered.
#[derive(Debug)]
pub struct Summary {
    /// Readings in the table, each at every client.
    pub readings: usize,
    /// How many clients there were.
    pub clients: usize,
}
