//! `rowcast simulate`: simulated devices that report on time, whether ingest is available or not.

mod device;

use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use self::device::Device;
use crate::{
    args::Simulate,
    output,
    send::post::{Answer, Failed, Poster},
};

/// A device does not wait for an answer to its last reading; when this many wait, new readings are dropped.
const IN_FLIGHT: usize = 256;

/// Runs the devices until Ctrl-C or the end of the duration.
pub(crate) async fn run(options: Simulate) -> anyhow::Result<()> {
    let poster = Poster::new(&options.ingest.url, &options.trust)?;
    output::note(&format!(
        "{} sensors report to {} {} times a second each; Ctrl-C stops",
        options.sensors,
        poster.url(),
        options.rate
    ));
    let mut tally = Tally::default();
    tokio::select! {
        result = report(&options, &poster, &mut tally) => result?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    output::note(&format!("{} readings stored, {} dropped", tally.stored, tally.dropped));
    Ok(())
}

/// Open loop: reading k of all is due k intervals after the start, so the devices report one after the other.
async fn report(options: &Simulate, poster: &Poster, tally: &mut Tally) -> anyhow::Result<()> {
    let mut random = StdRng::from_rng(&mut rand::rng());
    let mut devices: Vec<Device> = (0..options.sensors).map(|n| Device::new(n, &mut random)).collect();
    let interval = 1.0 / (options.rate * f64::from(options.sensors));
    let start = Instant::now();
    let mut in_flight: JoinSet<Result<Answer, Failed>> = JoinSet::new();
    for k in 0_u64.. {
        // f64 counts exactly up to 2^53
        let due = Duration::from_secs_f64(k as f64 * interval);
        if options.duration.is_some_and(|duration| due >= duration) {
            break;
        }
        wait(start + due, &mut in_flight, tally).await?;
        let device = (k % u64::from(options.sensors)) as usize;
        let reading = devices[device].next(&mut random);
        if in_flight.len() < IN_FLIGHT {
            let poster = poster.clone();
            in_flight.spawn(async move { poster.post(reading).await });
        } else {
            tally.dropped += 1;
        }
    }
    while let Some(answer) = in_flight.join_next().await {
        tally.note(answer?)?;
    }
    Ok(())
}

/// Takes answers until it is time.
async fn wait(
    due: Instant,
    in_flight: &mut JoinSet<Result<Answer, Failed>>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            biased;
            Some(answer) = in_flight.join_next() => tally.note(answer?)?,
            () = sleep_until(due) => return Ok(()),
        }
    }
}

/// Counts readings by outcome, and prints when ingest becomes unavailable or available.
#[derive(Debug, Default)]
struct Tally {
    stored: u64,
    dropped: u64,
    dropped_before: Option<u64>,
}

impl Tally {
    fn note(&mut self, answer: Result<Answer, Failed>) -> anyhow::Result<()> {
        match answer {
            Ok(Answer::Stored(_)) => {
                self.stored += 1;
                if let Some(before) = self.dropped_before.take() {
                    output::note(&format!(
                        "ingest is available again; {} readings were dropped",
                        self.dropped - before
                    ));
                }
            }
            Ok(Answer::Refused(refusal)) => anyhow::bail!("{refusal}"),
            Err(failed) => {
                if self.dropped_before.is_none() {
                    output::note(&format!("ingest is unavailable: {}; readings are dropped", failed.why));
                    self.dropped_before = Some(self.dropped);
                }
                self.dropped += 1;
            }
        }
        Ok(())
    }
}
