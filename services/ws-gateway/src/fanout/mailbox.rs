//! What waits for a session between the hub and its task.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicU64},
};

use tokio::sync::Notify;
use wire::Close;

use crate::fanout::{
    batch::{Batch, Trace},
    lock::Mutex,
    selection::Selection,
};

/// A session with more than this in its mailbox does not keep up; it reads on from the log at its own pace.
const LIMIT_BYTES: usize = 1 << 20;

/// Readings for one subscription.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which.
    pub sub: u32,
    /// The batch they are in.
    pub batch: Arc<Batch>,
    /// Which of the batch's readings.
    pub selection: Selection,
    /// The span of the batch's way through this gateway, where its trace is recorded. It ends with the last copy: when every
    /// client that follows live has it.
    pub trace: Option<Trace>,
}

/// What a session takes out of its mailbox.
#[derive(Debug, Default)]
pub struct Mail {
    /// In order.
    pub deliveries: Vec<Delivery>,
    /// Deliveries were left out from here on, and the hub has forgotten the session's subscriptions.
    pub overflowed: bool,
    /// Tell the client at once whether the feed is current.
    pub nudged: bool,
    /// What the client may do is to be checked again.
    pub recheck: bool,
    /// The connection is to end.
    pub leave: Option<Leave>,
}

/// That a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// With this code.
    pub close: Close,
    /// When the client should come back, in milliseconds.
    pub after_ms: u64,
}

#[derive(Debug, Default)]
struct Queue {
    deliveries: VecDeque<Delivery>,
    bytes: usize,
    overflowed: bool,
    nudged: bool,
    recheck: bool,
    leave: Option<Leave>,
}

/// One session's mailbox.
#[derive(Debug)]
pub struct Mailbox {
    /// Names the session in the hub.
    pub session: u64,
    queue: Mutex<Queue>,
    arrival: Notify,
}

static NEXT_SESSION: AtomicU64 = AtomicU64::new(1);

impl Mailbox {
    /// An empty one with a number of its own.
    pub fn new() -> Arc<Self> {
        let session = NEXT_SESSION.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Arc::new(Self { session, queue: Mutex::default(), arrival: Notify::new() })
    }

    /// Puts a delivery in; false when it does not fit, and nothing fits until the mail was taken.
    pub fn put(&self, delivery: Delivery) -> bool {
        let mut queue = self.queue.lock();
        if queue.overflowed {
            return false;
        }
        let count = delivery.batch.count();
        queue.bytes += delivery.batch.size() / count.max(1) * delivery.selection.count(count);
        queue.overflowed = queue.bytes > LIMIT_BYTES;
        let fits = !queue.overflowed;
        if fits {
            queue.deliveries.push_back(delivery);
        }
        drop(queue);
        self.arrival.notify_one();
        fits
    }

    /// Forgets what is in it, as if it had overflowed: the session must go on from the log.
    pub fn overflow(&self) {
        self.queue.lock().overflowed = true;
        self.arrival.notify_one();
    }

    /// Has the session tell its client at once whether the feed is current.
    pub fn nudge(&self) {
        self.queue.lock().nudged = true;
        self.arrival.notify_one();
    }

    /// Has the connection check again what its client may do.
    pub fn recheck(&self) {
        self.queue.lock().recheck = true;
        self.arrival.notify_one();
    }

    /// Ends the connection.
    pub fn leave(&self, leave: Leave) {
        self.queue.lock().leave = Some(leave);
        self.arrival.notify_one();
    }

    /// Takes all that is there.
    pub fn take(&self) -> Mail {
        let queue = std::mem::take(&mut *self.queue.lock());
        let Queue { deliveries, overflowed, nudged, recheck, leave, .. } = queue;
        Mail { deliveries: deliveries.into(), overflowed, nudged, recheck, leave }
    }

    /// How many bytes of readings are in it.
    pub fn bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Returns when something was put in since the last return.
    pub async fn arrival(&self) {
        self.arrival.notified().await;
    }
}
