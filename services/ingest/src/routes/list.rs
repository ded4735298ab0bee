//! GET: the newest readings, as the demo listed them.

use std::sync::Arc;

use access::Caller;
use axum::{
    body::Body,
    extract::{Extension, RawQuery, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chassis::{Holds, Problem, Query};
use futures_util::stream;
use http::header;
use store::{
    Database,
    history::{ALL_TIME, Order, PageQuery, ReadingKey, Rows},
};
use wire::{Filter, Pattern};

use crate::{app::App, refusals};

/// Readings of a list, unless the query says otherwise.
const DEFAULT_LIMIT: usize = 100;

/// The most readings of a list.
const MAX_LIMIT: usize = 1_000;

/// Metadata of one page: what a list holds at a time, whatever is in the table.
const PAGE_BYTES: usize = 512 << 10;

/// The page that is written and the rows it was made of; one row more than fits is at most a MiB.
const HELD_BYTES: usize = 3 * PAGE_BYTES + (1 << 20);

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    let listed = async {
        caller.reader()?;
        let mut list = List::parse(&app.database, &caller, query.as_deref().unwrap_or(""))?;
        let first = list.page().await.map_err(unavailable)?;
        Ok(list.respond(first))
    };
    match listed.await {
        Ok(response) => response,
        Err::<_, Problem>(problem) => problem.into_response(),
    }
}

/// A list that is being written: an array of JSON, in pages that are read as the client takes them.
struct List {
    database: Database,
    filter: Filter,
    after: Option<ReadingKey>,
    /// How many readings may follow.
    left: usize,
}

impl List {
    fn parse(database: &Database, caller: &Caller, query: &str) -> Result<Self, Problem> {
        let mut query = Query::parse(query);
        let mut left = query.take("limit", parse_limit).unwrap_or(DEFAULT_LIMIT);
        let sensor_id = query.all("sensor_id").last().map(str::to_owned);
        query.end()?;
        if sensor_id.as_ref().is_some_and(|id| id.contains('\0')) {
            // Postgres stores no NUL, so no sensor has this id
            left = 0;
        }
        let filter = sensor_id.map_or(Filter::All, |id| Filter::Any(vec![Pattern::Exact(id)]));
        let filter = caller.grant.narrow(&filter);
        Ok(Self { database: database.clone(), filter, after: None, left })
    }

    async fn page(&mut self) -> store::Result<Bytes> {
        let mut json = Vec::new();
        if self.after.is_none() {
            json.push(b'[');
        }
        if self.left > 0 {
            let (filter, limit) = (&self.filter, self.left);
            let wanted =
                PageQuery { filter, span: ALL_TIME, order: Order::Descending, after: self.after, limit };
            let Rows { rows, more } = self.database.readings(wanted, PAGE_BYTES).await?;
            self.left = if more { limit - rows.len() } else { 0 };
            for reading in rows {
                if self.after.is_some() {
                    json.push(b',');
                }
                reading.write_json(&mut json);
                self.after = Some(ReadingKey { timestamp: reading.timestamp, id: reading.id });
            }
        }
        if self.left == 0 {
            json.push(b']');
        }
        Ok(json.into())
    }

    /// The answer that begins with this page.
    fn respond(self, first: Bytes) -> Response {
        // no cache gives it to another credential
        let fixed = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        if self.left == 0 {
            return (fixed, first).into_response();
        }
        let pages = stream::try_unfold((Some(first), self), async |(ready, mut list)| {
            let page = match ready {
                Some(first) => first,
                None if list.left == 0 => return Ok(None),
                None => list.page().await.inspect_err(log)?,
            };
            store::Result::Ok(Some((page, (None, list))))
        });
        let mut response = (fixed, Body::from_stream(pages)).into_response();
        response.extensions_mut().insert(Holds(HELD_BYTES));
        response
    }
}

fn parse_limit(text: &str) -> Result<usize, &'static str> {
    match text.parse::<u64>() {
        Ok(limit) => Ok(usize::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT)),
        Err(_) => Err("must be a whole number from 0 to 1000"),
    }
}

fn log(error: &store::Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "cannot read the list of readings");
}

fn unavailable(error: store::Error) -> Problem {
    log(&error);
    refusals::unavailable()
}
