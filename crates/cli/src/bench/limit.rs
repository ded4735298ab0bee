//! `rowcast bench limit`: the same load on bare servers, so that a figure can be given as a share of the machine.

mod database;
pub(super) mod fanout;
mod http;
mod server;

use super::limits::Limits;
use crate::args::BenchLimit;

/// Runs one after the other.
pub(super) async fn measure(options: &BenchLimit) -> anyhow::Result<Limits> {
    let http = http::measure(&options.load).await?;
    let mut notes = Vec::new();
    let database = match &options.database_url {
        Some(url) => Some(database::measure(url, &options.load, http.readings_per_s).await?),
        None => {
            notes.push("no statements were measured: give --database-url".to_owned());
            None
        }
    };
    let mut fanout = Vec::new();
    for clients in &options.clients {
        fanout.push(fanout::measure(*clients, &options.load).await?);
    }
    Ok(Limits { schema: 1, http, database, fanout, notes })
}
