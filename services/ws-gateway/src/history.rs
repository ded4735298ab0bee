//! History over HTTP: what was asked, read within bounds of its own, told in the form that the client accepts.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod cursor;
pub(crate) mod media;

use std::{sync::Arc, time::Duration};

use chassis::Problem;
use http::StatusCode;
use store::{Database, Options, ReadError, history::BucketError};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::Metrics;

/// Connections of history's own: whatever is asked here, replay has its own.
const READERS: u32 = 4;

/// Requests that may wait for one of them.
const WAITING: usize = 64;

/// How long one waits.
const WAIT: Duration = Duration::from_secs(2);

/// How long a statement may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// When to come back, in seconds.
const RETRY_AFTER: u32 = 1;

/// The way to the readings that were.
#[derive(Clone)]
pub(crate) struct History {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    reading: Semaphore,
    waiting: Semaphore,
    metrics: Metrics,
}

/// A turn to read.
pub(crate) struct Turn<'a> {
    pub(crate) database: &'a Database,
    _permit: SemaphorePermit<'a>,
}

impl History {
    /// With a pool of its own.
    pub(crate) fn new(options: Options, metrics: Metrics) -> Self {
        let options = options.statement_timeout(STATEMENT_LIMIT).planned_anew();
        let inner = Inner {
            database: Database::new(&options, READERS),
            reading: Semaphore::new(READERS as usize),
            waiting: Semaphore::new(WAITING),
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Waits for a turn, if there is room to wait and it comes soon.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Problem> {
        let busy = || {
            let detail = "this gateway reads as much history as it may";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_AFTER)
        };
        let _waiting = self.inner.waiting.try_acquire().map_err(|_| busy())?;
        let permit = tokio::time::timeout(WAIT, self.inner.reading.acquire()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(busy)?;
        self.inner.metrics.history_reads.inc();
        Ok(Turn { database: &self.inner.database, _permit: permit })
    }
}

/// A read that failed. What was too much for the time is said to be that.
pub(crate) fn failed(error: &store::Error) -> Problem {
    if error.is_timeout() {
        let detail = "this takes too long to read: ask for fewer sensors or less time";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-much", detail).retry_after(RETRY_AFTER);
    }
    tracing::warn!(error = error as &dyn std::error::Error, "history could not be read");
    let detail = "the database does not answer in time";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(RETRY_AFTER)
}

/// Buckets that could not be read.
pub(crate) fn no_buckets(error: &BucketError) -> Problem {
    match error {
        BucketError::TooManySensors => asked::refuse(&[asked::fault("sensor", &error.to_string())]),
        BucketError::Database(error) => failed(error),
    }
}

/// A page as of a position that could not be read.
pub(crate) fn no_latest(error: &ReadError) -> Problem {
    match error {
        ReadError::Forgotten(_) => gone(),
        ReadError::Database(error) => failed(error),
    }
}

/// The position that a cursor is of can be read no more.
pub(crate) fn gone() -> Problem {
    let detail = "cursor: what it was a page of cannot be told any more; begin anew without it";
    Problem::new(StatusCode::GONE, "cursor-gone", detail)
}
