//! Postgres' own clients, and a table like the readings' for them: without trigger, partitions and Rowcast.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use tokio::{io::AsyncWriteExt, process::Command};

/// The table that [`CREATE`] makes.
pub(super) const TABLE: &str = "rowcast_bench_limit.readings";

/// Drops it.
pub(super) const DROP: &str = "drop schema if exists rowcast_bench_limit cascade";

/// Creates `rowcast_bench_limit.readings`: the columns, checks and indexes of public.sensor_readings.
pub(super) const CREATE: &str = r#"
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
create index on rowcast_bench_limit.readings ("timestamp", id);
"#;

/// INSERT of one row into a table.
pub(super) fn single(table: &str) -> String {
    format!(
        r#"\set sensor random(0, 99)
\set value random(0, 4000)
insert into {table} (sensor_id, value, metadata)
values ('bench-' || :sensor, :value / 100.0, '{{"unit": "C"}}') returning id, created_at;
"#
    )
}

/// Postgres' own clients.
pub(super) struct Tools {
    psql: PathBuf,
    pgbench: PathBuf,
}

impl Tools {
    pub(super) fn find() -> anyhow::Result<Self> {
        Ok(Self { psql: tool("psql")?, pgbench: tool("pgbench")? })
    }

    /// Runs SQL in one transaction.
    pub(super) async fn sql(&self, url: &str, sql: &str) -> anyhow::Result<()> {
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

    /// Runs a script over and over, prepared. How many statements a second that gave.
    pub(super) async fn pgbench(
        &self,
        url: &str,
        clients: u32,
        script: &str,
        duration: Duration,
    ) -> anyhow::Result<f64> {
        let seconds = duration.as_secs().max(1).to_string();
        let mut command = Command::new(&self.pgbench);
        command.args(["--no-vacuum", "--protocol", "prepared", "--file", "/dev/stdin"]);
        command.args(["--client", &clients.to_string(), "--time", &seconds]).arg(url);
        let report = output(&mut command, script).await?;
        tps(&report).with_context(|| format!("pgbench reported no tps: {report}"))
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
        // the first line has the reason, and no line of psql's has the database's URL
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{}",
            errors.lines().find(|line| !line.trim().is_empty()).unwrap_or("failed without a message")
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
}
