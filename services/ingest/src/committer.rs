//! Group commit by natural batching: whatever waits while an INSERT runs goes into the next one, without a timer.
//!
//! A lane takes all that waits, unless clients that were just answered will be back for the next batch: then half. One
//! lane is enough while commits are quick, and makes the largest batches; when its INSERT has run for `PATIENCE`, the
//! next lane takes what waits by then. The queue is bounded in bytes; a request that finds it full is refused at once,
//! and one whose time is over is taken out unstored.
//!
//! All of it runs on a thread of its own. Beside the connections, a batch whose answer has come waited until each of
//! them had had its turn, and every client with it.

mod lane;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use chassis::Life;
use parking_lot::Mutex;
use store::NewReading;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use wire::Reading;

use self::lane::Lane;
use crate::{config::IngestConfig, metrics::Metrics};

/// From a request's body to the answer that its readings are not stored.
const REQUEST_LIMIT: Duration = Duration::from_millis(2_200);

/// An INSERT that runs longer than this is slow: the next lane takes what waits, however little. Two lanes where one
/// would do share the readings between them, and each statement and each commit has its price.
const PATIENCE: Duration = Duration::from_millis(2);

/// The most readings in one INSERT.
const BATCH_READINGS: usize = 5_000;

/// What a waiting request costs beside its readings' bytes.
const REQUEST_BYTES: usize = 512;

/// Why readings were not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// The queue is full.
    #[error("too many readings wait to be stored")]
    Full,
    /// The database is down, slow, or gave no answer in time.
    #[error("the database does not answer in time")]
    Unavailable,
    /// The database refused these readings, whatever the others.
    #[error("the database refuses these readings")]
    BadData,
    /// Metadata that is too large once it is stored.
    #[error("a reading's metadata has at most 1 MiB in the form in which it is stored")]
    TooLarge,
}

/// A request's readings on their way.
struct Job {
    readings: Vec<NewReading>,
    deadline: Instant,
    reply: oneshot::Sender<Result<Vec<Reading>, NotStored>>,
    _room: OwnedSemaphorePermit,
}

/// The queue before the lanes.
#[derive(Clone)]
pub struct Committer {
    waiting: Arc<Mutex<Waiting>>,
    /// Rung by the first that waits.
    bell: mpsc::Sender<()>,
    room: Arc<Semaphore>,
    metrics: Metrics,
}

impl Committer {
    /// Starts the lanes. Must be called where the requests will run.
    pub fn start(
        life: &Life,
        options: store::Options,
        config: IngestConfig,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (waiting, room) = (Arc::default(), Arc::new(Semaphore::new(config.queue_bytes)));
        let (bell, rung) = mpsc::channel(1);
        let lane = || Lane::new(options.clone(), Handle::current(), metrics.clone());
        let lanes = std::iter::repeat_with(lane).take(config.lanes).collect();
        life.spawn_apart("commit", dispatch(Arc::clone(&waiting), rung, lanes, life.clone()))?;
        Ok(Self { waiting, bell, room, metrics })
    }

    /// Stores all the readings or none, and gives them as they are in the table.
    pub async fn store(&self, readings: Vec<NewReading>) -> Result<Vec<Reading>, NotStored> {
        let stored = self.submit(readings).await;
        let outcome = match &stored {
            Ok(_) => "stored",
            Err(NotStored::Full) => "full",
            Err(NotStored::Unavailable) => "unavailable",
            Err(NotStored::BadData | NotStored::TooLarge) => "refused_data",
        };
        self.metrics.requests.with_label_values(&[outcome]).inc();
        stored
    }

    async fn submit(&self, readings: Vec<NewReading>) -> Result<Vec<Reading>, NotStored> {
        let bytes: usize = readings.iter().map(|r| r.sensor_id.len() + r.metadata.len() + 64).sum();
        let bytes = u32::try_from(bytes + REQUEST_BYTES).map_err(|_| NotStored::Full)?;
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| NotStored::Full)?;
        let (reply, answer) = oneshot::channel();
        self.put(Job { readings, deadline: Instant::now() + REQUEST_LIMIT, reply, _room: room }).await;
        // no limit here: whatever the database does, every lane is back soon after its batch's deadlines, and takes
        // those out whose own have passed
        answer.await.unwrap_or(Err(NotStored::Unavailable))
    }

    /// Puts a job behind the others. The first of them lets the requests that can go on at once put theirs beside it
    /// before it rings: it would be committed alone, and they would wait for that.
    async fn put(&self, job: Job) {
        if self.waiting.lock().push(job) {
            let _rings_at_the_end = Ring(&self.bell);
            tokio::task::yield_now().await;
        }
    }
}

/// Rings when it is dropped: a request may be dropped wherever it waits.
struct Ring<'a>(&'a mpsc::Sender<()>);

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        // full: it has been rung and not been heard yet
        let _ = self.0.try_send(());
    }
}

/// Hands what waits to a lane, until nobody is left to ring (each of the port's requests may) and every lane is back.
async fn dispatch(
    waiting: Arc<Mutex<Waiting>>,
    mut rung: mpsc::Receiver<()>,
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
        let next = !idle.is_empty() && (busy == 0 || started.elapsed() >= PATIENCE);
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
                // the dispatcher only goes when the process does
                let _ = give_back.send((lane, requests));
            });
            continue;
        }
        tokio::select! {
            // a lane that is back goes first: it has a connection that works
            biased;
            Some((lane, requests)) = returned.recv() => {
                idle.push(lane);
                busy -= 1;
                answered = if busy == 0 { requests } else { 0 };
            }
            heard = rung.recv(), if open && next => open = heard.is_some(),
            () = sleep_until(started + PATIENCE), if !next && !idle.is_empty() => {}
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
        let mut readings = 0;
        let mut more = |job: &Job| {
            let goes = readings < BATCH_READINGS;
            readings += job.readings.len();
            goes
        };
        let count = self.jobs.iter().take(most).take_while(|job| more(job)).count();
        self.jobs.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests;
