//! `cargo xtask chaos`: random faults for as long as requested.

use std::{ffi::OsString, process::Command};

use anyhow::Result;
use clap::Args;

use crate::{
    command, setup,
    stack::{self, Servers},
    workspace::Workspace,
};

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Its own options, which `--help` lists
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    // the faults need servers that may be killed
    setup::set_up(workspace, Servers { database: None, redis: None }.needs())?;
    stack::build(workspace, false)?;
    command::run(Command::new(Workspace::binaries(false)?.join("chaos")).args(&options.args))
}
