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
        chaos.arg("--oracle");
    }
    command::run(&mut chaos)
}
