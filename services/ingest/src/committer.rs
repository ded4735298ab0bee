//! Group commit by natural batching: whatever waits while an INSERT runs goes into the next one, without a timer.
//!
//! One lane inserts at a time while commits are quick. When one has run for `PATIENCE`, the next lane takes what
//! has come meanwhile. The queue is bounded in bytes; a request that finds it full is refused at once, and one whose
//! time is over is taken out unstored.

mod lane;

use std::{sync::Arc, time::Duration};

use chassis::Life;
use store::NewReading;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until, timeout_at},
};
use wire::Reading;

use self::lane::Lane;
use crate::{config::IngestConfig, metrics::Metrics};

/// From a request's body to the answer that its readings are not stored.
const REQUEST_LIMIT: Duration = Duration::from_millis(2_200);

/// An answer that is still due then is not waited for any longer.
const ANSWER_LIMIT: Duration = Duration::from_millis(2_600);

/// An INSERT that runs longer than this is slow: the next lane starts beside it.
const PATIENCE: Duration = Duration::from_millis(10);

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
    queue: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    metrics: Metrics,
}

impl Committer {
    /// Starts the lanes.
    pub fn start(life: &Life, options: store::Options, config: IngestConfig, metrics: Metrics) -> Self {
        // every job holds its bytes of the semaphore, which bounds the channel
        let (queue, jobs) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(config.queue_bytes));
        let lanes = (0..config.lanes).map(|_| Lane::new(options.clone(), metrics.clone())).collect();
        life.spawn_work(dispatch(jobs, lanes, life.clone()));
        Self { queue, room, metrics }
    }

    /// Stores all the readings or none, and gives them as they are in the table.
    pub async fn store(&self, readings: Vec<NewReading>) -> Result<Vec<Reading>, NotStored> {
        let stored = self.submit(readings).await;
        let outcome = match &stored {
            Ok(_) => "stored",
            Err(NotStored::Full) => "full",
            Err(NotStored::Unavailable) => "unavailable",
            Err(NotStored::BadData) => "refused_data",
        };
        self.metrics.requests.with_label_values(&[outcome]).inc();
        stored
    }

    async fn submit(&self, readings: Vec<NewReading>) -> Result<Vec<Reading>, NotStored> {
        let bytes: usize = readings.iter().map(|r| r.sensor_id.len() + r.metadata.len() + 64).sum();
        let bytes = u32::try_from(bytes + REQUEST_BYTES).map_err(|_| NotStored::Full)?;
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| NotStored::Full)?;
        let (reply, answer) = oneshot::channel();
        let now = Instant::now();
        let job = Job { readings, deadline: now + REQUEST_LIMIT, reply, _room: room };
        self.queue.send(job).map_err(|_| NotStored::Unavailable)?;
        match timeout_at(now + ANSWER_LIMIT, answer).await {
            Ok(Ok(stored)) => stored,
            _ => Err(NotStored::Unavailable),
        }
    }
}

/// Hands what waits to a lane, until every sender is gone: the port's requests hold one each.
async fn dispatch(mut jobs: mpsc::UnboundedReceiver<Job>, mut idle: Vec<Lane>, life: Life) {
    let (give_back, mut returned) = mpsc::unbounded_channel();
    let mut busy = 0;
    let mut started = Instant::now();
    while let Some(first) = jobs.recv().await {
        if busy > 0 {
            tokio::select! {
                // a lane that is back goes first: it has a connection that works
                biased;
                lane = returned.recv() => {
                    idle.extend(lane);
                    busy -= 1;
                }
                () = sleep_until(started + PATIENCE), if !idle.is_empty() => {}
            }
        }
        let batch = waiting(first, &mut jobs);
        let Some(mut lane) = idle.pop() else { continue };
        let give_back = give_back.clone();
        (busy, started) = (busy + 1, Instant::now());
        life.spawn_work(async move {
            lane.commit(batch).await;
            // the dispatcher only goes when the process does
            let _ = give_back.send(lane);
        });
    }
}

/// Everything that waits, up to a batch's size.
fn waiting(first: Job, jobs: &mut mpsc::UnboundedReceiver<Job>) -> Vec<Job> {
    let mut count = first.readings.len();
    let mut batch = vec![first];
    while count < BATCH_READINGS {
        let Ok(job) = jobs.try_recv() else { break };
        count += job.readings.len();
        batch.push(job);
    }
    batch
}
