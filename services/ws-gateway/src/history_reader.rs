//! Reads of history, on connections of their own and bounded in number, so that replay never waits for them.

use std::{sync::Arc, time::Duration};

use chassis::Problem;
use http::StatusCode;
use store::{Database, Options};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::Metrics;

/// Connections for history; replay has its own.
const READERS: u32 = 4;

/// Requests that may wait for one of them.
const WAITING: usize = 64;

/// How long one waits.
const WAIT_LIMIT: Duration = Duration::from_secs(2);

/// How long a statement may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// When to come back, in seconds.
const RETRY_AFTER: u32 = 1;

/// Reads history.
#[derive(Clone)]
pub(crate) struct HistoryReader {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    reading: Semaphore,
    waiting: Semaphore,
    metrics: Metrics,
}

/// Permission to read.
pub(crate) struct ReadPermit<'a> {
    pub(crate) database: &'a Database,
    _permit: SemaphorePermit<'a>,
}

impl HistoryReader {
    /// With a pool of its own.
    pub(crate) fn new(options: Options, metrics: Metrics) -> Self {
        let options = options.statement_timeout(STATEMENT_LIMIT).with_custom_plans();
        let inner = Inner {
            database: Database::new(&options, READERS),
            reading: Semaphore::new(READERS as usize),
            waiting: Semaphore::new(WAITING),
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The permits in use, and how many there are.
    pub(crate) fn permits(&self) -> (usize, usize) {
        let limit = READERS as usize;
        (limit - self.inner.reading.available_permits().min(limit), limit)
    }

    /// Waits for a permit, if not too many wait already, and for a bounded time.
    pub(crate) async fn permit(&self) -> Result<ReadPermit<'_>, Problem> {
        let busy = || {
            let detail = "too many history queries at once";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(RETRY_AFTER)
        };
        let _waiting = self.inner.waiting.try_acquire().map_err(|_| busy())?;
        let permit = tokio::time::timeout(WAIT_LIMIT, self.inner.reading.acquire()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(busy)?;
        self.inner.metrics.history_reads.inc();
        Ok(ReadPermit { database: &self.inner.database, _permit: permit })
    }
}
