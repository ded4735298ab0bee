//! A service's admin port: whether it is ready, and its metrics.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context;
use reqwest::{Client, Url};
use serde::Deserialize;

use crate::{send::post::cause, tls};

/// An admin port answers at once, or its process is stopped.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The body of `/readyz`, whatever the status: conditions by their name.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) ready: bool,
    #[serde(default)]
    pub(crate) failing: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) degraded: BTreeMap<String, String>,
}

/// The admin port with a base URL.
#[derive(Debug, Clone)]
pub(crate) struct AdminPort {
    client: Client,
    base: Url,
}

impl AdminPort {
    /// Those with these base URLs; `ca` is trusted in addition to the system's certificates.
    pub(crate) fn all(urls: &[String], ca: Option<&Path>) -> anyhow::Result<Vec<Self>> {
        let parse = |url: &String| {
            let base = format!("{}/", url.trim_end_matches('/'));
            Url::parse(&base).with_context(|| format!("{url:?} is not a URL"))
        };
        let bases = urls.iter().map(parse).collect::<anyhow::Result<Vec<_>>>()?;
        let tls = tls::config(bases.iter().any(|url| url.scheme() == "https"), ca)?;
        let client = Client::builder().timeout(ANSWER_LIMIT).tls_backend_preconfigured((*tls).clone());
        let client = client.build().context("the HTTP client does not start")?;
        Ok(bases.into_iter().map(|base| Self { client: client.clone(), base }).collect())
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Its conditions.
    pub(crate) async fn report(&self) -> anyhow::Result<Report> {
        serde_json::from_str(&self.get("readyz").await?).context("not an admin port of Rowcast")
    }

    /// Its metrics, as text.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        self.get("metrics").await
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = self.base.join(path)?;
        let answer = async { self.client.get(url).send().await?.text().await };
        answer.await.map_err(|error| anyhow::Error::msg(cause(&error)))
    }
}
