//! That exactly one replica forwards, checked with the signed ticks, and with the stream, whose entries name their predecessor.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::release::Release;

/// The consecutive ticks of one leader.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) signature: String,
    pub(crate) term: u64,
    /// From the tick before its first one to its first one.
    pub(crate) gap: Duration,
    /// The longest between two of its ticks.
    pub(crate) pause: Duration,
    pub(crate) ticks: u64,
}

/// The ticks since a moment.
pub(crate) struct TickLog {
    from: i64,
}

impl TickLog {
    /// From now.
    pub(crate) async fn begin(release: &Release) -> Result<Self> {
        let from = release.psql("select max(no) from rowcast.tick").await?.parse()?;
        Ok(Self { from })
    }

    /// The terms that forwarded, in order. Fails if ticks of two leaders alternate, if a tick is missing, or if the stream
    /// is not a contiguous run of ticks.
    pub(crate) async fn terms(self, release: &Release) -> Result<Vec<Term>> {
        let ticks = release
            .psql(&format!(
                "select no, leader, extract(epoch from at - lag(at) over (order by no)) from rowcast.tick
                  where no > {} order by no",
                self.from
            ))
            .await?;
        let terms = terms(&ticks)?;
        for pair in terms.windows(2) {
            ensure!(
                pair[0].term < pair[1].term,
                "ticks of two leaders alternate: {} after {}",
                pair[1].signature,
                pair[0].signature
            );
        }
        check_stream(release).await?;
        Ok(terms)
    }
}

/// Runs of ticks with the same signature.
fn terms(ticks: &str) -> Result<Vec<Term>> {
    let mut terms: Vec<Term> = Vec::new();
    let mut last: Option<i64> = None;
    for line in ticks.lines() {
        let mut words = line.split('|');
        let no: i64 = words.next().context("a number")?.parse()?;
        let signature = words.next().context("a signature")?;
        let gap = words.next().and_then(|gap| gap.parse().ok()).unwrap_or_default();
        let gap = Duration::from_secs_f64(gap);
        ensure!(last.is_none_or(|last| last + 1 == no), "a tick is missing before {no}");
        last = Some(no);
        match terms.last_mut() {
            Some(term) if term.signature == signature => {
                term.ticks += 1;
                term.pause = term.pause.max(gap);
            }
            _ => {
                let term = signature.rsplit('@').next().and_then(|term| term.parse().ok());
                let signature = signature.to_owned();
                terms.push(Term {
                    term: term.unwrap_or_default(),
                    signature,
                    gap,
                    pause: Duration::ZERO,
                    ticks: 1,
                });
            }
        }
    }
    Ok(terms)
}

/// Checks that each entry names its predecessor.
async fn check_stream(release: &Release) -> Result<()> {
    let epoch = release.psql("select max(epoch) from rowcast.epoch").await?;
    let identity = release.psql("select rowcast.identity()").await?;
    let entries = release
        .redis(&["XREVRANGE", &format!("{{rowcast:{identity}}}:stream:{epoch}"), "+", "-", "COUNT", "3000"])
        .await?;
    let entries = entries.as_array().context("a list of entries")?;
    ensure!(!entries.is_empty(), "the stream has entries");
    for pair in entries.windows(2) {
        let (entry, before) = (&pair[0], &pair[1]);
        let predecessor = field(entry, "p");
        ensure!(
            predecessor == before[0].as_str(),
            "entry {} names {predecessor:?} as its predecessor, which is {}",
            entry[0],
            before[0]
        );
    }
    Ok(())
}

fn field<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    let fields = entry[1].as_array()?;
    fields.chunks(2).find(|pair| pair[0] == name)?.get(1)?.as_str()
}
