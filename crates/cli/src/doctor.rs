//! `rowcast doctor`: sends one reading to a subscriber step by step, and asks the services whether they are ready.

mod readiness;

use std::{cell::RefCell, convert::Infallible, future, ops::ControlFlow, process::ExitCode, time::Duration};

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use wire::Start;

use self::readiness::Readiness;
use crate::{
    args::Doctor,
    live::{
        Live, Received,
        connection::{Update, follow},
    },
    output,
    send::post::{Answer, Poster},
};

/// Events of one sensor with one reading: never more than this are queued, and what does not fit is dropped.
const CAPACITY: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Subscribe,
    Store,
    Deliver,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Store => "store",
            Self::Deliver => "deliver",
        }
    }

    /// Where the fault is found when this step fails.
    const fn hint(self) -> &'static str {
        match self {
            Self::Subscribe => {
                "the gateway's /readyz and log; a proxy before it, which must let WebSockets through; the URL, and \
                 for https:// the certificate (--ca)"
            }
            Self::Store => "ingest's /readyz and log; Postgres; a proxy before ingest; the URL",
            Self::Deliver => {
                "notify-listener's /readyz and log: one replica must lead; Redis; whether all services use the \
                 same database and the same Redis with the same prefix"
            }
        }
    }
}

/// What happens to the subscription.
#[derive(Debug)]
enum Progress {
    Attached,
    Arrived(i64),
    /// It ended for good.
    Ended(anyhow::Error),
}

/// Exit code 0 when the reading came back and every service asked is ready, 1 when not.
pub(crate) async fn run(options: Doctor) -> anyhow::Result<ExitCode> {
    let sensor = format!("rowcast-doctor-{:016x}", rand::random::<u64>());
    let poster = Poster::new(&options.ingest.url, &options.trust)?;
    let readiness = Readiness::new(&options.admins, options.trust.ca.as_deref())?;
    let (progress, received) = mpsc::channel(CAPACITY);
    let problem = RefCell::new(None);
    let following = async {
        let notify = |update: Update<'_>| {
            observe(&update, &progress, &problem);
            ControlFlow::<Infallible>::Continue(())
        };
        let live = Live::new(vec![sensor.clone()], Start::Now);
        let error = match follow(&options.gateway.url, &options.trust, live, notify).await {
            Err(error) => error,
            Ok(never) => match never {},
        };
        // the channel is full only when no receiver waits for the event
        let _ = progress.try_send(Progress::Ended(error));
        future::pending::<Infallible>().await
    };
    let mut check =
        Check { received, poster, began: Instant::now(), within: options.within, step: Step::Subscribe };
    let outcome = tokio::select! {
        outcome = check.run(&sensor) => outcome,
        never = following => match never {},
    };
    match outcome {
        Ok(took) => {
            let all_ready = readiness.print().await?;
            let result = if all_ready { "ok: a reading" } else { "a service is not ready, but a reading" };
            output::line(&format!("{result} reaches a subscriber {} after its POST", millis(took)))?;
            Ok(if all_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => {
            let problem = problem.take().map(|why| format!(" ({why})")).unwrap_or_default();
            let step = check.step;
            output::line(&format!("FAILED  {:<10} {error:#}{problem}", step.name()))?;
            readiness.print().await?;
            output::line(&format!("check {}", step.hint()))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn observe(update: &Update<'_>, progress: &mpsc::Sender<Progress>, problem: &RefCell<Option<String>>) {
    #[derive(Deserialize)]
    struct Event {
        id: i64,
    }
    let event = match update {
        Update::Received(Received::Attached) => {
            problem.take();
            Some(Progress::Attached)
        }
        Update::Received(Received::Reading { data, .. }) => {
            serde_json::from_str(data.get()).ok().map(|Event { id }| Progress::Arrived(id))
        }
        Update::Received(Received::Stale(stale)) => {
            *problem.borrow_mut() = stale.then(|| "the gateway has no contact with the leader".to_owned());
            None
        }
        Update::Disconnected(why, _) => {
            *problem.borrow_mut() = Some(why.to_string());
            None
        }
        Update::Received(_) | Update::Lost => None,
    };
    if let Some(event) = event {
        let _ = progress.try_send(event);
    }
}

struct Check {
    received: mpsc::Receiver<Progress>,
    poster: Poster,
    began: Instant,
    within: Duration,
    /// The current one.
    step: Step,
}

impl Check {
    /// How long the reading took from its POST to the subscription.
    async fn run(&mut self, sensor: &str) -> anyhow::Result<Duration> {
        let mut last = self.began;
        self.until(|event| matches!(event, Progress::Attached)).await?;
        done(Step::Subscribe, &mut last, "subscribed at the gateway")?;
        self.step = Step::Store;
        let posted = Instant::now();
        let id = self.store(sensor).await?;
        done(Step::Store, &mut last, &format!("ingest stored reading {id} of {sensor}"))?;
        self.step = Step::Deliver;
        self.until(|event| matches!(event, Progress::Arrived(came) if *came == id)).await?;
        let took = posted.elapsed();
        done(Step::Deliver, &mut last, &format!("the gateway delivered reading {id}"))?;
        Ok(took)
    }

    async fn until(&mut self, expected: impl Fn(&Progress) -> bool) -> anyhow::Result<()> {
        let deadline = self.began + self.within;
        loop {
            let event = timeout_at(deadline, self.received.recv()).await;
            match event.with_context(|| format!("timed out after {:?}", self.within))? {
                Some(Progress::Ended(error)) => return Err(error),
                Some(event) if expected(&event) => return Ok(()),
                Some(_) => {}
                None => anyhow::bail!("the subscription ended"),
            }
        }
    }

    async fn store(&self, sensor: &str) -> anyhow::Result<i64> {
        #[derive(Deserialize)]
        struct Stored {
            id: i64,
        }
        let body = json!({"sensor_id": sensor, "value": 1}).to_string();
        let deadline = self.began + self.within;
        let answer = timeout_at(deadline, self.poster.post_until(body, deadline.into_std())).await;
        match answer.with_context(|| format!("no answer within {:?}", self.within))?? {
            Answer::Refused(refusal) => anyhow::bail!("{refusal}"),
            Answer::Stored(body) => {
                let stored: Stored = serde_json::from_str(&body).context("ingest's answer has no id")?;
                Ok(stored.id)
            }
        }
    }
}

fn done(step: Step, last: &mut Instant, what: &str) -> std::io::Result<()> {
    let now = Instant::now();
    let took = now - std::mem::replace(last, now);
    output::line(&format!("ok      {:<10} {:>10}  {what}", step.name(), millis(took)))
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
