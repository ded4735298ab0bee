//! Bare statements: pgbench inserts into a table like the readings', without trigger and partitions.

use std::fmt::Write as _;

use anyhow::Context;

use crate::{
    args::Load,
    bench::{
        limits::{Database, Inserts},
        pgbench::{CREATE, DROP, TABLE, Tools, single},
        round::round,
    },
};

/// Rows of one `unnest`, as many as 64 connections can have waiting.
const ROWS: u32 = 64;

/// Clients of the single INSERT.
const SINGLE_CLIENTS: u32 = 64;

/// Clients of `unnest` that are tried, as far as the load can have so many rows waiting; the best counts.
const UNNEST_CLIENTS: [u32; 3] = [1, 2, 4];

/// One script after the other, each for the duration.
pub(super) async fn measure(url: &str, load: &Load, http_per_s: f64) -> anyhow::Result<Database> {
    let tools = Tools::find()?;
    tools.sql(url, CREATE).await.context("making the schema rowcast_bench_limit")?;
    let measured = statements(&tools, url, load).await;
    let dropped = tools.sql(url, DROP).await.context("dropping the schema rowcast_bench_limit");
    let (unnest, single) = measured?;
    dropped?;
    let http_and_unnest_per_s = round(1.0 / (1.0 / http_per_s + 1.0 / unnest.rows_per_s));
    Ok(Database { unnest, single, http_and_unnest_per_s })
}

async fn statements(tools: &Tools, url: &str, load: &Load) -> anyhow::Result<(Inserts, Inserts)> {
    let waiting = load.connections.saturating_mul(load.readings);
    let mut best: Option<Inserts> = None;
    for clients in UNNEST_CLIENTS.into_iter().filter(|clients| *clients == 1 || clients * ROWS <= waiting) {
        let statements = tools.pgbench(url, clients, &unnest(), load.duration).await?;
        let inserts = inserts(clients, ROWS, statements);
        if best.as_ref().is_none_or(|best| inserts.rows_per_s > best.rows_per_s) {
            best = Some(inserts);
        }
    }
    let single = tools.pgbench(url, SINGLE_CLIENTS, &single(TABLE), load.duration).await?;
    Ok((best.context("no statement was measured")?, inserts(SINGLE_CLIENTS, 1, single)))
}

fn inserts(clients: u32, rows: u32, statements: f64) -> Inserts {
    Inserts {
        clients,
        rows_per_statement: rows,
        statements_per_s: round(statements),
        rows_per_s: round(statements * f64::from(rows)),
    }
}

/// Arrays of constants: pgbench itself must not be what is measured.
fn unnest() -> String {
    let (mut sensors, mut values, mut metadata) = (String::new(), String::new(), String::new());
    for row in 0..ROWS {
        let comma = if row > 0 { "," } else { "" };
        write!(sensors, "{comma}bench-{row:04}").expect("writing to memory does not fail");
        write!(values, "{comma}{}.57", row % 40).expect("writing to memory does not fail");
        write!(metadata, r#"{comma}"{{\"unit\": \"C\"}}""#).expect("writing to memory does not fail");
    }
    format!(
        "insert into rowcast_bench_limit.readings (sensor_id, value, metadata)\n\
         select * from unnest('{{{sensors}}}'::text[], '{{{values}}}'::float8[], '{{{metadata}}}'::jsonb[]) returning id, created_at;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unnest_has_all_rows() {
        assert_eq!(unnest().matches("bench-0").count(), ROWS as usize);
        assert!(unnest().contains(r#"'{"{\"unit\": \"C\"}","#));
    }
}
