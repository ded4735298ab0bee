//! Bare statements: pgbench inserts into a table like the readings', without trigger and partitions.

use std::{fmt::Write as _, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{Database, Inserts};
use crate::{args::Load, bench::report::round};

/// Rows of one `unnest`, as many as 64 connections can have waiting.
const ROWS: u32 = 64;

/// Clients of the single INSERT.
const SINGLE_CLIENTS: u32 = 64;

/// Clients of `unnest` that are tried, as far as the load can have so many rows waiting; the best counts.
const UNNEST_CLIENTS: [u32; 3] = [1, 2, 4];

const DROP: &str = "drop schema if exists rowcast_bench_limit cascade";

/// The columns, checks and indexes of public.sensor_readings.
const CREATE: &str = r#"
drop schema if exists rowcast_bench_limit cascade;
create schema rowcast_bench_limit;
create sequence rowcast_bench_limit.id as bigint cache 1;
create table rowcast_bench_limit.readings (
    id          bigint           not null default nextval('rowcast_bench_limit.id'),
    sensor_id   text             not null,
    value       double precision not null,
    "timestamp" timestamptz      not null default now(),
    metadata    jsonb            not null default '{}',
    created_at  timestamptz      not null default now(),
    updated_at  timestamptz      not null default now(),
    xid         xid8             not null default pg_current_xact_id(),
    reading_key text,
    traceparent text,
    primary key (id, created_at),
    check (char_length(sensor_id) between 1 and 100),
    check (sensor_id !~ '[\x01-\x1f\x7f-\x9f]'),
    check (value > '-infinity' and value < 'infinity'),
    check ("timestamp" >= '0001-01-01 00:00:00+00' and "timestamp" < '9999-12-31 00:00:00+00'
        and created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00'
        and updated_at >= '0001-01-01 00:00:00+00' and updated_at < '9999-12-31 00:00:00+00')
);
create index on rowcast_bench_limit.readings (xid, id);
create index on rowcast_bench_limit.readings (sensor_id, "timestamp" desc, id desc);
create index on rowcast_bench_limit.readings ("timestamp" desc, id desc);
"#;

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
        let inserts = tools.pgbench(url, clients, ROWS, &unnest(), load.duration).await?;
        if best.as_ref().is_none_or(|best| inserts.rows_per_s > best.rows_per_s) {
            best = Some(inserts);
        }
    }
    let single = tools.pgbench(url, SINGLE_CLIENTS, 1, SINGLE, load.duration).await?;
    Ok((best.context("no statement was measured")?, single))
}

const SINGLE: &str = r#"\set sensor random(0, 99)
\set value random(0, 4000)
insert into rowcast_bench_limit.readings (sensor_id, value, metadata)
values ('bench-' || :sensor, :value / 100.0, '{"unit": "C"}') returning id, created_at;
"#;

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

/// Postgres' own clients.
struct Tools {
    psql: PathBuf,
    pgbench: PathBuf,
}

impl Tools {
    fn find() -> anyhow::Result<Self> {
        Ok(Self { psql: tool("psql")?, pgbench: tool("pgbench")? })
    }

    async fn sql(&self, url: &str, sql: &str) -> anyhow::Result<()> {
        let mut command = Command::new(&self.psql);
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
            "--single-transaction",
            "--file",
            "-",
        ]);
        command.env("PGOPTIONS", "-c client_min_messages=warning");
        output(command.arg(url), sql).await.map(|_| ())
    }

    async fn pgbench(
        &self,
        url: &str,
        clients: u32,
        rows: u32,
        script: &str,
        duration: Duration,
    ) -> anyhow::Result<Inserts> {
        let seconds = duration.as_secs().max(1).to_string();
        let mut command = Command::new(&self.pgbench);
        command.args(["--no-vacuum", "--protocol", "prepared", "--file", "/dev/stdin"]);
        command.args(["--client", &clients.to_string(), "--time", &seconds]).arg(url);
        let report = output(&mut command, script).await?;
        let statements = tps(&report).with_context(|| format!("pgbench gave no tps: {report}"))?;
        Ok(Inserts {
            clients,
            rows_per_statement: rows,
            statements_per_s: round(statements),
            rows_per_s: round(statements * f64::from(rows)),
        })
    }
}

/// On the PATH, or where Debian puts the newest.
fn tool(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    debian.sort_by_key(|path| std::cmp::Reverse(path.clone()));
    let found = std::env::split_paths(&path)
        .chain(debian)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not installed: it comes with PostgreSQL"))
}

async fn output(command: &mut Command, stdin: &str) -> anyhow::Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(stdin.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        // the first line says what is wrong, and the database's URL is in none of psql's
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{}",
            errors.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word")
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `tps = 123.4 (without initial connection time)`
fn tps(report: &str) -> Option<f64> {
    report.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_s_report_is_read() {
        let report = "latency average = 1.0 ms\ntps = 7041.2 (without initial connection time)\n";
        assert_eq!(tps(report), Some(7_041.2));
        assert_eq!(tps("pgbench: error"), None);
    }

    #[test]
    fn the_unnest_has_all_rows() {
        assert_eq!(unnest().matches("bench-0").count(), ROWS as usize);
        assert!(unnest().contains(r#"'{"{\"unit\": \"C\"}","#));
    }
}
