//! Clients that listen and devices that write, and the check that everything arrived.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use testkit::wait_for;

use crate::{client::Client, ledger, writer::Writers};

/// How long clients may take to receive everything, once the fault is removed.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// Clients and writers.
pub struct Traffic {
    clients: Vec<Client>,
    writers: Writers,
}

/// What was written meanwhile.
pub struct Written {
    clients: Vec<Client>,
    /// Readings that were answered with 201.
    pub acknowledged: BTreeSet<i64>,
    /// The longest time until a device's reading was accepted.
    pub longest_refusal: Duration,
}

/// What was delivered.
#[derive(Debug)]
pub struct Summary {
    /// Readings in the table, each at every client.
    pub readings: usize,
    /// How many clients there were.
    pub clients: usize,
}

impl Traffic {
    /// Starts a client at each of these gateways, then the writers, and waits for the first readings.
    pub async fn begin(gateways: &[SocketAddr], write: impl FnOnce() -> Writers) -> Self {
        let mut clients = Vec::new();
        for gateway in gateways {
            clients.push(Client::start(*gateway).await);
        }
        let traffic = Self { clients, writers: write() };
        traffic.progress("the first readings").await;
        traffic
    }

    /// The clients, in the order of their gateways.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Waits until each client has received a reading that was written after now.
    pub async fn progress(&self, what: &str) {
        let written = self.writers.acknowledged();
        let before = counts(&self.clients);
        wait_for(what, SETTLED_WITHIN, || async {
            let more = self.writers.acknowledged() > written + 10;
            let came = counts(&self.clients).iter().zip(&before).all(|(count, before)| *count > before + 10);
            if more && came { Ok(()) } else { Err((self.writers.acknowledged(), counts(&self.clients))) }
        })
        .await;
    }

    /// Stops the writers.
    pub async fn stop(self) -> Written {
        let Self { clients, writers } = self;
        let longest_refusal = writers.longest_refusal();
        Written { clients, acknowledged: writers.finish().await, longest_refusal }
    }
}

impl Written {
    /// Waits until every client has everything that was committed, and checks their logs against it.
    pub async fn check(self, committed: &BTreeSet<i64>) -> Result<Summary> {
        let Self { clients, acknowledged, .. } = self;
        ensure!(acknowledged.is_subset(committed), "answered with 201 and not in the table");
        wait_for("every reading at every client", SETTLED_WITHIN, || async {
            let counts = counts(&clients);
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
            ledger::check(log, committed).with_context(|| format!("client {number}"))?;
        }
        ledger::check_same(&logs)?;
        let gaps: usize = clients.iter().map(|client| client.received(|received| received.gaps.len())).sum();
        ensure!(gaps == 0, "{gaps} gaps were sent, though nothing was lost");
        Ok(Summary { readings: committed.len(), clients: logs.len() })
    }
}

fn counts(clients: &[Client]) -> Vec<usize> {
    clients.iter().map(Client::count).collect()
}
