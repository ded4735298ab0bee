//! Group commit by natural batching: whatever waits while an INSERT runs goes into the next one, without a timer.
//!
//! A lane takes all that waits, unless clients that were just answered will be back for the next batch: then half. One
//! lane is enough while commits are quick, and makes the largest batches; when its INSERT has run for a while, the
//! next lane takes what waits by then. Large requests have batches of their own and leave a lane to the small ones, so that
//! who floods is waited for by nobody else. The queue is bounded in bytes, and so is each writer's part of it; a request that
//! finds it full is refused at once, and one whose time is over is taken out unstored.
//!
//! All of it runs on a thread of its own. On the thread of the connections, a committed batch waited until each of them had
//! been polled, and every client with it.

mod job;
mod kind;
mod lane;
pub(crate) mod not_stored;
mod queue;
mod shares;
mod turns;

use std::{sync::Arc, time::Duration};

use chassis::{Life, spans::Tracer};
use futures_util::future::join_all;
use parking_lot::Mutex;
use store::{NewReading, readings::once::Answer};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use wire::Reading;

use self::{
    job::{Job, Stored},
    kind::Kind,
    lane::Lane,
    not_stored::NotStored,
    queue::Queue,
    shares::Shares,
    turns::Turns,
};
use crate::{
    config::IngestConfig,
    metrics::{Metrics, Outcome},
    request_key::RequestKey,
    writer::Writer,
};

/// From a request's body to the answer that its readings are not stored.
const REQUEST_LIMIT: Duration = Duration::from_millis(2_200);

/// What a waiting request costs beside its readings' bytes.
const REQUEST_BYTES: usize = 512;

/// The queue before the lanes.
#[derive(Clone)]
pub(crate) struct Committer {
    waiting: Arc<Mutex<Queue>>,
    /// Wakes the dispatcher.
    wake: mpsc::Sender<()>,
    memory: Shares,
    metrics: Metrics,
}

impl Committer {
    /// Starts the lanes. Must be called where the requests will run.
    ///
    /// # Errors
    /// When the system cannot create their thread.
    pub(crate) fn start(
        life: &Life,
        options: store::Options,
        config: IngestConfig,
        (metrics, tracer): (Metrics, Tracer),
    ) -> std::io::Result<Self> {
        let (waiting, memory) = (Arc::default(), Shares::new(config.queue_bytes, &metrics.queue));
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        metrics.queue_limit.set(gauge(config.queue_bytes));
        metrics.lanes.set(gauge(config.lanes));
        let (wake, woken) = mpsc::channel(1);
        let lane = || Lane::new(options.clone(), Handle::current(), (metrics.clone(), tracer.clone()));
        let lanes = std::iter::repeat_with(lane).take(config.lanes).collect();
        life.spawn_on_own_thread("commit", dispatch(Arc::clone(&waiting), woken, lanes, life.clone()))?;
        Ok(Self { waiting, wake, memory, metrics })
    }

    /// Stores all the readings or none, and returns them as they are in the table.
    pub(crate) async fn store(
        &self,
        writer: &Writer,
        readings: Vec<NewReading>,
    ) -> Result<Vec<Reading>, NotStored> {
        let kind = Kind::of(readings.iter().map(bytes_of).sum());
        let stored = self.submit_plain(writer, readings, kind).await;
        self.count(stored.as_ref().err());
        stored
    }

    /// Stores each reading by itself. The request is counted once, by the first that was not stored.
    pub(crate) async fn store_each(
        &self,
        writer: &Writer,
        readings: Vec<NewReading>,
    ) -> Vec<Result<Reading, NotStored>> {
        // they are queued in their order, as each is polled for the first time
        let kind = Kind::of(readings.iter().map(bytes_of).sum());
        let each = readings.into_iter().map(|reading| self.submit_plain(writer, vec![reading], kind));
        let each = join_all(each).await;
        self.count(each.iter().find_map(|stored| stored.as_ref().err()));
        let one = |stored: Vec<Reading>| stored.into_iter().next().ok_or(NotStored::Unavailable);
        each.into_iter().map(|stored| stored.and_then(one)).collect()
    }

    /// Stores the readings of a request that has a key, all of them or, of a partial one, those that the table takes. Returns
    /// its answer, and whether it was given before.
    pub(crate) async fn store_once(
        &self,
        writer: &Writer,
        readings: Vec<NewReading>,
        request: RequestKey,
    ) -> Result<(Answer, bool), NotStored> {
        let kind = Kind::of(readings.iter().map(bytes_of).sum());
        let stored = match self.submit(writer, readings, Some(request), kind).await {
            Ok(Stored::Answer { answer, is_replayed }) => Ok((answer, is_replayed)),
            Ok(Stored::Readings(_)) => Err(NotStored::Unavailable),
            Err(error) => Err(error),
        };
        match &stored {
            Ok((_, true)) => self.metrics.requests.of(Outcome::Replayed).inc(),
            other => self.count(other.as_ref().err()),
        }
        stored
    }

    async fn submit_plain(
        &self,
        writer: &Writer,
        readings: Vec<NewReading>,
        kind: Kind,
    ) -> Result<Vec<Reading>, NotStored> {
        match self.submit(writer, readings, None, kind).await? {
            Stored::Readings(readings) => Ok(readings),
            // only a request that has a key is answered so
            Stored::Answer { .. } => Err(NotStored::Unavailable),
        }
    }

    fn count(&self, error: Option<&NotStored>) {
        let outcome = match error {
            None => Outcome::Stored,
            Some(NotStored::Full) => Outcome::Full,
            Some(NotStored::Unavailable) => Outcome::Unavailable,
            Some(NotStored::BadData | NotStored::TooLarge) => Outcome::RefusedData,
            Some(NotStored::KeyInUse | NotStored::KeyReused) => Outcome::RefusedKey,
        };
        self.metrics.requests.of(outcome).inc();
    }

    async fn submit(
        &self,
        writer: &Writer,
        readings: Vec<NewReading>,
        request: Option<RequestKey>,
        kind: Kind,
    ) -> Result<Stored, NotStored> {
        let bytes: usize = readings.iter().map(bytes_of).sum();
        let memory = self.memory.take(&writer.flow, bytes + REQUEST_BYTES).ok_or(NotStored::Full)?;
        let (reply, answer) = oneshot::channel();
        let (writer, deadline) = (writer.clone(), Instant::now() + REQUEST_LIMIT);
        let refused = Vec::new();
        self.put(Job { writer, readings, request, refused, deadline, reply, kind, memory }).await;
        // no timeout here: whatever the database does, every lane returns soon after its batch's deadlines, and drops the
        // jobs whose own have passed
        answer.await.unwrap_or(Err(NotStored::Unavailable))
    }

    /// Queues a job. The first one in the queue yields before it wakes the dispatcher, so that requests that are ready can queue
    /// theirs: it would be committed alone, and they would wait for that.
    async fn put(&self, job: Job) {
        if self.waiting.lock().push(job) {
            let _wakes_on_drop = Wake(&self.wake);
            tokio::task::yield_now().await;
        }
    }
}

/// What a reading takes of the queue, beside its request.
fn bytes_of(reading: &NewReading) -> usize {
    reading.sensor_id.len() + reading.metadata.len() + reading.key.as_ref().map_or(0, String::len) + 64
}

/// Wakes the dispatcher when it is dropped: a request may be cancelled wherever it waits.
struct Wake<'a>(&'a mpsc::Sender<()>);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        // full: the dispatcher will wake anyway
        let _ = self.0.try_send(());
    }
}

/// Hands what waits to the lanes, until no request is left that could wake it and every lane is back.
async fn dispatch(
    waiting: Arc<Mutex<Queue>>,
    mut woken: mpsc::Receiver<()>,
    mut idle: Vec<Lane>,
    life: Life,
) {
    let (give_back, mut returned) = mpsc::unbounded_channel();
    let mut turns = Turns::new(idle.len());
    let mut open = true;
    while open || turns.is_busy() || !waiting.lock().is_empty() {
        let now = Instant::now();
        let next = turns.order().into_iter().find_map(|kind| {
            let answered = turns.may_begin(kind, now).then(|| turns.answered(kind))?;
            let batch = waiting.lock().batch(kind, answered);
            (!batch.is_empty()).then_some((kind, batch))
        });
        turns.forget_answered();
        if let Some((kind, batch)) = next
            && let Some(mut lane) = idle.pop()
        {
            turns.begin(kind, now);
            let give_back = give_back.clone();
            life.spawn_work(async move {
                let requests = batch.len();
                lane.commit(batch).await;
                // the dispatcher ends only with the process
                let _ = give_back.send((lane, kind, requests));
            });
            continue;
        }
        let due = turns.due(now);
        tokio::select! {
            // a lane that was returned is used first: its connection works
            biased;
            Some((lane, kind, requests)) = returned.recv() => {
                idle.push(lane);
                turns.end(kind, requests);
            }
            wake = woken.recv(), if open && turns.may_any_begin(now) => open = wake.is_some(),
            () = sleep_until(due.unwrap_or(now)), if due.is_some() => {}
        }
    }
}

#[cfg(test)]
mod tests;
