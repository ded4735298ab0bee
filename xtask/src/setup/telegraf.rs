//! Telegraf's outputs for InfluxDB, with a program around them that writes some metrics.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::go::{self, Module};
use crate::workspace::Workspace;

/// The program, built if it was not yet.
pub(crate) fn program(workspace: &Workspace) -> Result<PathBuf> {
    let main = workspace.root().join("crates/e2e/telegraf/main.go");
    let main = std::fs::read_to_string(&main).with_context(|| format!("reading {}", main.display()))?;
    let path = "github.com/influxdata/telegraf";
    go::program(workspace, &Module { name: "telegraf", path, version: "v1.37.2", main: Some(&main) })
}
