//! One connection that inserts batches, and isolates the readings for which a batch fails.

mod keyed;

use std::time::{Duration, SystemTime};

use chassis::{
    Outage,
    spans::{SpanKind, Tracer, Work, WorkSpan},
};
use store::{Inserter, StoredReadings, readings::Inserted};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout_at},
};

use super::{
    job::{Job, Stored},
    not_stored::{NotKeyed, NotStored},
};
use crate::metrics::Metrics;

/// The server cancels an INSERT that runs longer: its requests have been refused by then.
const STATEMENT_LIMIT: Duration = Duration::from_millis(2_000);

/// Between tries to connect.
const RETRY: Duration = Duration::from_millis(50);

/// After a batch's deadline, for the server's own refusal to arrive.
const GRACE: Duration = Duration::from_millis(200);

pub(super) struct Lane {
    options: store::Options,
    inserter: Option<Inserter>,
    /// Where the requests run. Their answers are made there, while the next INSERT is on its way.
    requests: Handle,
    metrics: Metrics,
    tracer: Tracer,
    outage: Outage,
}

impl Lane {
    pub(super) fn new(
        options: store::Options,
        requests: Handle,
        (metrics, tracer): (Metrics, Tracer),
    ) -> Self {
        let options = options.statement_timeout(STATEMENT_LIMIT);
        Self { options, inserter: None, requests, metrics, tracer, outage: Outage::new("storing readings") }
    }

    /// Stores the batch in one statement, or in one transaction where keys are in it, and answers each job. A job whose
    /// readings the database refuses fails alone: the batch is halved until it is found.
    pub(super) async fn commit(&mut self, batch: Vec<Job>) {
        self.metrics.lanes_busy.inc();
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            part.retain(|job| job.deadline > Instant::now() && !job.reply.is_closed());
            if part.iter().any(Job::has_keys) {
                self.commit_keyed(part, &mut parts).await;
            } else if !part.is_empty() {
                self.commit_plain(part, &mut parts).await;
            }
        }
        self.metrics.lanes_busy.dec();
    }

    async fn commit_plain(&mut self, mut part: Vec<Job>, parts: &mut Vec<Vec<Job>>) {
        match self.insert(&part).await {
            Ok(stored) => {
                self.requests.spawn(async move { answer(part, stored) });
            }
            Err(NotStored::BadData | NotStored::TooLarge) if part.len() > 1 => {
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
            }
            Err(error) => part.into_iter().for_each(|job| job.reply(Err(error))),
        }
    }

    async fn commit_keyed(&mut self, mut part: Vec<Job>, parts: &mut Vec<Vec<Job>>) {
        let error = match self.insert_keyed(&mut part).await {
            Ok(stored) => {
                return part.into_iter().zip(stored).for_each(|(job, stored)| job.reply(Ok(stored)));
            }
            Err(error) => error,
        };
        match error {
            NotKeyed::Refused(_) if part.len() > 1 => {
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
            }
            NotKeyed::Refused(error) => {
                for mut job in part {
                    match self.find_refused(&mut job).await {
                        Ok(true) => parts.push(vec![job]),
                        Ok(false) => job.reply(Err(error)),
                        Err(error) => job.reply(Err(error)),
                    }
                }
            }
            // those without such keys wait for nobody
            NotKeyed::Held => {
                let (held, rest): (Vec<_>, Vec<_>) = part.into_iter().partition(Job::has_reading_keys);
                held.into_iter().for_each(|job| job.reply(Err(NotStored::Unavailable)));
                parts.push(rest);
            }
            NotKeyed::All(error) => part.into_iter().for_each(|job| job.reply(Err(error))),
        }
    }

    async fn insert(&mut self, jobs: &[Job]) -> Result<StoredReadings, NotStored> {
        let deadline = earliest(jobs);
        let mut inserter = self.inserter(deadline).await?;
        let readings: Vec<_> = jobs.iter().flat_map(|job| &job.readings).collect();
        let started = Instant::now();
        let span = self.span(jobs, readings.len());
        // whatever goes wrong, the connection is dropped: its statement must not be mistaken for ours
        let inserted = timeout_at(deadline + GRACE, inserter.insert(&readings, deadline)).await;
        if let (Some(span), false) = (&span, matches!(inserted, Ok(Ok(Inserted::Stored(_))))) {
            span.fail("not_stored");
        }
        match inserted {
            Ok(Ok(Inserted::Stored(stored))) => {
                self.metrics.commit.observe(started.elapsed().as_secs_f64());
                self.metrics.batch.observe(readings.len() as f64);
                self.metrics.readings.inc_by(readings.len() as u64);
                self.inserter = Some(inserter);
                self.outage.ends();
                Ok(stored)
            }
            Ok(Err(error)) if error.is_data_error() => {
                self.inserter = Some(inserter);
                Err(refusal(&error))
            }
            Ok(Err(error)) => {
                self.outage.fails(&error);
                Err(NotStored::Unavailable)
            }
            Ok(Ok(Inserted::TooLate)) | Err(_) => Err(NotStored::Unavailable),
        }
    }

    /// The span of an INSERT, for requests whose trace is recorded.
    fn span(&self, jobs: &[Job], readings: usize) -> Option<WorkSpan> {
        let causes = jobs.iter().filter_map(|job| job.readings.first()?.traceparent.as_deref());
        self.tracer.begin(causes, || Work {
            name: "INSERT sensor_readings",
            kind: SpanKind::Client,
            began: SystemTime::now(),
            attributes: vec![
                ("db.system.name", "postgresql".into()),
                ("db.operation.name", "INSERT".into()),
                ("db.collection.name", "sensor_readings".into()),
                ("db.operation.batch.size", i64::try_from(readings).unwrap_or(i64::MAX).into()),
            ],
        })
    }

    async fn inserter(&mut self, deadline: Instant) -> Result<Inserter, NotStored> {
        if let Some(mut inserter) = self.inserter.take()
            && timeout_at(deadline, inserter.is_alive()).await == Ok(true)
        {
            return Ok(inserter);
        }
        loop {
            match timeout_at(deadline, Inserter::connect(&self.options)).await {
                Ok(Ok(inserter)) => return Ok(inserter),
                Ok(Err(error)) => {
                    self.outage.fails(&error);
                    if Instant::now() + RETRY >= deadline {
                        return Err(NotStored::Unavailable);
                    }
                    sleep(RETRY).await;
                }
                Err(_) => return Err(NotStored::Unavailable),
            }
        }
    }
}

/// The first deadline of them.
fn earliest(jobs: &[Job]) -> Instant {
    jobs.iter().map(|job| job.deadline).min().unwrap_or_else(Instant::now)
}

/// Why the table refuses a reading.
fn refusal(error: &store::Error) -> NotStored {
    let is_too_large = error.constraint() == Some(store::readings::METADATA_LIMIT);
    if is_too_large { NotStored::TooLarge } else { NotStored::BadData }
}

fn answer(jobs: Vec<Job>, stored: StoredReadings) {
    let stored = match stored.read() {
        Ok(stored) => stored,
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "cannot decode what an INSERT returned"
            );
            return jobs.into_iter().for_each(|job| job.reply(Err(NotStored::Unavailable)));
        }
    };
    let mut stored = stored.into_iter();
    for mut job in jobs {
        let own = std::mem::take(&mut job.readings).into_iter().zip(stored.by_ref());
        let own = own.map(|(reading, stored)| reading.stored(stored)).collect();
        job.reply(Ok(Stored::Readings(own)));
    }
}
