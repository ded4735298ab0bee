//! `rowcast bench writers`: what Rowcast costs those who write with SQL.

use anyhow::Context;
use serde::Serialize;

use super::{
    pgbench::{CREATE, DROP, TABLE, Tools, single},
    round::round,
};
use crate::args::BenchWriters;

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Writers {
    schema: u32,
    clients: u32,
    /// One after the other, so that both runs of a pair have the same conditions.
    pairs: Vec<Pair>,
    /// Of the pairs' ratios.
    median_ratio: f64,
}

/// INSERTs of one row a second.
#[derive(Debug, Serialize)]
struct Pair {
    /// Into a table like the readings', without trigger, partitions and Rowcast.
    plain_per_s: f64,
    /// Into the readings, with all of Rowcast running.
    readings_per_s: f64,
    ratio: f64,
}

/// Runs pgbench on both tables, one after the other.
pub(super) async fn measure(options: &BenchWriters) -> anyhow::Result<Writers> {
    let tools = Tools::find()?;
    let url = &options.database_url;
    tools.sql(url, CREATE).await.context("making the schema rowcast_bench_limit")?;
    let measured = pairs(&tools, options).await;
    let dropped = tools.sql(url, DROP).await.context("dropping the schema rowcast_bench_limit");
    let pairs = measured?;
    dropped?;
    let mut ratios: Vec<f64> = pairs.iter().map(|pair| pair.ratio).collect();
    ratios.sort_by(f64::total_cmp);
    Ok(Writers { schema: 1, clients: options.clients, median_ratio: ratios[ratios.len() / 2], pairs })
}

async fn pairs(tools: &Tools, options: &BenchWriters) -> anyhow::Result<Vec<Pair>> {
    let run = async |table| {
        let script = single(table);
        let statements = tools.pgbench(&options.database_url, options.clients, &script, options.duration);
        anyhow::Ok(round(statements.await?))
    };
    let mut pairs = Vec::new();
    for _ in 0..options.pairs {
        let (plain_per_s, readings_per_s) = (run(TABLE).await?, run("public.sensor_readings").await?);
        pairs.push(Pair { plain_per_s, readings_per_s, ratio: round(readings_per_s / plain_per_s) });
    }
    Ok(pairs)
}

impl Writers {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!("INSERTs of one row by {} clients, a second", self.clients)];
        for Pair { plain_per_s, readings_per_s, ratio } in &self.pairs {
            lines.push(format!(
                "plain table {plain_per_s:>8.0}   with Rowcast {readings_per_s:>8.0}   ratio {ratio:.2}"
            ));
        }
        lines.push(format!("median ratio {:.2}", self.median_ratio));
        lines.join("\n")
    }
}
