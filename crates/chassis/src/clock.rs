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

/// At most so many questions make a measurement. The one that was answered soonest counts; a connection that is idle may be
/// probed first.
const QUESTIONS: usize = 10;

/// With an answer as sure as this, in microseconds, no more is asked.
const SURE: i64 = 1_000;

/// An age may be negative by this in any case, in microseconds: the clock of the process that wrote the time was measured, too.
const TOLERATED: i64 = 10_000;

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
    /// How far the offset may be wrong, in microseconds.
    uncertainty: Arc<AtomicI64>,
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
        let metrics = Metrics::register(registry)?;
        Ok(Self { offset: Arc::default(), uncertainty: Arc::default(), metrics })
    }

    /// The shared time, in microseconds since 1970.
    pub fn now_micros(&self) -> i64 {
        host_micros() - self.offset.load(Ordering::Relaxed)
    }

    /// Whether an age in microseconds is negative by more than the clocks may be wrong, this one's and that of the process
    /// that wrote the time.
    pub fn is_negative(&self, age: i64) -> bool {
        let both = self.uncertainty.load(Ordering::Relaxed).saturating_mul(2);
        age < -both.max(TOLERATED)
    }

    /// Measures until the process stops; `read` asks for the shared time, in microseconds since 1970.
    pub async fn follow<E>(self, life: Life, read: impl AsyncFn() -> Result<i64, E>) {
        loop {
            let mut best: Option<Measured> = None;
            for _ in 0..QUESTIONS {
                let question = Question::asked();
                // that the server cannot be reached is reported by those who need it
                let Ok(there) = read().await else { break };
                let measured = question.answered(there);
                let measured = best.map_or(measured, |best| best.better(measured));
                best = Some(measured);
                if measured.uncertainty <= SURE {
                    break;
                }
            }
            best.into_iter().for_each(|measured| self.set(measured));
            let pause = if best.is_some() { EVERY } else { RETRY };
            if life.soft().run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    fn set(&self, measured: Measured) {
        self.offset.store(measured.offset, Ordering::Relaxed);
        self.uncertainty.store(measured.uncertainty, Ordering::Relaxed);
        self.metrics.offset.set(measured.offset as f64 / 1e6);
        self.metrics.uncertainty.set(measured.uncertainty as f64 / 1e6);
    }
}

/// A question that is under way.
struct Question {
    asked: i64,
    /// The same moment, by a clock that is never set.
    asked_at: Instant,
}

impl Question {
    fn asked() -> Self {
        Self { asked: host_micros(), asked_at: Instant::now() }
    }

    /// The answer says that it is `there` on the other side.
    fn answered(self, there: i64) -> Measured {
        let half = i64::try_from(self.asked_at.elapsed().as_micros() / 2).unwrap_or(i64::MAX);
        Measured { offset: self.asked.saturating_add(half).saturating_sub(there), uncertainty: half }
    }
}

impl Measured {
    fn better(self, other: Self) -> Self {
        if other.uncertainty < self.uncertainty { other } else { self }
    }
}

fn host_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another host's clock, which this one is ahead of, asked over a network that takes `there` and `back`.
    async fn measure(ahead: i64, there: u64, back: u64) -> Measured {
        let question = Question::asked();
        tokio::time::sleep(Duration::from_millis(there)).await;
        let answer = host_micros() - ahead;
        tokio::time::sleep(Duration::from_millis(back)).await;
        question.answered(answer)
    }

    #[tokio::test]
    async fn an_offset_is_found_within_its_uncertainty() {
        for ahead in [-3_600_000_000, 0, 5_000_000] {
            for (there, back) in [(0, 0), (40, 1), (1, 40)] {
                let measured = measure(ahead, there, back).await;
                let error = (measured.offset - ahead).abs();
                assert!(error <= measured.uncertainty + 100, "{error} of {measured:?}");
                assert!(measured.uncertainty >= i64::try_from(there + back).unwrap() * 500, "{measured:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_shared_time_is_this_hosts_time_less_the_offset_of_the_best_answer() {
        let clock = Clock::register(&Registry::new()).unwrap();
        let (sure, unsure) = (
            Measured { offset: 7_000_000, uncertainty: 10 },
            Measured { offset: 9_000_000, uncertainty: 500 },
        );
        clock.set(unsure.better(sure));
        assert_eq!((clock.metrics.offset.get(), clock.metrics.uncertainty.get()), (7.0, 0.000_01));
        let difference = host_micros() - clock.now_micros();
        assert!((6_900_000..=7_000_000).contains(&difference), "{difference}");
    }

    #[test]
    fn an_age_is_negative_when_no_error_of_the_clocks_explains_it() {
        let clock = Clock::register(&Registry::new()).unwrap();
        for (uncertainty, tolerated) in [(100, 10_000), (8_000, 16_000), (i64::MAX, i64::MAX)] {
            clock.set(Measured { offset: 0, uncertainty });
            assert!(!clock.is_negative(-tolerated), "{uncertainty}");
            assert!(clock.is_negative(-tolerated - 1), "{uncertainty}");
        }
    }
}
