//! The limits of this machine without Rowcast, and a run as shares of them.

use serde::Serialize;

use super::{histogram::Summary, round::round};

/// The limits of this machine without Rowcast.
#[derive(Debug, Serialize)]
pub(super) struct Limits {
    pub(super) schema: u32,
    /// A bare axum handler that answers the same POSTs.
    pub(super) http: Http,
    /// Bare statements in the database; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) database: Option<Database>,
    /// A bare server that writes the same frames to its sockets.
    pub(super) fanout: Vec<Fanout>,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Http {
    pub(super) connections: u32,
    pub(super) readings_per_post: u32,
    pub(super) posts_per_s: f64,
    pub(super) readings_per_s: f64,
    pub(super) post_ms: Summary,
}

#[derive(Debug, Serialize)]
pub(super) struct Database {
    /// INSERT … SELECT FROM unnest of 64 rows: the best of 1, 2 and 4 clients, but never with more rows in flight
    /// than the load's connections can have.
    pub(super) unnest: Inserts,
    /// INSERT of one row by 64 clients, prepared.
    pub(super) single: Inserts,
    /// Readings a second of the bare handler and the bare `unnest` one after the other: 1 / (1/http + 1/unnest).
    pub(super) http_and_unnest_per_s: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Inserts {
    pub(super) clients: u32,
    pub(super) rows_per_statement: u32,
    pub(super) statements_per_s: f64,
    pub(super) rows_per_s: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Fanout {
    pub(super) clients: u32,
    pub(super) events_per_frame: usize,
    pub(super) bytes_per_event: usize,
    pub(super) deliveries_per_s: f64,
}

/// A run as shares of the limits; absent where there is no limit to compare with.
#[derive(Debug, Serialize)]
pub(super) struct Shares {
    pub(super) readings_of_http: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) readings_of_http_and_unnest: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) readings_of_single_insert: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deliveries_of_fanout: Option<f64>,
}

impl Limits {
    /// What shares of the limits these figures are.
    pub(super) fn shares(&self, readings_per_s: f64, deliveries_per_s: f64) -> Shares {
        let of = |limit: f64| round(readings_per_s / limit);
        let fanout = self.fanout.first();
        Shares {
            readings_of_http: of(self.http.readings_per_s),
            readings_of_http_and_unnest: self.database.as_ref().map(|limit| of(limit.http_and_unnest_per_s)),
            readings_of_single_insert: self.database.as_ref().map(|limit| of(limit.single.rows_per_s)),
            deliveries_of_fanout: fanout.map(|limit| round(deliveries_per_s / limit.deliveries_per_s)),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Http { connections, readings_per_post, posts_per_s, readings_per_s, .. } = &self.http;
        let mut lines = vec![format!(
            "bare handler     {posts_per_s:>10.0} posts/s, {readings_per_s:.0} readings/s ({connections} connections, {readings_per_post} readings a post)"
        )];
        if let Some(Database { unnest, single, http_and_unnest_per_s }) = &self.database {
            for (name, inserts) in [("bare unnest", unnest), ("bare INSERT", single)] {
                let Inserts { clients, rows_per_statement, rows_per_s, .. } = inserts;
                lines.push(format!(
                    "{name:<17}{rows_per_s:>10.0} rows/s ({clients} clients, {rows_per_statement} rows a statement)"
                ));
            }
            lines.push(format!("handler + unnest {http_and_unnest_per_s:>10.0} readings/s"));
        }
        for Fanout { clients, deliveries_per_s, bytes_per_event, .. } in &self.fanout {
            lines.push(format!(
                "bare fan-out     {deliveries_per_s:>10.0} deliveries/s ({clients} clients, {bytes_per_event} bytes an event)"
            ));
        }
        lines.extend(self.notes.iter().cloned());
        lines.join("\n")
    }
}

impl Shares {
    /// For people.
    pub(super) fn text(&self) -> String {
        let rows = [
            ("the bare handler", Some(self.readings_of_http)),
            ("handler + unnest", self.readings_of_http_and_unnest),
            ("single INSERTs", self.readings_of_single_insert),
            ("the bare fan-out", self.deliveries_of_fanout),
        ];
        let rows = rows.iter().filter_map(|(name, share)| share.map(|share| format!("{share:.2} of {name}")));
        format!("share            {}", rows.collect::<Vec<_>>().join(", "))
    }
}
