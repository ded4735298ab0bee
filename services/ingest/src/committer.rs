//! Group commit by natural batching: whatever waits while an INSERT runs goes into the next one, without a timer.
//!
//! A lane takes all that waits. The next one starts beside it when as many readings wait as are under way, or when
//! it has run for `PATIENCE`: batches stay large, and one is inserted while another waits for the disk. The queue is
//! bounded in bytes; a request that finds it full is refused at once, and one whose time is over is taken out
//! unstored.
//!
//! All of it runs on a thread of its own. Beside the connections, a batch whose answer has come waited until each of
//! them had had its turn, and every client with it.

mod lane;

use std::{collections::VecDeque, sync::Arc, time::Duration};

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

/// An INSERT that runs longer than this is slow: the next lane takes what waits, however little.
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
    pub fn start(
        life: &Life,
        options: store::Options,
        config: IngestConfig,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        // every job holds its bytes of the semaphore, which bounds the channel
        let (queue, jobs) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(config.queue_bytes));
        let lanes = (0..config.lanes).map(|_| Lane::new(options.clone(), metrics.clone())).collect();
        life.spawn_apart("commit", dispatch(jobs, lanes, life.clone()))?;
        Ok(Self { queue, room, metrics })
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

/// Hands what waits to a lane, until every sender is gone (the port's requests hold one each) and every lane is back.
async fn dispatch(mut jobs: mpsc::UnboundedReceiver<Job>, mut idle: Vec<Lane>, life: Life) {
    let (give_back, mut returned) = mpsc::unbounded_channel();
    let (mut waiting, mut arrived) = (Waiting::default(), Vec::new());
    // how many readings the lanes have, and since when the last of them has its own
    let (mut under_way, mut started) = (0, Instant::now());
    let mut open = true;
    while open || waiting.readings > 0 || under_way > 0 {
        while waiting.readings > 0 && (waiting.readings >= under_way || started.elapsed() >= PATIENCE) {
            let Some(mut lane) = idle.pop() else { break };
            let batch = waiting.batch();
            let readings: usize = batch.iter().map(|job| job.readings.len()).sum();
            (under_way, started) = (under_way + readings, Instant::now());
            let give_back = give_back.clone();
            life.spawn_work(async move {
                lane.commit(batch).await;
                // the dispatcher only goes when the process does
                let _ = give_back.send((lane, readings));
            });
        }
        tokio::select! {
            // a lane that is back goes first: it has a connection that works
            biased;
            Some((lane, readings)) = returned.recv() => {
                idle.push(lane);
                under_way -= readings;
            }
            count = jobs.recv_many(&mut arrived, usize::MAX), if open => {
                open = count > 0;
                arrived.drain(..).for_each(|job| waiting.push(job));
            }
            () = sleep_until(started + PATIENCE), if waiting.readings > 0 && !idle.is_empty() => {}
        }
    }
}

/// The requests before the lanes, in the order they came.
#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    readings: usize,
}

impl Waiting {
    fn push(&mut self, job: Job) {
        self.readings += job.readings.len();
        self.jobs.push_back(job);
    }

    /// Takes the first, up to a batch's size.
    fn batch(&mut self) -> Vec<Job> {
        let (mut batch, mut readings) = (Vec::new(), 0);
        while readings < BATCH_READINGS {
            let Some(job) = self.jobs.pop_front() else { break };
            readings += job.readings.len();
            batch.push(job);
        }
        self.readings -= readings;
        batch
    }
}
