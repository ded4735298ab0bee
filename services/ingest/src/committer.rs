//! Group commit by natural batching: whatever waits while an INSERT runs goes into the next one, without a timer.
//!
//! A lane takes all that waits, unless clients that were just answered will be back for the next batch: then half. One
//! lane is enough while commits are quick, and makes the largest batches; when its INSERT has run for `SECOND_LANE_AFTER`, the
//! next lane takes what waits by then. The queue is bounded in bytes; a request that finds it full is refused at once,
//! and one whose time is over is taken out unstored.
//!
//! All of it runs on a thread of its own. On the thread of the connections, a committed batch waited until each of them had
//! been polled, and every client with it.

pub(crate) mod job;
mod lane;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use chassis::{Life, spans::Tracer};
use futures_util::future::join_all;
use parking_lot::Mutex;
use store::{NewReading, readings::once::Answer};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use wire::Reading;

use self::{
    job::{Job, Memory, NotStored, Stored},
    lane::Lane,
};
use crate::{
    config::IngestConfig,
    metrics::{Metrics, Outcome},
    request_key::RequestKey,
    writer::Writer,
};

/// From a request's body to the answer that its readings are not stored.
const REQUEST_LIMIT: Duration = Duration::from_millis(2_200);

/// An INSERT that runs longer than this is slow: the next lane takes what waits, however little. Two lanes where one
/// would do make more statements and more commits of the same readings.
const SECOND_LANE_AFTER: Duration = Duration::from_millis(2);

/// The most readings in one INSERT.
const BATCH_READINGS: usize = 5_000;

/// The most requests with a key in one batch: each takes a lock of the server, which has room for some thousands.
const BATCH_KEYS: usize = 128;

/// What a waiting request costs beside its readings' bytes.
const REQUEST_BYTES: usize = 512;

/// The queue before the lanes.
#[derive(Clone)]
pub(crate) struct Committer {
    waiting: Arc<Mutex<Waiting>>,
    /// Wakes the dispatcher.
    wake: mpsc::Sender<()>,
    memory: Arc<Semaphore>,
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
        let (waiting, memory) = (Arc::default(), Arc::new(Semaphore::new(config.queue_bytes)));
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
        let stored = self.submit_plain(writer, readings).await;
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
        let each = readings.into_iter().map(|reading| self.submit_plain(writer, vec![reading]));
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
        let stored = match self.submit(writer, readings, Some(request)).await {
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
    ) -> Result<Vec<Reading>, NotStored> {
        match self.submit(writer, readings, None).await? {
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
    ) -> Result<Stored, NotStored> {
        let bytes: usize = readings.iter().map(|r| r.sensor_id.len() + r.metadata.len() + 64).sum();
        let bytes = u32::try_from(bytes + REQUEST_BYTES).map_err(|_| NotStored::Full)?;
        let memory = self.memory.clone().try_acquire_many_owned(bytes).map_err(|_| NotStored::Full)?;
        let memory = Memory::count(memory, &self.metrics.queue);
        let (reply, answer) = oneshot::channel();
        let (writer, deadline) = (writer.clone(), Instant::now() + REQUEST_LIMIT);
        let refused = Vec::new();
        self.put(Job { writer, readings, request, refused, deadline, reply, _memory: memory }).await;
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

/// Wakes the dispatcher when it is dropped: a request may be cancelled wherever it waits.
struct Wake<'a>(&'a mpsc::Sender<()>);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        // full: the dispatcher will wake anyway
        let _ = self.0.try_send(());
    }
}

/// Hands what waits to a lane, until no request is left that could wake it and every lane is back.
async fn dispatch(
    waiting: Arc<Mutex<Waiting>>,
    mut woken: mpsc::Receiver<()>,
    mut idle: Vec<Lane>,
    life: Life,
) {
    let (give_back, mut returned) = mpsc::unbounded_channel();
    // how many lanes run, and since when the last of them
    let (mut busy, mut started) = (0, Instant::now());
    // the requests that were answered this moment, if no other lane runs
    let mut answered = 0;
    let mut open = true;
    while open || busy > 0 || !waiting.lock().jobs.is_empty() {
        let next = !idle.is_empty() && (busy == 0 || started.elapsed() >= SECOND_LANE_AFTER);
        let batch = if next { waiting.lock().batch(answered) } else { Vec::new() };
        answered = 0;
        if !batch.is_empty()
            && let Some(mut lane) = idle.pop()
        {
            (busy, started) = (busy + 1, Instant::now());
            let give_back = give_back.clone();
            life.spawn_work(async move {
                let requests = batch.len();
                lane.commit(batch).await;
                // the dispatcher ends only with the process
                let _ = give_back.send((lane, requests));
            });
            continue;
        }
        tokio::select! {
            // a lane that was returned is used first: its connection works
            biased;
            Some((lane, requests)) = returned.recv() => {
                idle.push(lane);
                busy -= 1;
                answered = if busy == 0 { requests } else { 0 };
            }
            wake = woken.recv(), if open && next => open = wake.is_some(),
            () = sleep_until(started + SECOND_LANE_AFTER), if !next && !idle.is_empty() => {}
        }
    }
}

/// The requests before the lanes, in the order they came.
#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
}

impl Waiting {
    /// Whether it is the first.
    fn push(&mut self, job: Job) -> bool {
        self.jobs.push_back(job);
        self.jobs.len() == 1
    }

    /// Takes the first, up to a batch's size. Clients that were answered this moment will be back while the batch is
    /// on its way: of those and the ones that wait it takes no more than half, or a few would be committed alone, then
    /// all the others together, then the few again.
    fn batch(&mut self, answered: usize) -> Vec<Job> {
        let most = if answered == 0 { usize::MAX } else { (self.jobs.len() + answered).div_ceil(2) };
        let (mut readings, mut keys) = (0, 0);
        let mut takes = |job: &Job| {
            let fits = readings < BATCH_READINGS && keys < BATCH_KEYS;
            readings += job.readings.len();
            keys += usize::from(job.request.is_some());
            fits
        };
        let count = self.jobs.iter().take(most).take_while(|job| takes(job)).count();
        self.jobs.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests;
