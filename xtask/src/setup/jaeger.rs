//! Jaeger, in which a test looks traces up.

use std::path::PathBuf;

use anyhow::Result;

use super::go::{self, Module};
use crate::workspace::Workspace;

/// The program, built if it was not yet.
pub(crate) fn program(workspace: &Workspace) -> Result<PathBuf> {
    let path = "github.com/jaegertracing/jaeger/cmd/jaeger";
    go::program(workspace, &Module { name: "jaeger", path, version: "v1.76.0", main: None })
}
