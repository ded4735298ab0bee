//! LISTEN, as a wake-up call that may come too often or not at all, but never hangs.

use std::time::Duration;

use sqlx::{Executor, postgres::PgListener};
use tokio::time::timeout;

use crate::{
    connect::Options,
    error::{Error, Result},
};

/// The channel that `notify_sensor_update()` rings.
const CHANNEL: &str = "sensor_updates";

/// How long the connection may be silent before it is tested.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long a test of the connection may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A session that listens.
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
        let listener = timeout(ANSWER_WITHIN, listen).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(Self { listener })
    }

    /// Returns when the bell rang. An error means that the session is gone or answers no more: rings may have been
    /// missed, so poll, and listen anew.
    pub async fn recv(&mut self) -> Result<()> {
        loop {
            match timeout(HEARTBEAT, self.listener.try_recv()).await {
                Ok(Ok(Some(_))) => {
                    while self.listener.next_buffered().is_some() {}
                    return Ok(());
                }
                // sqlx says None when it has connected again by itself
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(Error(error)),
                Err(_silence) => {
                    let test = self.listener.execute("select 1");
                    timeout(ANSWER_WITHIN, test).await.map_err(|_| Error(sqlx::Error::PoolTimedOut))??;
                }
            }
        }
    }
}
