//! Random faults for as long as asked, against an exact ledger. One seed gives one sequence of faults.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use clap::Parser;
use e2e::{Fault, Plan, Stack, Trial};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::time::Instant;

/// Faults in one trial, before the ledger is held against the table.
const FAULTS_PER_TRIAL: usize = 8;

#[derive(Parser)]
#[command(about = "Strikes a real installation with random faults and checks that nothing is lost")]
struct Arguments {
    /// How long to go on.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Repeats the faults of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Random clients against the truth, instead of one fault after the other against the ledger.
    #[arg(long)]
    oracle: bool,
}

/// How long one run of the oracle goes on before its clients are held against the truth.
const ORACLE_RUN: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let until = Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut seed = arguments.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let mut recoveries = Recoveries::default();
    loop {
        if arguments.oracle {
            oracle(seed).await?;
        } else {
            trial(seed, &mut recoveries).await?;
        }
        if Instant::now() > until || arguments.seed.is_some() {
            recoveries.tell();
            return Ok(());
        }
        seed += 1;
    }
}

/// How long readings took to flow again, by what had gone wrong.
#[derive(Default)]
struct Recoveries(BTreeMap<String, Vec<Duration>>);

impl Recoveries {
    fn note(&mut self, fault: Fault, time: Duration) {
        self.0.entry(format!("{fault:?}")).or_default().push(time);
    }

    fn tell(&mut self) {
        for (fault, times) in &mut self.0 {
            times.sort_unstable();
            let [median, longest] = [times[times.len() / 2], times[times.len() - 1]];
            say(&format!(
                "{fault:<28}{:>4} times, median {median:>8.0?}, longest {longest:>8.0?}",
                times.len()
            ));
        }
    }
}

async fn trial(seed: u64, recoveries: &mut Recoveries) -> Result<()> {
    say(&format!("seed {seed}: rerun with --seed {seed}"));
    let mut rng = StdRng::seed_from_u64(seed);
    let listeners = rng.random_range(1..=2);
    let mut trial = Trial::begin(Stack::start(Plan { gateways: 2, listeners }).await?).await;
    let faults = Fault::all();
    for _ in 0..FAULTS_PER_TRIAL {
        let Some(fault) = faults.choose(&mut rng) else { continue };
        say(&format!("  {fault:?}"));
        recoveries.note(*fault, trial.suffer(*fault).await?);
    }
    let summary = trial.end().await?;
    say(&format!("  {} readings at {} clients, each once, in one order", summary.readings, summary.clients));
    Ok(())
}

async fn oracle(seed: u64) -> Result<()> {
    say(&format!("seed {seed}: rerun with --oracle --seed {seed}"));
    let stack = Stack::start(Plan { gateways: 2, listeners: 2 }).await?;
    say(&format!("  {:?}", e2e::oracle::run(stack, seed, ORACLE_RUN).await?));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a tool for a terminal")]
fn say(line: &str) {
    println!("{line}");
}
