//! POSTs to ingest, with retries while it is unavailable or overloaded.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode, Url, header};
use serde::Deserialize;

use crate::{args::Trust, tls};

/// The first wait is up to this long; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait without `Retry-After`.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Ingest answers within 3 s, or something between is broken.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A final answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 201, with its body.
    Stored(String),
    /// Ingest refuses it, now and later.
    Refused(Refusal),
}

/// Why ingest refuses it.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

/// RFC 9457, as far as it is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    errors: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    pointer: String,
    detail: String,
}

/// Why an attempt failed, and how long the server asks to wait.
#[derive(Debug)]
pub(crate) struct Failed {
    /// A clause for people.
    pub(crate) why: String,
    retry_after: Option<Duration>,
}

/// A client of one ingest.
#[derive(Debug, Clone)]
pub(crate) struct Poster {
    client: Client,
    url: Url,
}

impl Poster {
    /// For the ingest with this base URL.
    pub(crate) fn new(ingest: &str, trust: &Trust) -> anyhow::Result<Self> {
        let url = format!("{}/api/sensors/", ingest.trim_end_matches('/'));
        let url = Url::parse(&url).with_context(|| format!("{ingest:?} is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("the URL of ingest must begin with http:// or https://: {ingest:?}");
        }
        let tls = tls::config(url.scheme() == "https", trust.ca.as_deref())?;
        let client = Client::builder().timeout(ANSWER_LIMIT).tls_backend_preconfigured((*tls).clone());
        let client = client.default_headers(trust.headers());
        let client = client.build().context("the HTTP client does not start")?;
        Ok(Self { client, url })
    }

    /// One attempt.
    pub(crate) async fn post(&self, body: String) -> Result<Answer, Failed> {
        let request =
            self.client.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json").body(body);
        let response =
            request.send().await.map_err(|error| Failed { why: cause(&error), retry_after: None })?;
        let status = response.status();
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            let wait =
                response.headers().get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
            return Err(Failed { why: format!("HTTP {status}"), retry_after: wait.map(Duration::from_secs) });
        }
        let text = response.text().await.map_err(|error| Failed { why: cause(&error), retry_after: None })?;
        Ok(if status == StatusCode::CREATED {
            Answer::Stored(text)
        } else {
            Answer::Refused(Refusal { status, problem: serde_json::from_str(&text).unwrap_or_default() })
        })
    }

    /// Tries until there is a final answer, or until the deadline.
    pub(crate) async fn post_until(&self, body: String, deadline: Instant) -> anyhow::Result<Answer> {
        let mut attempt = 0;
        loop {
            let failed = match self.post(body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let wait = failed.wait(attempt, rand::random());
            attempt += 1;
            if Instant::now() + wait > deadline {
                bail!("ingest at {} is unavailable: {} ({attempt} attempts)", self.url, failed.why);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Where it posts.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

impl Failed {
    /// What the server asks for, and full jitter in addition. `random` is uniform in [0, 1).
    fn wait(&self, attempt: u32, random: f64) -> Duration {
        let ceiling = FIRST_WAIT.saturating_mul(1 << attempt.min(16)).min(LONGEST_WAIT);
        self.retry_after.unwrap_or_default() + ceiling.mul_f64(random)
    }
}

impl Refusal {
    /// The faulty reading of the array, if the answer names it.
    pub(crate) fn index(&self) -> Option<usize> {
        self.problem.errors.first()?.pointer.strip_prefix('/')?.split('/').next()?.parse().ok()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { title, detail, errors } = &self.problem;
        write!(f, "ingest refuses it with HTTP {}", self.status.as_u16())?;
        match errors.first() {
            Some(fault) if fault.pointer.is_empty() => write!(f, ": {}", fault.detail),
            Some(fault) => write!(f, ": {} {}", fault.pointer, fault.detail),
            None => detail.as_ref().or(title.as_ref()).map_or(Ok(()), |text| write!(f, ": {text}")),
        }
    }
}

/// The last cause has the reason; reqwest's own message only repeats the URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_the_minimum_wait() {
        let with = Failed { why: String::new(), retry_after: Some(Duration::from_secs(2)) };
        assert_eq!(with.wait(0, 0.0), Duration::from_secs(2));
        assert_eq!(with.wait(1, 1.0), Duration::from_millis(2_200));
        let without = Failed { why: String::new(), retry_after: None };
        assert_eq!(without.wait(40, 1.0), LONGEST_WAIT);
    }
}
