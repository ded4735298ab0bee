//! The readiness of services, from their admin ports.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context;
use reqwest::{Client, Url};
use serde::Deserialize;

use crate::{output, send::post::cause, tls};

/// An admin port answers at once, or its process is stopped.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The body of `/readyz`, whatever the status: conditions by their name.
#[derive(Debug, Deserialize)]
struct Report {
    ready: bool,
    #[serde(default)]
    failing: BTreeMap<String, String>,
    #[serde(default)]
    degraded: BTreeMap<String, String>,
}

/// The admin ports to ask.
pub(super) struct Readiness {
    client: Client,
    urls: Vec<Url>,
}

impl Readiness {
    /// Of the admin ports with these base URLs; `ca` is trusted in addition to the system's certificates.
    pub(super) fn new(admins: &[String], ca: Option<&Path>) -> anyhow::Result<Self> {
        let parse = |admin: &String| {
            let url = format!("{}/readyz", admin.trim_end_matches('/'));
            Url::parse(&url).with_context(|| format!("{admin:?} is not a URL"))
        };
        let urls = admins.iter().map(parse).collect::<anyhow::Result<Vec<_>>>()?;
        let tls = tls::config(urls.iter().any(|url| url.scheme() == "https"), ca)?;
        let client = Client::builder().timeout(ANSWER_LIMIT).tls_backend_preconfigured((*tls).clone());
        Ok(Self { client: client.build().context("the HTTP client does not start")?, urls })
    }

    /// A line for each service, or for each of its conditions that does not hold; whether all are ready.
    pub(super) async fn print(&self) -> anyhow::Result<bool> {
        let mut all_ready = true;
        for url in &self.urls {
            let place = url.origin().ascii_serialization();
            let line = |status, what| output::line(&format!("{status:<7} ready      {place}{what}"));
            let report = match self.ask(url).await {
                Ok(report) => report,
                Err(error) => {
                    all_ready = false;
                    line("FAILED", format!(": {error:#}"))?;
                    continue;
                }
            };
            all_ready &= report.ready;
            for (condition, why) in &report.failing {
                line("FAILED", format!(": {condition}: {why}"))?;
            }
            for (condition, why) in &report.degraded {
                line("WARNING", format!(": {condition}: {why}"))?;
            }
            if report.failing.is_empty() && report.degraded.is_empty() {
                line("ok", String::new())?;
            }
        }
        Ok(all_ready)
    }

    async fn ask(&self, url: &Url) -> anyhow::Result<Report> {
        let answer = async { self.client.get(url.clone()).send().await?.text().await };
        let text = answer.await.map_err(|error| anyhow::Error::msg(cause(&error)))?;
        serde_json::from_str(&text).context("not an admin port of Rowcast")
    }
}
