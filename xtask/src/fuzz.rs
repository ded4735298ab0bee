//! `cargo xtask fuzz`: the fuzz targets, for longer than in a test run.

use anyhow::Result;
use clap::Args;
use testkit::fuzz::SECONDS;

use crate::{
    command::{self, cargo},
    workspace::Workspace,
};

/// How all targets' names begin.
const TARGETS: &str = "fuzz_";

/// Where the targets are.
const PACKAGES: [&str; 4] = ["auth", "wire", "ws-gateway", "ingest"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds per target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only targets whose names contain this, such as `fuzz_bodies`
    #[arg(default_value = TARGETS)]
    target: String,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut tests = cargo(workspace);
    tests.args(["test", "--quiet", "--tests"]);
    tests.args(PACKAGES.map(|package| format!("--package={package}")));
    tests.arg(&options.target).env(SECONDS, options.seconds.to_string());
    command::run(&mut tests)
}
