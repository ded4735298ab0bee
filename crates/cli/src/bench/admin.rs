//! A service's own numbers, from its admin port.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::{http::get, socket::Address};

/// An admin port answers at once, or its process is stopped.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The admin port of a service.
#[derive(Debug, Clone)]
pub(super) struct Admin {
    address: Address,
}

impl Admin {
    /// From a base URL.
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        Ok(Self { address: Address::parse(url)? })
    }

    /// A metric without labels.
    pub(super) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let host = self.address.host();
        let answer = tokio::time::timeout(ANSWER_LIMIT, get(&self.address, "/metrics")).await;
        let (status, text) = answer.map_err(|_| anyhow::anyhow!("{host} does not answer"))??;
        ensure!(status == 200, "{host}/metrics answers {status}");
        value(&text, name).with_context(|| format!("{host} has no metric {name}"))
    }

    /// How often a gateway has read Postgres for its sessions; none without its admin port.
    pub(super) async fn replay_reads(gateway: Option<&Self>) -> anyhow::Result<Option<f64>> {
        match gateway {
            Some(gateway) => gateway.metric("rowcast_gateway_replay_reads_total").await.map(Some),
            None => Ok(None),
        }
    }
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# HELP reads x\nreads_total 7\nreads 3\nreads{a=\"b\"} 9\n";
        assert_eq!((value(text, "reads"), value(text, "reads_total")), (Some(3.0), Some(7.0)));
        assert_eq!(value(text, "read"), None);
    }
}
