//! `rowcast bench`: the whole path from a POST to every client, with an exact ledger.

mod admin;
mod audience;
mod burst;
mod clock;
mod device_keys;
mod evaluate;
mod fairness;
mod faults;
mod follows;
mod frames;
mod handshakes;
mod histogram;
mod http;
mod idle;
mod ledger;
mod limit;
mod limits;
mod load;
mod pgbench;
mod processes;
mod replay;
mod report;
mod resume;
mod resumer;
mod round;
mod scan;
mod slow;
mod socket;
mod writers;

use std::{collections::BTreeMap, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::{
    audience::Audience,
    clock::Clock,
    device_keys::DeviceKeys,
    follows::Follows,
    ledger::Ledger,
    limits::Limits,
    load::{Pace, Plan},
    processes::{Usage, Watched},
    report::Report,
    slow::SlowReaders,
    socket::Address,
};
use crate::{
    args::{BenchKind, BenchLimit, BenchRun, Format},
    output,
};

/// After the load, the clients get this long to get everything.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Measures the whole path. Exit code 1 when nothing was stored, or a reading was lost, duplicated or out of order.
pub(crate) async fn run(options: BenchRun) -> anyhow::Result<ExitCode> {
    raise_file_limit()?;
    let mut report = measure(&options, SETTLE_LIMIT).await?;
    if options.with_limit {
        let limit = BenchLimit {
            database_url: options.database_url.clone(),
            clients: vec![options.clients.max(1)],
            load: options.load.clone(),
            output: options.output,
        };
        report.compare(limit::measure(&limit).await?);
    }
    output::line(&shown(options.output, &report, Report::text)?)?;
    anyhow::ensure!(report.readings > 0, "ingest at {} stored nothing", options.ingest.url);
    Ok(if report.ledger.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures a part. Exit code 1 when its ledger is not clean.
pub(crate) async fn run_kind(kind: BenchKind) -> anyhow::Result<ExitCode> {
    raise_file_limit()?;
    let (text, is_clean) = match kind {
        BenchKind::Idle(options) => {
            (shown(options.output, &idle::measure(&options).await?, idle::Idle::text)?, true)
        }
        BenchKind::Limit(options) => {
            (shown(options.output, &limit::measure(&options).await?, Limits::text)?, true)
        }
        BenchKind::Writers(options) => {
            (shown(options.output, &writers::measure(&options).await?, writers::Writers::text)?, true)
        }
        BenchKind::Fairness(options) => {
            (shown(options.output, &fairness::measure(&options).await?, fairness::Fairness::text)?, true)
        }
        BenchKind::Handshakes(options) => {
            let measured = handshakes::measure(&options).await?;
            (shown(options.output, &measured, handshakes::Handshakes::text)?, measured.failed == 0)
        }
        BenchKind::Burst(options) => {
            let measured = burst::measure(&options).await?;
            (shown(options.output, &measured, burst::Burst::text)?, measured.is_clean())
        }
        BenchKind::Replay(options) => {
            let measured = replay::measure(&options, replay::LIMIT).await?;
            (shown(options.output, &measured, replay::Replay::text)?, measured.is_clean())
        }
        BenchKind::Resume(options) => {
            let measured = resume::measure(&options, resume::LIMIT).await?;
            (shown(options.output, &measured, resume::Resume::text)?, measured.is_clean())
        }
    };
    output::line(&text)?;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &BenchRun, settle_limit: Duration) -> anyhow::Result<Report> {
    let ingest = Address::parse(&options.ingest.url)?;
    let gateway = Address::of(&options.gateway)?;
    let clock = Clock::start();
    let slow = SlowReaders::open(&gateway, options.slow).await?;
    let (count, of) = (options.follow, options.load.sensors);
    let follows = move |client: usize| match count {
        0 => Follows::Everything,
        count => Follows::Some { first: client as u32 % of * count % of, count, of },
    };
    let mut audience = Audience::open(gateway, options.clients as usize, clock, follows).await?;
    let pace =
        if options.max { Pace::Max } else { Pace::Planned(options.rate / f64::from(options.load.readings)) };
    let keys = match (options.keys, &options.database_url) {
        (0, _) => None,
        (count, Some(database)) => Some(DeviceKeys::store(count, database, &ingest).await?),
        (_, None) => bail!("--keys needs --database-url"),
    };
    let plan = Plan { keys, ..Plan::new(ingest, &options.load, pace, clock) };
    let (sent, usage) = tokio::join!(plan.run(), usage_of_window(options, &plan));
    let ledger = Arc::new(Ledger::new(&sent.writes));
    audience.settle(ledger.clone(), settle_limit).await;
    let slow = slow.close().await;
    let received = audience.close().await?;
    let mut report = evaluate::evaluate(&plan, &sent, &ledger, &received);
    let (watched, before, after) = usage;
    let deliveries = report.deliveries_in_window;
    report.processes = watched.rows(&before, &after, plan.window.seconds(), deliveries);
    report.options = report::Options::of(options);
    report.slow = (options.slow > 0).then_some(slow);
    Ok(report)
}

type Sample = BTreeMap<String, Usage>;

/// What the processes had used when the window began and when it ended. They are looked for when it begins: ingest
/// connects to the database with the first POST, and each connection is a process.
async fn usage_of_window(options: &BenchRun, plan: &Plan) -> (Watched, Sample, Sample) {
    tokio::time::sleep_until(plan.clock.at(plan.window.from).into()).await;
    let watched = Watched::find(&options.pids, !options.no_processes);
    let before = watched.usage();
    tokio::time::sleep_until(plan.clock.at(plan.window.to).into()).await;
    let after = watched.usage();
    (watched, before, after)
}

fn shown<T: serde::Serialize>(format: Format, report: &T, text: fn(&T) -> String) -> anyhow::Result<String> {
    match format {
        Format::Json => Ok(serde_json::to_string_pretty(report)?),
        Format::Text => Ok(text(report)),
    }
}

/// Thousands of sockets need more file descriptors than a shell gives at first.
fn raise_file_limit() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("the limit of open files")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit of open files")
}

#[cfg(test)]
mod tests;
