//! Forwards while this replica leads: the loop of steps, through every loss of a connection.

mod copies;
mod lost;
mod runner;
mod trace;

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use chassis::{Clock, Condition, Fault, Life, Outage, spans::Tracer};
use parking_lot::Mutex;
use store::log::PAGE_BYTES;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use wire::Position;

use self::{lost::Lost, runner::Runner};
use crate::{
    counts::Counts,
    hostname::hostname,
    leadership::Leadership,
    metrics::Metrics,
    planner::{Event, Planner, Step},
    standby::Warm,
};

/// The longest wait before the next try to connect.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// When the server gives a statement up.
pub(crate) const STATEMENT_LIMIT: Duration = Duration::from_secs(27);

/// How long the step that was under way when leadership ended may take to be answered: as long as a network that was
/// cut and healed needs to carry it.
const LAST_ANSWER: Duration = Duration::from_secs(90);

/// How long a process that stops waits for the step that was under way.
const LAST_STEP: Duration = Duration::from_millis(500);

/// What forwarding needs in every term.
pub(crate) struct Forwarder {
    database: store::Options,
    stream: bus::Options,
    wake: Arc<Notify>,
    metrics: Metrics,
    counts: Mutex<Counts>,
    clock: Clock,
    tracer: Tracer,
    /// Fails while it leads and cannot forward.
    condition: Condition,
    /// The signature of its ticks.
    process: String,
    /// Its name in the stream, the same after a restart: its host and its admin port.
    known_as: String,
    /// The bytes of a page: fewer after an append that was not answered in time.
    page_bytes: AtomicUsize,
}

impl Forwarder {
    pub(crate) fn new(
        database: store::Options,
        stream: bus::Options,
        wake: Arc<Notify>,
        (metrics, clock, tracer): (Metrics, Clock, Tracer),
        condition: Condition,
        admin_port: u16,
    ) -> Self {
        let process = format!("{}-{}", hostname(), std::process::id());
        let known_as = format!("{}:{admin_port}", hostname());
        let page_bytes = AtomicUsize::new(PAGE_BYTES);
        let counts = Mutex::new(Counts::new(metrics.clone()));
        Self {
            database,
            stream,
            wake,
            metrics,
            counts,
            clock,
            tracer,
            condition,
            process,
            known_as,
            page_bytes,
        }
    }

    /// Forwards while leadership is held, through every loss of a connection. No step begins after its end. One that
    /// was under way is left to be answered in the background, so that it is known whether it came too late.
    pub(crate) async fn forward(
        forwarder: &Arc<Self>,
        leadership: Leadership,
        warm: Option<Warm>,
        life: &Life,
    ) {
        let leadership = Arc::new(leadership);
        let mut term = Box::pin(forwarder.clone().term(leadership.clone(), warm));
        forwarder.metrics.leading.set(1);
        let ended = tokio::select! {
            biased;
            () = leadership.lost() => false,
            () = &mut term => true,
        };
        drop(leadership);
        forwarder.metrics.leading.set(0);
        forwarder.counts.lock().forget_heads();
        if ended {
            return;
        }
        if life.is_stopping() {
            let _ = timeout(LAST_STEP, term).await;
            return;
        }
        let soft = life.soft().clone();
        life.spawn_work(async move {
            soft.run_until_cancelled(timeout(LAST_ANSWER, term)).await;
        });
    }

    async fn term(self: Arc<Self>, leadership: Arc<Leadership>, mut warm: Option<Warm>) {
        let mut wait = Duration::from_millis(50);
        let mut outage = Outage::new("forwarding");
        while leadership.holds() {
            let began = Instant::now();
            if let Err(lost) = self.until_lost(&leadership, warm.take(), &mut outage).await {
                self.metrics.losses.inc();
                self.condition.fail(Fault::Shared(outage.fails(&lost)));
                if matches!(lost, Lost::Rival) {
                    return;
                }
            }
            wait = if began.elapsed() > RETRY_MAX {
                Duration::from_millis(50)
            } else {
                (wait * 2).min(RETRY_MAX)
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = leadership.lost() => return,
            }
        }
    }

    async fn until_lost(
        &self,
        leadership: &Leadership,
        warm: Option<Warm>,
        outage: &mut Outage,
    ) -> Result<(), Lost> {
        let signature = leadership.signature(&self.process);
        let Warm { leader, appender } = match warm {
            Some(warm) => warm,
            None => Warm::connect::<Lost>(&self.database, &self.stream, &signature).await?,
        };
        let mut runner = Runner {
            leader: leader.named(&signature),
            appender,
            leadership,
            wake: &self.wake,
            metrics: &self.metrics,
            known_as: &self.known_as,
            page_bytes: &self.page_bytes,
            epoch: None,
            entries: Vec::new(),
            readings: 0,
            oldest: None,
            ticked_at: 0,
            counted: <(Position, Option<i64>)>::default(),
            looked_at: 0,
            counts: &self.counts,
            tracer: &self.tracer,
            tick_span: None,
            clock: &self.clock,
            announced_at: None,
            tick_began: Instant::now(),
        };
        tracing::info!(signature, "forwarding");
        let mut planner = Planner::default();
        let mut event = Event::Connected;
        while leadership.holds() {
            let step = planner.next(event);
            self.metrics.backlog_ticks.set(planner.backlog());
            tracing::trace!(?step, "step");
            // reading the log's and the stream's end does not show that the stream accepts writes
            let is_work = matches!(step, Step::Append { .. } | Step::Wait(_));
            event = runner.perform(step).await?;
            if is_work {
                // it may have failed as a standby, or by the last step of an earlier leadership
                self.condition.hold();
                outage.ends();
            }
        }
        if let Some(epoch) = runner.epoch {
            // the next one need not wait to see that this one has ended
            let _ = timeout(LAST_STEP, runner.appender.unsign(epoch, &self.known_as)).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
