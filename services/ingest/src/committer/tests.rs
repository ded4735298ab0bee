use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use instruments::IntGauge;

use super::*;

fn committer() -> (Committer, mpsc::Receiver<()>) {
    let (wake, woken) = mpsc::channel(1);
    let metrics = Metrics::register(&instruments::Registry::new()).unwrap();
    (Committer { waiting: Arc::default(), wake, memory: Arc::new(Semaphore::new(1)), metrics }, woken)
}

fn job() -> Job {
    job_of(0, &IntGauge::new("queue", "queue").unwrap())
}

fn job_of(bytes: u32, queued: &IntGauge) -> Job {
    let memory = Arc::new(Semaphore::new(bytes as usize)).try_acquire_many_owned(bytes).unwrap();
    let memory = Memory::count(memory, queued);
    Job {
        writer: Writer::of(&http::Extensions::new()),
        readings: Vec::new(),
        request: None,
        refused: Vec::new(),
        deadline: Instant::now(),
        reply: oneshot::channel().0,
        _memory: memory,
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
    assert_eq!(committer.waiting.lock().batch(0).len(), 2);
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

#[test]
fn a_job_s_bytes_are_counted_until_it_is_gone() {
    let queued = IntGauge::new("queue", "queue").unwrap();
    let (small, large) = (job_of(3, &queued), job_of(40, &queued));
    assert_eq!(queued.get(), 43);
    drop(small);
    assert_eq!(queued.get(), 40);
    drop(large);
    assert_eq!(queued.get(), 0);
}

#[test]
fn a_batch_leaves_half_to_the_next_when_the_answered_will_be_back() {
    #[track_caller]
    fn check(waiting: usize, answered: usize, taken: usize) {
        let mut queue = Waiting::default();
        queue.jobs.extend(std::iter::repeat_with(job).take(waiting));
        assert_eq!(queue.batch(answered).len(), taken);
        assert_eq!(queue.jobs.len(), waiting - taken);
    }
    check(61, 3, 32);
    check(32, 32, 32);
    check(3, 61, 3);
    check(2, 1, 2);
    // no client is known to come back
    check(61, 0, 61);
}
