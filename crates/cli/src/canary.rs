//! `rowcast canary`: sends readings of its own through the public doors, follows them at each gateway, and exports what became of
//! them.

mod course;
mod metrics;

use std::{cell::RefCell, convert::Infallible, ops::ControlFlow};

use anyhow::Context;
use axum::{Router, http::StatusCode, http::header::CONTENT_TYPE, response::IntoResponse, routing};
use chassis::{HttpConfig, Life};
use futures_util::future::try_join_all;
use instruments::Registry;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};
use wire::Start;

use self::{
    course::Course,
    metrics::{Metrics, Step},
};
use crate::{
    args::Canary,
    live::{
        Ended, Live, Received,
        connection::{Update, follow},
    },
    output,
    send::post::{Answer, Poster},
};

/// A gateway that goes away on purpose closes with one of these, or is replaced by another: no failure.
const PLANNED: [wire::Close; 2] = [wire::Close::Drain, wire::Close::GoingAway];

/// Runs until it is stopped, or until a fault that stays.
pub(crate) async fn run(options: Canary) -> anyhow::Result<()> {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry)?;
    metrics.prepare(options.gateways.iter().map(String::as_str));
    let canary = Running {
        run: format!("{:016x}", rand::random::<u64>()),
        poster: Poster::new(&options.ingest.url, &options.trust)?,
        course: RefCell::new(Course::new(options.gateways.len(), options.lost_after)),
        metrics,
        options,
    };
    let (life, http) = (Life::new(), HttpConfig { addr: canary.options.listen, ..HttpConfig::default() });
    let listener = chassis::bind(http.addr).await?;
    canary.introduce(&listener.local_addr()?.to_string());
    chassis::serve_inside(&life, listener, &http, router(registry))?;
    let mut terminated = signal(SignalKind::terminate())?;
    let following = try_join_all((0..canary.options.gateways.len()).map(|gateway| canary.follow(gateway)));
    tokio::select! {
        ended = following => ended.map(|_| ()),
        ended = canary.send() => match ended {},
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminated.recv() => Ok(()),
    }
}

fn router(registry: Registry) -> Router {
    let metrics = move || async move {
        match instruments::text(&registry) {
            Ok(text) => ([(CONTENT_TYPE, instruments::TEXT_FORMAT)], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    };
    Router::new().route("/metrics", routing::get(metrics)).route("/livez", routing::get(async || "ok"))
}

/// The canary of one process.
struct Running {
    /// Marks its readings: those of another canary with the same sensor are not its own.
    run: String,
    poster: Poster,
    course: RefCell<Course>,
    metrics: Metrics,
    options: Canary,
}

/// A reading of a canary.
#[derive(Deserialize)]
struct Reading {
    value: f64,
    metadata: Mark,
}

#[derive(Deserialize)]
struct Mark {
    canary: String,
}

impl Running {
    fn introduce(&self, listens: &str) {
        let Canary { sensor, gateways, every, .. } = &self.options;
        output::note(&format!(
            "{sensor} goes from {} to {} every {every:?}; metrics: http://{listens}/metrics",
            self.poster.url(),
            gateways.join(" and "),
        ));
    }

    /// POSTs as often as asked, once all subscriptions were live for the first time.
    async fn send(&self) -> Infallible {
        let mut due = interval(self.options.every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            self.give_up();
            if self.course.borrow().is_attached() {
                self.send_one().await;
            }
        }
    }

    async fn send_one(&self) {
        let number = self.course.borrow_mut().send(Instant::now());
        let body =
            json!({"sensor_id": self.options.sensor, "value": number, "metadata": {"canary": self.run}});
        let why = match self.poster.post(body.to_string()).await {
            Ok(Answer::Stored(_)) => {
                self.course.borrow_mut().store(number);
                self.metrics.sent.inc();
                return;
            }
            Ok(Answer::Refused(refusal)) => refusal.to_string(),
            Err(failed) => failed.why,
        };
        self.fail(Step::Post, &format!("POST failed: {why}"));
    }

    /// Counts what has not arrived in time.
    fn give_up(&self) {
        for (number, missing) in self.course.borrow_mut().overdue(Instant::now()) {
            for gateway in missing {
                let gateway = &self.options.gateways[gateway];
                self.metrics.lost.with_label_values(&[gateway]).inc();
                output::note(&format!("reading {number} did not arrive from {gateway}"));
            }
        }
    }

    /// Follows one gateway; ends only with an error that a retry would not fix.
    async fn follow(&self, gateway: usize) -> anyhow::Result<Infallible> {
        let live = Live::new(vec![self.options.sensor.clone()], Start::Now);
        let url = &self.options.gateways[gateway];
        let trust = &self.options.trust;
        let notify = |update: Update<'_>| {
            self.observe(gateway, &update);
            ControlFlow::<Infallible>::Continue(())
        };
        follow(url, trust, live, notify).await.with_context(|| format!("following {url}"))
    }

    fn observe(&self, gateway: usize, update: &Update<'_>) {
        let url = &self.options.gateways[gateway];
        match update {
            Update::Received(Received::Attached) => self.course.borrow_mut().attach(gateway),
            Update::Received(Received::Reading { data, .. }) => self.arrive(gateway, data),
            Update::Received(Received::Stale(true)) => {
                self.fail(Step::Receive, &format!("{url} has no contact with the leader"));
            }
            Update::Received(Received::Gap(gap)) => {
                self.fail(Step::Receive, &format!("{url} tells of a gap: {gap:?}"));
            }
            Update::Lost => self.fail(Step::Receive, &format!("{url} could not keep what was missed")),
            Update::Disconnected(why @ (Ended::Unreachable(_) | Ended::Status(_)), _) => {
                self.fail(Step::Connect, &format!("{url}: {why}"));
            }
            Update::Disconnected(Ended::Closed(code, _), _)
                if PLANNED.iter().any(|close| close.code() == *code) => {}
            Update::Disconnected(why, _) => self.fail(Step::Receive, &format!("{url}: {why}")),
            Update::Received(_) => {}
        }
    }

    fn arrive(&self, gateway: usize, data: &RawValue) {
        // a reading of another origin has another form, or another mark
        let Ok(Reading { value, metadata }) = serde_json::from_str(data.get()) else { return };
        if metadata.canary != self.run {
            return;
        }
        // its numbers are small and whole
        let arrival = self.course.borrow_mut().arrive(gateway, value as u64, Instant::now());
        let url = &self.options.gateways[gateway];
        if let Some(after) = arrival.after {
            self.metrics.round_trip.with_label_values(&[url]).observe(after.as_secs_f64());
        }
        if !arrival.in_order {
            self.metrics.out_of_order.with_label_values(&[url]).inc();
            output::note(&format!("reading {value} came out of order from {url}"));
        }
    }

    fn fail(&self, step: Step, what: &str) {
        self.metrics.failures.of(step).inc();
        output::note(what);
    }
}
