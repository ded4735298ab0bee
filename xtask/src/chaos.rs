//! `cargo xtask chaos`: random faults for as long as asked.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::{command, setup, stack, stack::Servers, workspace::Workspace};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long
    #[arg(long)]
    minutes: f64,
    /// The seed of an earlier run, to see the same faults again
    #[arg(long)]
    seed: Option<u64>,
    /// Random clients against the truth, instead of one fault after the other against the ledger
    #[arg(long)]
    oracle: bool,
    /// Strangers at the doors meanwhile: peers that never read, lie, flood, or stop half-way
    #[arg(long)]
    strangers: bool,
    /// How long one run of the oracle goes on, in minutes
    #[arg(long, default_value_t = 1.0)]
    run: f64,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    // the faults need servers that may be killed
    setup::set_up(workspace, Servers { database: None, redis: None }.needs())?;
    stack::build(workspace, false)?;
    let mut chaos = Command::new(Workspace::binaries(false)?.join("chaos"));
    chaos.args(["--minutes", &options.minutes.to_string()]);
    if let Some(seed) = options.seed {
        chaos.args(["--seed", &seed.to_string()]);
    }
    if options.oracle {
        chaos.args(["--oracle", "--run", &options.run.to_string()]);
    }
    if options.strangers {
        chaos.arg("--strangers");
    }
    command::run(&mut chaos)
}
