//! Keeps a LISTEN session, and wakes the forwarder at every notification, and whenever one may have been missed.

use std::{sync::Arc, time::Duration};

use chassis::{Life, Outage};
use store::{Database, NotificationMetrics, Notifications};
use tokio::sync::Notify;

use crate::metrics::Metrics;

/// Before the next try to listen.
const RETRY: Duration = Duration::from_millis(200);

/// How often the server is asked how full its queue is; it takes minutes at least to fill.
const QUEUE_PACE: Duration = Duration::from_secs(10);

/// Exports how full the queue of notifications is, until the process stops. An unreachable database leaves the last value.
pub(crate) async fn watch_queue(database: Database, metrics: NotificationMetrics, life: Life) {
    let watch = async {
        loop {
            if let Ok(usage) = database.notification_queue_usage().await {
                metrics.usage.set(usage);
            }
            tokio::time::sleep(QUEUE_PACE).await;
        }
    };
    life.soft().run_until_cancelled(watch).await;
}

/// Listens until the process stops. Without a session the forwarder polls.
pub(crate) async fn listen(options: store::Options, wake: Arc<Notify>, metrics: Metrics, life: Life) {
    life.soft().run_until_cancelled(keep_listening(&options, &wake, &metrics)).await;
}

async fn keep_listening(options: &store::Options, wake: &Notify, metrics: &Metrics) -> ! {
    let mut outage = Outage::new("the LISTEN session");
    loop {
        match Notifications::listen(options).await {
            Ok(mut notifications) => {
                outage.ends();
                // what was committed without a session notified nobody
                wake.notify_one();
                if let Err(error) = forward(&mut notifications, wake, metrics).await {
                    outage.fails(&error);
                    wake.notify_one();
                }
            }
            Err(error) => {
                outage.fails(&error);
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn forward(notifications: &mut Notifications, wake: &Notify, metrics: &Metrics) -> store::Result<()> {
    loop {
        notifications.recv().await?;
        metrics.notifications.inc();
        wake.notify_one();
    }
}
