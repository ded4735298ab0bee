//! What waits for a lane: small requests apart from large ones, and each kind by deficit round robin over flows (Shreedhar and
//! Varghese, 1995), whose cost for a job depends neither on how many jobs wait nor on how many flows.

use std::collections::{HashMap, VecDeque};

use super::{
    job::Job,
    kind::{Kind, LIGHT_BYTES},
};
use crate::writer::Flow;

/// The most requests with a key in one batch: each takes a lock of the server, which has room for some thousands.
const BATCH_KEYS: usize = 128;

/// A flow's bytes in each of its turns: one request of nearly any size that its kind may have.
const QUANTA: [usize; 2] = [LIGHT_BYTES, 1 << 20];

/// The requests before the lanes.
#[derive(Default)]
pub(super) struct Queue {
    kinds: [Flows; 2],
}

impl Queue {
    /// Whether it is the first of its kind.
    pub(super) fn push(&mut self, job: Job) -> bool {
        let flows = &mut self.kinds[job.kind as usize];
        flows.push(job);
        flows.jobs == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.iter().all(|flows| flows.jobs == 0)
    }

    /// Takes a batch. Clients that were answered this moment will be back while the batch is on its way: of those and the
    /// ones that wait it takes no more than half, or a few would be committed alone, then all the others together, then the
    /// few again.
    pub(super) fn batch(&mut self, kind: Kind, answered: usize) -> Vec<Job> {
        let flows = &mut self.kinds[kind as usize];
        let most = if answered == 0 { usize::MAX } else { (flows.jobs + answered).div_ceil(2) };
        let (mut jobs, mut readings, mut keys) = (0, 0, 0);
        flows.take(QUANTA[kind as usize], |job| {
            let fits = jobs < most && readings < kind.readings() && keys < BATCH_KEYS;
            jobs += 1;
            readings += job.readings.len();
            keys += usize::from(job.request.is_some());
            fits
        })
    }
}

/// Jobs of one kind.
#[derive(Default)]
struct Flows {
    /// Those that have jobs.
    waiting: HashMap<Flow, Waiting>,
    /// The same, in the order of their turns.
    turns: VecDeque<Flow>,
    jobs: usize,
}

/// The jobs of one flow, in the order they came.
#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// The bytes that it may still send in this turn.
    deficit: usize,
    /// A batch ended within its turn.
    has_begun: bool,
}

impl Flows {
    fn push(&mut self, job: Job) {
        let waiting = self.waiting.entry(job.writer.flow.clone()).or_default();
        if waiting.jobs.is_empty() {
            self.turns.push_back(job.writer.flow.clone());
        }
        waiting.jobs.push_back(job);
        self.jobs += 1;
    }

    /// Takes jobs until one does not fit.
    fn take(&mut self, quantum: usize, mut fits: impl FnMut(&Job) -> bool) -> Vec<Job> {
        let mut taken = Vec::new();
        while let Some(flow) = self.turns.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&flow) else { continue };
            if !std::mem::replace(&mut waiting.has_begun, true) {
                waiting.deficit += quantum;
            }
            while let Some(job) = waiting.jobs.pop_front_if(|job| job.bytes() <= waiting.deficit) {
                if !fits(&job) {
                    waiting.jobs.push_front(job);
                    self.turns.push_front(flow);
                    return taken;
                }
                waiting.deficit -= job.bytes();
                self.jobs -= 1;
                taken.push(job);
            }
            waiting.has_begun = false;
            if waiting.jobs.is_empty() {
                self.waiting.remove(&flow);
            } else {
                self.turns.push_back(flow);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::job_of, *};

    fn flow(last: u8) -> Flow {
        Flow::Address(Some([192, 0, 2, last].into()))
    }

    /// The flows of a batch's jobs.
    fn order(batch: &[Job]) -> Vec<&Flow> {
        batch.iter().map(|job| &job.writer.flow).collect()
    }

    #[test]
    fn a_flow_s_turn_comes_after_one_quantum_of_each_other() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            queue.push(job_of(flow(1), Kind::Heavy, 1 << 20, 1_000));
        }
        for last in 2..4 {
            queue.push(job_of(flow(last), Kind::Heavy, 1 << 20, 500));
        }
        assert_eq!(order(&queue.batch(Kind::Heavy, 0)), [&flow(1), &flow(2), &flow(3)]);
        assert_eq!(order(&queue.batch(Kind::Heavy, 0)), [&flow(1), &flow(1)]);
        // bytes count, not requests
        for _ in 0..4 {
            queue.push(job_of(flow(4), Kind::Heavy, 1 << 18, 10));
        }
        let batch = queue.batch(Kind::Heavy, 0);
        assert_eq!(order(&batch), [&flow(1), &flow(4), &flow(4), &flow(4), &flow(4), &flow(1)]);
    }

    #[test]
    fn a_small_request_shares_no_batch_with_large_ones() {
        let mut queue = Queue::default();
        assert!(queue.push(job_of(flow(1), Kind::Heavy, 1 << 20, 1_000)));
        assert!(queue.push(job_of(flow(2), Kind::Light, 600, 1)), "each kind has a first");
        assert!(!queue.push(job_of(flow(1), Kind::Light, 600, 1)));
        assert_eq!(order(&queue.batch(Kind::Light, 0)), [&flow(2), &flow(1)]);
        assert_eq!(order(&queue.batch(Kind::Heavy, 0)), [&flow(1)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_request_larger_than_a_quantum_waits_for_several_turns() {
        let mut queue = Queue::default();
        queue.push(job_of(flow(1), Kind::Heavy, 5 << 19, 10));
        for _ in 0..4 {
            queue.push(job_of(flow(2), Kind::Heavy, 1 << 20, 10));
        }
        let batch = queue.batch(Kind::Heavy, 0);
        assert_eq!(order(&batch), [&flow(2), &flow(2), &flow(1), &flow(2), &flow(2)]);
    }

    #[test]
    fn nothing_is_left_of_flows_that_do_not_wait() {
        let mut queue = Queue::default();
        for last in 0..200 {
            queue.push(job_of(flow(last), Kind::Light, 600, 1));
        }
        assert_eq!(queue.batch(Kind::Light, 0).len(), 200);
        let flows = &queue.kinds[0];
        assert_eq!((flows.waiting.len(), flows.turns.len(), flows.jobs), (0, 0, 0));
    }

    #[test]
    fn a_batch_leaves_half_to_the_next_when_the_answered_will_be_back() {
        #[track_caller]
        fn check(waiting: usize, answered: usize, taken: usize) {
            let mut queue = Queue::default();
            for _ in 0..waiting {
                queue.push(job_of(flow(1), Kind::Light, 0, 1));
            }
            assert_eq!(queue.batch(Kind::Light, answered).len(), taken);
            assert_eq!(queue.kinds[0].jobs, waiting - taken);
        }
        check(61, 3, 32);
        check(32, 32, 32);
        check(3, 61, 3);
        check(2, 1, 2);
        // no client is known to come back
        check(61, 0, 61);
    }
}
