//! A batch in which requests or readings have keys: one transaction that asks what is known, stores the rest, and keeps the answers.

use std::collections::HashSet;

use store::{
    Inserter,
    readings::once::{Claim, Kept, Keyed, Once, RequestId},
};
use tokio::time::{Instant, timeout_at};

use super::{GRACE, Lane, earliest, refusal};
use crate::committer::{
    job::{Job, Stored},
    not_stored::{NotKeyed, NotStored},
};

/// How a transaction ended after which the connection can be used.
enum Ended {
    Committed { stored: Vec<Stored>, new: usize, known: usize },
    Refused(store::Error),
    Held,
    TooLate,
}

impl Lane {
    /// Stores the batch and returns what each job was stored as. The jobs whose requests are known, or are being stored, are
    /// answered at once and taken out.
    pub(super) async fn insert_keyed(&mut self, jobs: &mut Vec<Job>) -> Result<Vec<Stored>, NotKeyed> {
        let deadline = earliest(jobs);
        let mut inserter = self.inserter(deadline).await.map_err(NotKeyed::All)?;
        let started = Instant::now();
        let span = self.span(jobs, jobs.iter().map(|job| job.readings.len()).sum());
        let ended = timeout_at(deadline + GRACE, transact(&mut inserter, jobs, deadline)).await;
        if let (Some(span), false) = (&span, matches!(ended, Ok(Ok(Ended::Committed { .. })))) {
            span.fail("not_stored");
        }
        match ended {
            Ok(Ok(Ended::Committed { stored, new, known })) => {
                if new > 0 {
                    self.metrics.commit.observe(started.elapsed().as_secs_f64());
                    self.metrics.batch.observe(new as f64);
                }
                self.metrics.readings.inc_by(new as u64);
                self.metrics.repeated.inc_by(known as u64);
                self.inserter = Some(inserter);
                self.outage.ends();
                Ok(stored)
            }
            Ok(Ok(Ended::Refused(error))) => {
                self.inserter = Some(inserter);
                Err(NotKeyed::Refused(refusal(&error)))
            }
            Ok(Ok(Ended::Held)) => {
                self.inserter = Some(inserter);
                Err(NotKeyed::Held)
            }
            Ok(Err(error)) => {
                self.outage.fails(&error);
                Err(NotKeyed::All(NotStored::Unavailable))
            }
            // its statement must not be mistaken for ours
            Ok(Ok(Ended::TooLate)) | Err(_) => Err(NotKeyed::All(NotStored::Unavailable)),
        }
    }

    /// Finds the readings of a job that the table refuses, and returns whether the others can be stored: those of a partial
    /// request. They are looked for once.
    pub(super) async fn find_refused(&mut self, job: &mut Job) -> Result<bool, NotStored> {
        let is_partial = job.request.as_ref().is_some_and(|request| request.is_partial);
        if !is_partial || !job.refused.is_empty() {
            return Ok(false);
        }
        let deadline = job.deadline;
        let mut inserter = self.inserter(deadline).await?;
        let readings: Vec<_> = job.readings.iter().collect();
        match timeout_at(deadline + GRACE, inserter.refused(&readings, deadline)).await {
            Ok(Ok(refused)) => {
                self.inserter = Some(inserter);
                job.refused = refused.iter().map(|(place, error)| (*place, refusal(error))).collect();
                Ok(!job.refused.is_empty())
            }
            Ok(Err(error)) => {
                self.outage.fails(&error);
                Err(NotStored::Unavailable)
            }
            Err(_) => Err(NotStored::Unavailable),
        }
    }
}

async fn transact(inserter: &mut Inserter, jobs: &mut Vec<Job>, deadline: Instant) -> store::Result<Ended> {
    let mut keyed = inserter.begin_keyed(deadline).await?;
    answer_known(&mut keyed, jobs).await?;
    if jobs.is_empty() {
        keyed.roll_back().await?;
        return Ok(Ended::Committed { stored: Vec::new(), new: 0, known: 0 });
    }
    let readings: Vec<_> = jobs.iter().flat_map(Job::scoped).collect();
    let stored = match keyed.insert(&readings).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(Ended::TooLate),
        Err(error) if error.is_data_error() => return Ok(Ended::Refused(error)),
        Err(error) if error.is_lock_timeout() => return Ok(Ended::Held),
        Err(error) => return Err(error),
    };
    let new = stored.iter().filter(|once| once.is_new).count();
    let known = stored.len() - new;
    let (stored, kept) = compose(jobs, stored);
    if !kept.is_empty() {
        keyed.keep(&kept).await?;
    }
    if !keyed.commit().await? {
        return Ok(Ended::TooLate);
    }
    Ok(Ended::Committed { stored, new, known })
}

/// Takes out the requests that are not to be stored now, each with its answer.
async fn answer_known(keyed: &mut Keyed<'_>, jobs: &mut Vec<Job>) -> store::Result<()> {
    let (mut ids, mut seen) = (Vec::new(), HashSet::new());
    let (mut rest, mut twice) = (Vec::with_capacity(jobs.len()), Vec::new());
    for job in jobs.drain(..) {
        match &job.request {
            Some(request) if !seen.insert(request.id) => twice.push(job),
            Some(request) => {
                ids.push(request.id);
                rest.push(job);
            }
            None => rest.push(job),
        }
    }
    *jobs = rest;
    // the first of them is in this batch
    twice.into_iter().for_each(|job| job.reply(Err(NotStored::KeyInUse)));
    if ids.is_empty() {
        return Ok(());
    }
    let mut claims = keyed.claim(&ids).await?.into_iter();
    for job in std::mem::take(jobs) {
        let Some(request) = &job.request else {
            jobs.push(job);
            continue;
        };
        match claims.next() {
            Some(Claim::Free) => jobs.push(job),
            Some(Claim::Known(Kept { request: first, answer })) => {
                let is_same = first == request.digest;
                job.reply(if is_same {
                    Ok(Stored::Answer { answer, is_replayed: true })
                } else {
                    Err(NotStored::KeyReused)
                });
            }
            Some(Claim::Busy) | None => job.reply(Err(NotStored::KeyInUse)),
        }
    }
    Ok(())
}

/// What each job is stored as, and the answers that are kept: of requests that stored something.
fn compose(jobs: &[Job], stored: Vec<Once>) -> (Vec<Stored>, Vec<(RequestId, Kept)>) {
    let (mut stored, mut kept) = (stored.into_iter(), Vec::new());
    let mut one = |job: &Job| {
        let results = job.results(&mut stored);
        let Some(request) = &job.request else {
            return Stored::Readings(results.into_iter().flatten().collect());
        };
        let answer = (request.compose)(&results);
        if results.iter().any(Result::is_ok) {
            kept.push((request.id, Kept { request: request.digest, answer: answer.clone() }));
        }
        Stored::Answer { answer, is_replayed: false }
    };
    let stored = jobs.iter().map(&mut one).collect();
    (stored, kept)
}
