//! The state of the runtime and of the process, read when it is asked for.

use std::time::{Duration, Instant};

use instruments::{Counter, Histogram, IntGauge, Registry};
use tokio::runtime::Handle;

use crate::memory_limit::memory_limit;

/// How often the runtime's lag is measured.
const PACE: Duration = Duration::from_secs(1);

instruments::metrics! {
    /// The runtime that serves connections.
    struct RuntimeMetrics("rowcast_runtime_") {
        /// Worker threads.
        workers: IntGauge = "workers";
        /// How long the workers were busy, all together: the rate of it, divided by `rowcast_runtime_workers`, is their use.
        busy: Counter = "busy_seconds_total";
        /// Tasks that have not ended.
        tasks: IntGauge = "tasks";
        /// Tasks that are ready and wait in the queue that all workers share.
        queue_depth: IntGauge = "queue_depth";
        /// How much later than due a timer fires, measured once a second. It is about 1 ms at rest; more is a busy or blocked
        /// worker.
        lag: Histogram = "lag_seconds",
            buckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
    }
}

instruments::metrics! {
    /// What the process has beside the metrics of its library.
    struct MemoryMetrics("process_") {
        /// The memory limit of the process's cgroup; 0 if there is none.
        limit: IntGauge = "memory_limit_bytes";
    }
}

/// The metrics that are read at each scrape.
#[derive(Clone)]
pub(crate) struct Vitals {
    runtime: RuntimeMetrics,
    memory: MemoryMetrics,
    handle: Handle,
}

impl Vitals {
    /// Must be called inside the runtime.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub(crate) fn register(registry: &Registry) -> instruments::Result<Self> {
        let (runtime, memory) = (RuntimeMetrics::register(registry)?, MemoryMetrics::register(registry)?);
        Ok(Self { runtime, memory, handle: Handle::current() })
    }

    /// Reads them.
    pub(crate) fn read(&self) {
        let now = self.handle.metrics();
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.runtime.workers.set(gauge(now.num_workers()));
        self.runtime.tasks.set(gauge(now.num_alive_tasks()));
        self.runtime.queue_depth.set(gauge(now.global_queue_depth()));
        let busy: Duration = (0..now.num_workers()).map(|n| now.worker_total_busy_duration(n)).sum();
        // two scrapes at a time may read in another order than they count
        self.runtime.busy.inc_by((busy.as_secs_f64() - self.runtime.busy.get()).max(0.0));
        self.memory.limit.set(memory_limit().and_then(|bytes| bytes.try_into().ok()).unwrap_or(0));
    }

    /// Measures how late timers fire, for ever.
    pub(crate) async fn measure_lag(self) {
        loop {
            let due = Instant::now() + PACE;
            tokio::time::sleep_until(due.into()).await;
            self.runtime.lag.observe(due.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_blocked_runtime_is_busy_and_late() {
        let vitals = Vitals::register(&Registry::new()).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(vitals.clone().measure_lag());
        let mut blocked = JoinSet::new();
        for _worker in 0..2 {
            // over the time at which the timer is due
            blocked.spawn(async { std::thread::sleep(PACE + Duration::from_millis(300)) });
        }
        blocked.join_all().await;
        until(|| vitals.runtime.lag.get_sample_count() > 0).await;
        vitals.read();
        assert_eq!(vitals.runtime.workers.get(), 2);
        assert!(vitals.runtime.busy.get() > 1.0, "{}", vitals.runtime.busy.get());
        assert!(vitals.runtime.lag.get_sample_sum() > 0.05, "{}", vitals.runtime.lag.get_sample_sum());
    }

    async fn until(holds: impl Fn() -> bool) {
        while !holds() {
            tokio::task::yield_now().await;
        }
    }
}
