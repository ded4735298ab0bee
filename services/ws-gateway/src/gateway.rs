//! What all handlers and connections of a gateway share.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use access::{Caller, Denial, Gate};
use chassis::{Client, Clock, Life, Prefix, Problem};
use http::StatusCode;
use wire::{Position, Subscribe, frame::Limits};

use crate::{
    admission::{
        history_cost,
        roster::{ConnectionPermit, Full, Roster},
        subjects::{Share, SubjectPermit, Subjects, TooMany},
    },
    config::Timers,
    fanout::{
        hub::{FeedState, Hub},
        replay::Replay,
    },
    history_reader::HistoryReader,
    metrics::Metrics,
    outbox::Backlog,
    tickets::Tickets,
};

/// When to come back to a gateway that has no room or no feed, in seconds.
const RETRY_AFTER: u32 = 2;

/// The shared state.
pub(crate) struct Gateway {
    pub(crate) gate: Gate,
    pub(crate) hub: Hub,
    pub(crate) replay: Replay,
    pub(crate) history: HistoryReader,
    pub(crate) roster: Roster,
    pub(crate) subjects: Subjects,
    pub(crate) tickets: Tickets,
    pub(crate) life: Life,
    /// The time by the clock of Postgres.
    pub(crate) shared_clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Arc<Limits>,
    pub(crate) timers: Timers,
    pub(crate) backlog: Arc<Backlog>,
    /// The path under which clients find it.
    pub(crate) prefix: Prefix,
    pub(crate) documents: Documents,
}

pub(crate) type App = Arc<Gateway>;

/// The OpenAPI and AsyncAPI documents, made at the first request.
#[derive(Default)]
pub(crate) struct Documents {
    pub(crate) openapi: OnceLock<String>,
    pub(crate) asyncapi: OnceLock<String>,
}

/// A client that may stay.
pub(crate) struct Admitted {
    pub(crate) permit: ConnectionPermit,
    /// Its subject's, where that is bounded.
    pub(crate) subject: Option<SubjectPermit>,
    /// The head at this moment.
    pub(crate) head: Position,
}

impl Gateway {
    /// Admits a client that wants to stay, or says why not, before anything is upgraded.
    pub(crate) fn admit(&self, client: Client, caller: Option<&Caller>) -> Result<Admitted, Problem> {
        let head = self.head()?;
        let permit = self.roster.admit(client.counted_as()).map_err(|full| {
            let (status, code, detail) = match full {
                Full::Gateway => {
                    (StatusCode::SERVICE_UNAVAILABLE, "full", "too many connections to this gateway")
                }
                Full::Address => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-connections",
                    "too many connections from this address",
                ),
            };
            Problem::new(status, code, detail).retry_after(RETRY_AFTER)
        })?;
        let subject = match caller {
            Some(caller) => self.subjects.admit(&self.gate.meter(caller)).map_err(|TooMany| {
                let detail = "this credential has as many connections as it may";
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-connections", detail)
                    .retry_after(RETRY_AFTER)
            })?,
            None => None,
        };
        Ok(Admitted { permit, subject, head })
    }

    /// What a caller may take of what it shares with others of its subject; none: it is not bounded.
    pub(crate) fn share(&self, caller: &Caller, permit: Option<&SubjectPermit>) -> Option<Box<Share>> {
        let meter = self.gate.meter(caller);
        let is_bounded =
            permit.is_some() || meter.bounds().commands.is_some() || meter.bounds().rows.is_some();
        is_bounded.then(|| Box::new(Share::new(permit, meter)))
    }

    /// Takes what a request for so many rows of history costs.
    pub(crate) fn charge_rows(&self, caller: &Caller, limit: usize) -> Result<(), Denial> {
        self.gate.meter(caller).take_rows(history_cost::of_request(limit), Instant::now())
    }

    /// Takes what the subscription of a query reads of the past.
    pub(crate) fn charge_subscription(&self, caller: &Caller, query: &Subscribe) -> Result<(), Denial> {
        match history_cost::of_subscription(&query.from) {
            Some(rows) => self.gate.meter(caller).take_rows(rows, Instant::now()),
            None => Ok(()),
        }
    }

    /// The head, if the gateway follows the stream and is not stopping.
    pub(crate) fn head(&self) -> Result<Position, Problem> {
        let follows = self.hub.feed_state() != FeedState::Cut && !self.life.is_stopping();
        self.hub.head().filter(|_| follows).ok_or_else(|| {
            let detail = "this gateway does not follow the stream at present";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail).retry_after(RETRY_AFTER)
        })
    }
}
