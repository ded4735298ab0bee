//! `rowcast status`: the installation at a glance, from the admin ports of its services.

mod picture;
mod scrape;

use std::{process::ExitCode, time::Duration};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use self::{
    picture::{Picture, Seen, State},
    scrape::Scrape,
};
use crate::{
    admin::{AdminPort, Report},
    args::{Format, Status},
    output,
};

/// Between two pictures of `--watch`, and between the scrapes that a rate is taken from.
const EVERY: Duration = Duration::from_secs(1);

/// Clears a terminal, and goes to its first line (ECMA-48: ED, CUP).
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Exit code 0 if nothing is wrong, 1 if something is.
pub(crate) async fn run(options: Status) -> anyhow::Result<ExitCode> {
    let ports = AdminPort::all(&options.admins, options.trust.ca.as_deref())?;
    let mut before = scrape(&ports).await;
    loop {
        sleep(EVERY).await;
        let now = scrape(&ports).await;
        let picture = Picture::of(&compare(&ports, &before, &now).await);
        if options.watch && matches!(options.output, Format::Text) {
            output::line(CLEAR)?;
        }
        print(&picture, options.output)?;
        if !options.watch {
            let is_well = picture.problems.is_empty();
            return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        before = now;
    }
}

/// The metrics of a service, and when they were read.
type Scraped = (Instant, Result<Scrape, String>);

async fn scrape(ports: &[AdminPort]) -> Vec<Scraped> {
    let one = async |port: &AdminPort| {
        let text = port.metrics().await.map_err(|error| format!("{error:#}"));
        (Instant::now(), text.map(|text| Scrape::parse(&text)))
    };
    join_all(ports.iter().map(one)).await
}

async fn compare(ports: &[AdminPort], before: &[Scraped], now: &[Scraped]) -> Vec<Seen> {
    let reports = join_all(ports.iter().map(AdminPort::report)).await;
    let each = ports.iter().zip(reports).zip(before.iter().zip(now));
    each.map(|((port, report), (before, now))| Seen {
        place: port.place(),
        state: state(report, before, now),
    })
    .collect()
}

fn state(report: anyhow::Result<Report>, before: &Scraped, now: &Scraped) -> Result<State, String> {
    let report = report.map_err(|error| format!("{error:#}"))?;
    let seconds = (now.0 - before.0).as_secs_f64();
    let now = now.1.clone()?;
    // one that was not there a moment ago has no rates yet
    let before = before.1.clone().unwrap_or_else(|_| now.clone());
    Ok(State { report, before, now, seconds })
}

fn print(picture: &Picture, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::line(&serde_json::to_string(picture)?)?,
        Format::Text => lines(picture).iter().try_for_each(|line| output::line(line))?,
    }
    Ok(())
}

fn lines(picture: &Picture) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for service in &picture.services {
        let state = if service.ready { "ok" } else { "UNREADY" };
        let (name, place) = (format!("{} {}", service.service, service.version), &service.place);
        lines.push(format!("{state:<8} {name:<24} {place:<28} {}", service.summary));
    }
    let millis =
        |seconds: Option<f64>| seconds.map_or("-".to_owned(), |seconds| format!("{:.1} ms", seconds * 1e3));
    let freshness = &picture.freshness;
    lines.push(format!(
        "freshness p50 {}, p99 {} from commit to socket, of {} events",
        millis(freshness.p50_seconds),
        millis(freshness.p99_seconds),
        freshness.events
    ));
    lines.push(format!(
        "rates     {:.1} readings/s stored, {:.1} events/s written",
        picture.stored_per_second, picture.events_per_second
    ));
    let audit = &picture.audit;
    lines.push(format!(
        "audit     {} readings checked, {} mismatches",
        audit.checked_readings, audit.mismatches
    ));
    if picture.problems.is_empty() {
        lines.push("all is well".to_owned());
    }
    lines.extend(picture.problems.iter().map(|problem| format!("PROBLEM   {problem}")));
    lines
}
