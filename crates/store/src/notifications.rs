//! Notifications by LISTEN: a hint that may arrive too often or be lost, while waiting for one never hangs.

use std::time::Duration;

use sqlx::{Executor, postgres::PgListener};
use tokio::time::timeout;

use crate::{
    connect::Options,
    deadline::within,
    error::{Error, Result},
    metrics::Statement,
    pool::Database,
};

/// The channel that `notify_sensor_update()` notifies.
const CHANNEL: &str = "sensor_updates";

/// How long the connection may be silent before it is probed.
const PROBE_AFTER: Duration = Duration::from_secs(5);

/// How long opening the session, or a probe of it, may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A session that listens on the channel.
pub struct Notifications {
    listener: PgListener,
}

impl Notifications {
    /// Opens the session and listens.
    pub async fn listen(options: &Options) -> Result<Self> {
        let pool = options.pool_of_one().await?;
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let listener = timeout(PROBE_TIMEOUT, listen).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(Self { listener })
    }

    /// Returns at the next notification; those that arrived together count as one. An error means that the session is
    /// lost: notifications may have been missed, so poll, and listen again.
    pub async fn recv(&mut self) -> Result<()> {
        loop {
            match timeout(PROBE_AFTER, self.listener.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    while self.listener.next_buffered().is_some() {}
                    return Ok(());
                }
                // sqlx returns None when it has reconnected by itself
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(Error(error)),
                Err(_silence) => {
                    let probe = self.listener.execute("select 1");
                    timeout(PROBE_TIMEOUT, probe).await.map_err(|_| Error(sqlx::Error::PoolTimedOut))??;
                }
            }
        }
    }
}

impl Database {
    /// How full the server's queue of notifications is, from 0 to 1. A session that listens and does not read fills it.
    pub async fn notification_queue_usage(&self) -> Result<f64> {
        let query = sqlx::query_scalar("select pg_notification_queue_usage()");
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), pooled.session().scalar(Statement::Check, query)).await?;
        pooled.finish(read).await
    }
}
