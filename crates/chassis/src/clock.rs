//! The time by the clock of another server, such as the database, that the hosts of an installation share.
//!
//! It is asked for its time once a minute. The answer was given between the question and its arrival, so the middle of both is
//! wrong by at most half the round trip (Cristian, Probabilistic clock synchronization, 1989, section 2).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use instruments::{Gauge, Registry};
use tokio::time::Instant;

use crate::life::Life;

/// Between two measurements.
const EVERY: Duration = Duration::from_secs(60);

/// After one that failed.
const RETRY: Duration = Duration::from_secs(5);

/// The questions of a measurement. The one that was answered soonest counts; a connection that is idle may be probed first.
const QUESTIONS: usize = 3;

instruments::metrics! {
    /// How the host's clock differs.
    struct Metrics("rowcast_clock_") {
        /// This host's clock minus that of Postgres; 0 until it was measured.
        offset: Gauge = "offset_seconds";
        /// How far the offset may be wrong: half the round trip by which it was measured.
        uncertainty: Gauge = "uncertainty_seconds";
    }
}

/// The shared clock as this host knows it.
#[derive(Clone)]
pub struct Clock {
    /// This host's clock minus the shared one, in microseconds; 0 until it was measured.
    offset: Arc<AtomicI64>,
    metrics: Metrics,
}

/// One question and its answer.
#[derive(Debug, Clone, Copy)]
struct Measured {
    offset: i64,
    /// At most so far from the truth, in microseconds.
    uncertainty: i64,
}

impl Clock {
    /// Registers its metrics.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> instruments::Result<Self> {
        Ok(Self { offset: Arc::default(), metrics: Metrics::register(registry)? })
    }

    /// The shared time, in microseconds since 1970.
    pub fn now_micros(&self) -> i64 {
        host_micros() - self.offset.load(Ordering::Relaxed)
    }

    /// Measures until the process stops; `read` asks for the shared time, in microseconds since 1970.
    pub async fn follow<E>(self, life: Life, read: impl AsyncFn() -> Result<i64, E>) {
        loop {
            let pause = match measure(&read).await {
                Ok(measured) => {
                    self.set(measured);
                    EVERY
                }
                // that the server cannot be reached is reported by those who need it
                Err(_) => RETRY,
            };
            if life.soft().run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    fn set(&self, measured: Measured) {
        self.offset.store(measured.offset, Ordering::Relaxed);
        self.metrics.offset.set(measured.offset as f64 / 1e6);
        self.metrics.uncertainty.set(measured.uncertainty as f64 / 1e6);
    }
}

async fn measure<E>(read: impl AsyncFn() -> Result<i64, E>) -> Result<Measured, E> {
    let mut best: Option<Measured> = None;
    for _ in 0..QUESTIONS {
        // the duration by a clock that is never set
        let (asked, asked_at) = (host_micros(), Instant::now());
        let there = read().await?;
        let half = i64::try_from(asked_at.elapsed().as_micros() / 2).unwrap_or(i64::MAX);
        let measured = Measured { offset: asked.saturating_add(half) - there, uncertainty: half };
        if best.is_none_or(|best| measured.uncertainty < best.uncertainty) {
            best = Some(measured);
        }
    }
    Ok(best.expect("there is at least one question"))
}

fn host_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn an_offset_is_found_within_its_uncertainty() {
        for ahead in [-3_600_000_000, 0, 5_000_000] {
            let clock = Clock::register(&Registry::new()).unwrap();
            let read = async || Ok::<_, Infallible>(host_micros() - ahead);
            let measured = measure(read).await.unwrap();
            clock.set(measured);
            let error = (measured.offset - ahead).abs();
            assert!(error <= measured.uncertainty + 1, "{error} of {measured:?}");
            assert!((host_micros() - ahead - clock.now_micros()).abs() <= measured.uncertainty + 100_000);
        }
    }

    #[tokio::test]
    async fn a_late_answer_makes_it_less_certain() {
        let late = async || {
            tokio::time::sleep(Duration::from_millis(40)).await;
            Ok::<_, Infallible>(host_micros())
        };
        let measured = measure(late).await.unwrap();
        assert!(measured.uncertainty >= 20_000, "{measured:?}");
        assert!(measured.offset.abs() <= measured.uncertainty, "{measured:?}");
    }
}
