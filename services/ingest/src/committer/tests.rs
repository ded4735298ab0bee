use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use instruments::IntGauge;

use super::*;
use crate::writer::Flow;

fn committer() -> (Committer, mpsc::Receiver<()>) {
    let (wake, woken) = mpsc::channel(1);
    let metrics = Metrics::register(&instruments::Registry::new()).unwrap();
    let memory = Shares::new(1, &metrics.queue);
    (Committer { waiting: Arc::default(), wake, memory, metrics }, woken)
}

fn job() -> Job {
    job_of(Flow::Address(None), Kind::Light, 0, 0)
}

/// A job of this flow, with so many bytes and readings.
pub(super) fn job_of(flow: Flow, kind: Kind, bytes: usize, readings: usize) -> Job {
    let memory = Shares::new(bytes, &IntGauge::new("queue", "queue").unwrap()).take(&flow, bytes).unwrap();
    let reading = NewReading {
        sensor_id: "s".to_owned(),
        value: 1.0,
        timestamp: None,
        metadata: "{}".to_owned(),
        traceparent: None,
        key: None,
    };
    Job {
        writer: Writer { scope: "anonymous".into(), flow },
        readings: vec![reading; readings],
        request: None,
        refused: Vec::new(),
        deadline: Instant::now(),
        reply: oneshot::channel().0,
        kind,
        memory,
    }
}

fn poll(put: Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    put.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn the_first_job_wakes_the_dispatcher_after_the_others_have_queued() {
    let (committer, mut woken) = committer();
    let mut first = pin!(committer.put(job()));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(pin!(committer.put(job()))).is_ready());
    assert!(woken.try_recv().is_err(), "it woke the dispatcher for the first alone");
    first.await;
    woken.try_recv().unwrap();
    assert_eq!(committer.waiting.lock().batch(Kind::Light, 0).len(), 2);
}

#[tokio::test]
async fn a_first_whose_client_has_gone_wakes_for_the_others() {
    let (committer, mut woken) = committer();
    {
        let mut first = pin!(committer.put(job()));
        assert!(poll(first.as_mut()).is_pending());
        committer.put(job()).await;
    }
    woken.try_recv().unwrap();
}
