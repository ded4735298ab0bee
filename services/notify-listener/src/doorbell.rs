//! Keeps a LISTEN session, and wakes the forwarder at every notification, and whenever one may have been missed.

use std::{sync::Arc, time::Duration};

use chassis::{Life, Outage};
use store::Notifications;
use tokio::sync::Notify;

use crate::metrics::Metrics;

/// Before the next try to listen.
const RETRY: Duration = Duration::from_millis(200);

/// Listens until the process stops. Without a session the forwarder polls.
pub(crate) async fn answer(options: store::Options, bell: Arc<Notify>, metrics: Metrics, life: Life) {
    life.soft().run_until_cancelled(listen(options, bell, metrics)).await;
}

async fn listen(options: store::Options, bell: Arc<Notify>, metrics: Metrics) -> ! {
    let mut outage = Outage::new("the LISTEN session");
    loop {
        match Notifications::listen(&options).await {
            Ok(mut doorbell) => {
                outage.ends();
                // what was committed without a session notified nobody
                bell.notify_one();
                if let Err(error) = ring_while(&mut doorbell, &bell, &metrics).await {
                    outage.fails(&error);
                    bell.notify_one();
                }
            }
            Err(error) => {
                outage.fails(&error);
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn ring_while(doorbell: &mut Notifications, bell: &Notify, metrics: &Metrics) -> store::Result<()> {
    loop {
        doorbell.recv().await?;
        metrics.bells.inc();
        bell.notify_one();
    }
}
