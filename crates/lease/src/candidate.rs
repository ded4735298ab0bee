//! Executes the elector's steps: the requests, the waits, and the changes of leadership.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

use crate::{
    announcer::{Takeover, announce},
    config::Config,
    elector::{Change, Elector, Event, Held, Record, Step, Version},
    leadership::Elections,
    metrics::Metrics,
    object::{Error, Object, WriteOutcome},
};

/// How long the leader may take to stop before the Lease is released.
const HAND_BACK_TIMEOUT: Duration = Duration::from_millis(500);

/// Takeovers whose events are not sent yet; beyond these none is sent.
const TAKEOVER_QUEUE: usize = 4;

/// Takes part in the election for as long as it runs.
pub struct Candidate {
    elector: Elector,
    object: Object,
    metrics: Metrics,
    held: watch::Sender<Option<Held>>,
    handed: TaskTracker,
    claim: Arc<Notify>,
    takeovers: mpsc::Sender<Takeover>,
}

/// A candidate for the configured Lease, the elections from which it gets its leadership, and the task that records
/// takeovers; `pod` is this pod's name, and `life` distinguishes this process from earlier ones of the same pod.
///
/// # Errors
/// When there is no access to a Kubernetes API. An API that does not answer is no error: it may recover.
pub async fn stand(
    config: &Config,
    pod: &str,
    life: &str,
    metrics: Metrics,
) -> Result<(Candidate, Elections, impl Future<Output = ()> + Send + use<>), Error> {
    let timing = config.timing();
    let object = Object::connect(config.namespace.as_deref(), &config.name, timing.request()).await?;
    let (held, seen) = watch::channel(None);
    let (takeovers, taken) = mpsc::channel(TAKEOVER_QUEUE);
    let (handed, claim) = (TaskTracker::new(), Arc::new(Notify::new()));
    handed.close();
    let elections = Elections { held: seen, handed: handed.clone(), claim: claim.clone(), last: 0 };
    let announcer = announce(object.clone(), config.clone(), pod.to_owned(), taken);
    let elector = Elector::new(pod, life, timing);
    Ok((Candidate { elector, object, metrics, held, handed, claim, takeovers }, elections, announcer))
}

impl Candidate {
    /// Takes part until `stop`, then waits for the leadership to be returned and releases the Lease.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let object = self.object.clone();
        let mut vacancies = pin!(object.vacancies());
        let mut step = Step::Read;
        loop {
            let event = match step {
                Step::Read => self.read().await,
                Step::Write { over, record } => self.write(over, record).await,
                Step::Wait(until) => tokio::select! {
                    () = &mut stop => {
                        self.take_back().await;
                        Event::Stop
                    }
                    () = self.claim.notified() => Event::Claim,
                    () = vacancy(&mut vacancies) => Event::Due,
                    () = sleep_until(until) => Event::Due,
                },
                Step::Done => return,
            };
            step = self.elector.next(event, Instant::now());
            self.publish();
        }
    }

    async fn read(&self) -> Event {
        match self.object.read().await {
            Ok(seen) => Event::Read(seen),
            Err(error) => self.failed(&error),
        }
    }

    async fn write(&self, over: Option<Version>, record: Record) -> Event {
        let began = Instant::now();
        match self.object.write(over, record).await {
            Ok(WriteOutcome::Written(seen)) => {
                self.metrics.renew.observe(began.elapsed().as_secs_f64());
                Event::Written(seen)
            }
            Ok(WriteOutcome::Refused) => Event::Refused,
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &Error) -> Event {
        self.metrics.errors.inc();
        tracing::warn!(error = error as &dyn std::error::Error, "cannot read or write the Lease");
        Event::Failed
    }

    /// Ends the leadership, and waits until it is dropped.
    async fn take_back(&self) {
        self.held.send_replace(None);
        self.metrics.is_leader.set(0);
        if timeout(HAND_BACK_TIMEOUT, self.handed.wait()).await.is_err() {
            tracing::warn!("releasing the Lease before its leader has stopped");
        }
    }

    fn publish(&self) {
        let held = self.elector.held(Instant::now());
        let before = self.held.send_replace(held);
        self.metrics.is_leader.set(i64::from(held.is_some()));
        match (before, held) {
            (before, Some(held)) if before.map(|before| before.grant) != Some(held.grant) => self.took(held),
            (Some(before), None) => {
                tracing::info!(term = before.term, "leadership lost");
            }
            _ => {}
        }
    }

    fn took(&self, held: Held) {
        if held.by == Change::Interim {
            tracing::warn!(term = held.term, "Kubernetes API unreachable: continuing as the last holder");
            return;
        }
        self.metrics.transitions.inc();
        let previous = self.elector.previous().map(str::to_owned);
        tracing::info!(term = held.term, by = ?held.by, previous, "leadership acquired");
        // with a full queue the event is not sent; the log has it
        let _ = self.takeovers.try_send(Takeover { term: held.term, by: held.by, previous });
    }
}

/// The next vacancy. After the stream has ended there is none.
async fn vacancy(vacancies: &mut (impl Stream<Item = ()> + Unpin)) {
    match vacancies.next().await {
        Some(()) => {}
        None => std::future::pending().await,
    }
}
