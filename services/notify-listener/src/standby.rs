//! A replica that does not lead: connected, and checking the leader's work.

use std::time::Duration;

use bus::Appender;
use chassis::{Condition, Fault};
use store::Leader;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    lag::{Lag, Observation},
    metrics::Metrics,
};

/// Between two checks.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// After one that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A check that takes longer has failed.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// Connections to work with at once.
pub(crate) struct Warm {
    pub(crate) leader: Leader,
    pub(crate) appender: Appender,
}

impl Warm {
    /// New ones; the ticks of `leader` are signed with `name`.
    pub(crate) async fn connect<E: From<store::Error> + From<bus::Error>>(
        database: &store::Options,
        stream: &bus::Options,
        name: &str,
    ) -> Result<Self, E> {
        let mut leader = Leader::connect(database, name).await?;
        let appender = Appender::connect(&stream.of(&leader.identity().await?)).await?;
        Ok(Self { leader, appender })
    }
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
enum CheckFailed {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Bus(#[from] bus::Error),
    #[error("no answer within {CHECK_WITHIN:?}")]
    Silent,
}

/// Checks the leader's work.
pub(crate) struct Standby {
    database: store::Options,
    stream: bus::Options,
    metrics: Metrics,
    warm: Option<Warm>,
    lag: Lag,
    /// Fails while it cannot check.
    condition: Condition,
}

impl Standby {
    pub(crate) fn new(
        database: store::Options,
        stream: bus::Options,
        metrics: Metrics,
        condition: Condition,
    ) -> Self {
        Self { database, stream, metrics, warm: None, lag: Lag::default(), condition }
    }

    /// Returns when the leader has stalled.
    pub(crate) async fn until_lag(&mut self) {
        loop {
            sleep(CHECK_EVERY).await;
            let seen = timeout(CHECK_WITHIN, self.check()).await.unwrap_or(Err(CheckFailed::Silent));
            match seen {
                Ok(observation) => {
                    self.condition.hold();
                    if self.lag.observe(observation, Instant::now()) {
                        self.metrics.stalls.inc();
                        tracing::debug!(?observation, "readings wait and no leader forwards them");
                        return;
                    }
                }
                Err(error) => self.on_failed(&error).await,
            }
        }
    }

    async fn on_failed(&mut self, error: &CheckFailed) {
        self.metrics.failed_checks.inc();
        // all replicas check the same servers
        self.condition.fail(Fault::of(error, true));
        (self.warm, self.lag) = (None, Lag::default());
        sleep(RETRY_AFTER).await;
    }

    /// The connections, for this replica leads now.
    pub(crate) fn hand_over(&mut self) -> Option<Warm> {
        self.lag.forget();
        self.warm.take()
    }

    async fn check(&mut self) -> Result<Observation, CheckFailed> {
        let mut warm = match self.warm.take() {
            Some(warm) => warm,
            None => Warm::connect::<CheckFailed>(&self.database, &self.stream, "standby").await?,
        };
        let began = Instant::now();
        let log = warm.leader.log_status().await?;
        let end = warm.appender.end(log.epoch).await?.map(|end| end.id);
        let beats = warm.appender.beats(log.epoch).await?;
        // only now: a check that was cancelled leaves no connection with half an answer in it
        self.warm = Some(warm);
        Ok(Observation { log, end, beats, took: began.elapsed() })
    }
}
