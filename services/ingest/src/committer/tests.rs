use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use super::*;

fn committer() -> (Committer, mpsc::Receiver<()>) {
    let (bell, rung) = mpsc::channel(1);
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    (Committer { waiting: Arc::default(), bell, room: Arc::new(Semaphore::new(1)), metrics }, rung)
}

fn job() -> Job {
    let room = Arc::new(Semaphore::new(0)).try_acquire_many_owned(0).unwrap();
    Job { readings: Vec::new(), deadline: Instant::now(), reply: oneshot::channel().0, _room: room }
}

fn look(put: Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    put.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn the_first_rings_when_the_others_have_had_their_turn() {
    let (committer, mut rung) = committer();
    let mut first = pin!(committer.put(job()));
    assert!(look(first.as_mut()).is_pending());
    assert!(look(pin!(committer.put(job()))).is_ready());
    assert!(rung.try_recv().is_err(), "it rang for the first alone");
    first.await;
    rung.try_recv().unwrap();
    assert_eq!(committer.waiting.lock().batch().len(), 2);
}

#[tokio::test]
async fn a_first_whose_client_has_gone_rings_for_the_others() {
    let (committer, mut rung) = committer();
    {
        let mut first = pin!(committer.put(job()));
        assert!(look(first.as_mut()).is_pending());
        committer.put(job()).await;
    }
    rung.try_recv().unwrap();
}
