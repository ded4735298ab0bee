//! A replica that does not lead: connected, with an eye on the leader's work.

use std::time::Duration;

use bus::Appender;
use chassis::{Condition, Fault};
use store::Leader;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    lag::{Lag, Look},
    metrics::Metrics,
};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// After one that failed.
const BLIND: Duration = Duration::from_secs(1);

/// A look that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(2);

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

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
enum Blind {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Bus(#[from] bus::Error),
    #[error("no answer within {WITHIN:?}")]
    Silent,
}

/// Looks at the leader's work.
pub(crate) struct Standby {
    database: store::Options,
    stream: bus::Options,
    metrics: Metrics,
    warm: Option<Warm>,
    lag: Lag,
    /// Fails while it cannot look.
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

    /// Returns when the leader's work is not being done.
    pub(crate) async fn until_lag(&mut self) {
        loop {
            sleep(EVERY).await;
            let seen = timeout(WITHIN, self.look()).await.unwrap_or(Err(Blind::Silent));
            match seen {
                Ok(look) => {
                    self.condition.hold();
                    if self.lag.saw(look, Instant::now()) {
                        self.metrics.lags.inc();
                        tracing::debug!(?look, "readings wait, and no leader takes them");
                        return;
                    }
                }
                Err(error) => self.lose_sight(&error).await,
            }
        }
    }

    async fn lose_sight(&mut self, error: &Blind) {
        self.metrics.blind.inc();
        // all replicas look at the same servers
        self.condition.fail(Fault::of(error, true));
        (self.warm, self.lag) = (None, Lag::default());
        sleep(BLIND).await;
    }

    /// The connections, for this replica leads now.
    pub(crate) fn hand_over(&mut self) -> Option<Warm> {
        self.lag.forget();
        self.warm.take()
    }

    async fn look(&mut self) -> Result<Look, Blind> {
        let mut warm = match self.warm.take() {
            Some(warm) => warm,
            None => Warm::connect::<Blind>(&self.database, &self.stream, "standby").await?,
        };
        let began = Instant::now();
        let outlook = warm.leader.look().await?;
        let end = warm.appender.end(outlook.epoch).await?;
        let beats = warm.appender.beats(outlook.epoch).await?;
        // only now: a look that was broken off leaves no connection with half an answer in it
        self.warm = Some(warm);
        Ok(Look { outlook, end, beats, took: began.elapsed() })
    }
}
