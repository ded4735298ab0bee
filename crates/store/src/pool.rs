//! A pool of connections for readers, in which every wait has a timeout.
//!
//! The pool of sqlx probes each returned connection and waits for the answer; when a host stops responding, its
//! connections would be missing until TCP gives up, a quarter of an hour later.

use std::{sync::Arc, time::Duration};

use instruments::IntGauge;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{
    connect::{CONNECT_TIMEOUT, Options},
    deadline::within,
    error::{Error, Result},
    metrics::{Metrics, Use},
    session::{Access, PROBE, PROBE_AFTER_IDLE, Session},
};

/// Connections for readers. They are opened on first use, and reopened after a loss.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    permits: Arc<Semaphore>,
    /// With the time at which each was returned; the one returned last is used first.
    idle: Mutex<Vec<(Session, Instant)>>,
}

/// A connection taken from the pool. One that is dropped and not returned is closed: an abandoned statement may still run
/// on it.
pub(crate) struct PooledConnection {
    session: Session,
    inner: Arc<Inner>,
    turn: Turn,
}

/// The right to one of the connections, counted as busy.
struct Turn {
    busy: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.dec();
    }
}

impl Database {
    /// At most `size` connections.
    pub fn new(options: &Options, size: u32) -> Self {
        let permits = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS)));
        options.metrics().counted().limit.add(size.into());
        Self { inner: Arc::new(Inner { options: options.clone(), permits, idle: Mutex::default() }) }
    }

    /// Closes every connection; from now on none can be acquired.
    pub async fn close(&self) {
        self.inner.permits.close();
        let idle = std::mem::take(&mut *self.inner.idle.lock());
        self.inner.count(Use::Idle).sub(i64::try_from(idle.len()).unwrap_or(i64::MAX));
        for (session, _) in idle {
            session.close().await;
        }
    }

    /// How long a statement may take.
    pub(crate) fn limit(&self) -> Duration {
        self.inner.options.limit()
    }

    /// What the connections count.
    pub(crate) fn metrics(&self) -> &Metrics {
        self.inner.options.metrics()
    }

    /// A connection that works, as far as can be known: an idle one is probed first.
    pub(crate) async fn acquire(&self) -> Result<PooledConnection> {
        let permit = self.inner.turn().await?;
        let session = match self.inner.working().await {
            Some(session) => session,
            None => self.inner.connect().await?,
        };
        Ok(PooledConnection { session, inner: self.inner.clone(), turn: permit })
    }
}

impl Inner {
    fn count(&self, of: Use) -> &IntGauge {
        self.options.metrics().counted().connections.of(of)
    }

    /// Waits for one of the connections.
    async fn turn(&self) -> Result<Turn> {
        let counted = self.options.metrics().counted();
        let began = Instant::now();
        let permit = within(CONNECT_TIMEOUT, self.permits.clone().acquire_owned()).await;
        counted.wait.observe(began.elapsed().as_secs_f64());
        let permit = permit.inspect_err(|_| counted.timeouts.inc())?;
        let permit = permit.map_err(|_closed| Error(sqlx::Error::PoolClosed))?;
        let busy = self.count(Use::Busy).clone();
        busy.inc();
        Ok(Turn { busy, _permit: permit })
    }

    async fn connect(&self) -> Result<Session> {
        let mut session = self.options.session(Access::Read).await?;
        within(self.options.limit(), session.begin()).await??;
        Ok(session)
    }

    async fn working(&self) -> Option<Session> {
        let (mut session, since) = self.idle.lock().pop()?;
        self.count(Use::Idle).dec();
        if session.is_alive(since.elapsed() < PROBE_AFTER_IDLE).await {
            return Some(session);
        }
        // the others were idle even longer
        let others = std::mem::take(&mut *self.idle.lock());
        self.count(Use::Idle).sub(i64::try_from(others.len()).unwrap_or(i64::MAX));
        None
    }
}

impl PooledConnection {
    /// The connection.
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// How long a statement on it may take.
    pub(crate) fn limit(&self) -> Duration {
        self.inner.options.limit()
    }

    /// Returns it to the pool after its use, unless an error broke it.
    pub(crate) async fn finish<T, E>(self, done: std::result::Result<T, E>) -> Result<T>
    where
        Error: From<E>,
    {
        let done = done.map_err(Error::from);
        if done.as_ref().err().is_none_or(Error::is_answer) {
            self.release().await;
        }
        done
    }

    /// Returns it to the pool.
    pub(crate) async fn release(self) {
        let Self { mut session, inner, turn: _turn } = self;
        if let Ok(Ok(())) = within(PROBE, session.end()).await {
            inner.count(Use::Idle).inc();
            inner.idle.lock().push((session, Instant::now()));
        }
    }
}
