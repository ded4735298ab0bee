//! Random faults for as long as requested, against an exact ledger. One seed gives one sequence of faults.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use clap::Parser;
use e2e::{Fault, HostilePeers, Plan, Stack, Trial, oracle::Oracle};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use testkit::cost;
use tokio::time::{Instant, sleep};

/// Faults in one trial, before the ledger is compared with the table.
const FAULTS_PER_TRIAL: usize = 8;

#[derive(Parser)]
#[command(bin_name = "cargo xtask chaos")]
#[command(about = "Injects random faults into a real installation and checks that nothing is lost")]
struct Arguments {
    /// How long to run
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Repeat the faults of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Random clients against the truth, instead of one fault after the other against the ledger
    #[arg(long)]
    oracle: bool,
    /// Add hostile peers: they never read, send bad input, flood, or stop half-way
    #[arg(long)]
    strangers: bool,
    /// Minutes of one run of the oracle, after which its clients are compared with the truth
    #[arg(long, default_value_t = 1.0)]
    run: f64,
}

/// How often the services' memory is printed during a run of the oracle that lasts longer.
const MEMORY_EVERY: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let until = Instant::now() + Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut seed = arguments.seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let mut recoveries = Recoveries::default();
    loop {
        if arguments.oracle {
            oracle(seed, &arguments).await?;
        } else {
            trial(seed, &arguments, &mut recoveries).await?;
        }
        if Instant::now() > until || arguments.seed.is_some() {
            recoveries.print();
            return Ok(());
        }
        seed += 1;
    }
}

/// How long the recovery took, by fault.
#[derive(Default)]
struct Recoveries(BTreeMap<String, Vec<Duration>>);

impl Recoveries {
    fn note(&mut self, fault: Fault, time: Duration) {
        self.0.entry(format!("{fault:?}")).or_default().push(time);
    }

    fn print(&mut self) {
        for (fault, times) in &mut self.0 {
            times.sort_unstable();
            let [median, longest] = [times[times.len() / 2], times[times.len() - 1]];
            print(&format!(
                "{fault:<28}{:>4} times, median {median:>8.0?}, longest {longest:>8.0?}",
                times.len()
            ));
        }
    }
}

async fn trial(seed: u64, arguments: &Arguments, recoveries: &mut Recoveries) -> Result<()> {
    print(&format!("seed {seed}: rerun with --seed {seed}"));
    let mut rng = StdRng::seed_from_u64(seed);
    let listeners = rng.random_range(1..=2);
    let mut trial = Trial::begin(Stack::start(Plan { gateways: 2, listeners }).await?).await;
    let peers = hostile_peers(&trial.stack, arguments, seed);
    let faults = Fault::all();
    for _ in 0..FAULTS_PER_TRIAL {
        let Some(fault) = faults.choose(&mut rng) else { continue };
        print(&format!("  {fault:?}"));
        recoveries.note(*fault, trial.inject(*fault).await?);
    }
    drop(peers);
    let summary = trial.end().await?;
    print(&format!(
        "  {} readings at {} clients, each once, in one order",
        summary.readings, summary.clients
    ));
    Ok(())
}

async fn oracle(seed: u64, arguments: &Arguments) -> Result<()> {
    print(&format!("seed {seed}: rerun with --oracle --seed {seed}"));
    let oracle = Oracle::start(Plan { gateways: 2, listeners: 2 }).await?;
    let stack = &oracle.stack;
    let _peers = hostile_peers(stack, arguments, seed);
    // the first of each kind is killed from time to time
    let lasting =
        [&stack.ingest, &stack.gateways[1], &stack.listeners[1]].map(|service| service.process.id());
    let memory = async {
        loop {
            sleep(MEMORY_EVERY).await;
            let [ingest, gateway, listener] =
                lasting.map(|pid| cost::resident(pid).unwrap_or_default() >> 20);
            print(&format!("  MiB: ingest {ingest}, gateway {gateway}, listener {listener}"));
        }
    };
    let run = oracle.run(seed, Duration::from_secs_f64(arguments.run * 60.0));
    let summary = tokio::select! {
        summary = run => summary?,
        () = memory => return Ok(()),
    };
    print(&format!("  {summary:?}"));
    Ok(())
}

fn hostile_peers(stack: &Stack, arguments: &Arguments, seed: u64) -> Option<HostilePeers> {
    let gateways: Vec<_> = stack.gateways.iter().map(|gateway| gateway.public()).collect();
    arguments.strangers.then(|| HostilePeers::start(stack.ingest.public(), &gateways, seed))
}

#[expect(clippy::print_stdout, reason = "a tool for a terminal")]
fn print(line: &str) {
    println!("{line}");
}
