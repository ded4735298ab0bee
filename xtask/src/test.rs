//! `cargo xtask test`: every test.

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    command::{self, cargo},
    page,
    setup::{self, Needs, Tools, node::Node},
    terminal::print,
    workspace::Workspace,
};

/// Each end-to-end test starts about seven processes; more tests at once only wait for each other.
const AT_ONCE: &str = "2";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Skip the page's own tests and those that open the page
    #[arg(long)]
    no_page: bool,
    /// Let faults last as long as in production
    #[arg(long)]
    full: bool,
    /// Only tests whose names contain this, without the page's own
    filter: Option<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let with_page = !options.no_page;
    let tools = setup::set_up(workspace, Needs { page: with_page, browser: with_page, ..Needs::EVERYTHING })?;
    let mut failed = Vec::new();
    if let Some(node) = &tools.node {
        page::install(workspace, node)?;
        if options.filter.is_none() {
            failed.extend(page_tests(workspace, node)?);
        }
        // before the end-to-end tests, which serve it
        page::build(workspace, node)?;
    }
    failed.extend(cargo_tests(workspace, options, &tools).err());
    if !failed.is_empty() {
        let failed: Vec<String> = failed.iter().map(|error| format!("{error:#}")).collect();
        bail!("{}", failed.join("\n       "));
    }
    print("all tests passed");
    Ok(())
}

fn page_tests(workspace: &Workspace, node: &Node) -> Result<Vec<anyhow::Error>> {
    let mut failed = Vec::new();
    for step in [["run", "check"], ["run", "test"]] {
        failed.extend(command::run(&mut node.npm(&workspace.frontend(), &step)?).err());
    }
    Ok(failed)
}

fn cargo_tests(workspace: &Workspace, options: &Options, tools: &Tools) -> Result<()> {
    // the end-to-end tests start the binaries; with the tests' own targets they are compiled only once
    command::run(cargo(workspace).args(["build", "--workspace", "--all-targets"]))?;
    let mut tests = cargo(workspace);
    tests
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(&options.filter)
        .env("RUST_TEST_THREADS", AT_ONCE);
    if options.full {
        tests.env("ROWCAST_TESTS_FULL", "1");
    }
    if let Some(node) = &tools.node {
        tests.env("ROWCAST_PAGE_DIR", workspace.page()).env("ROWCAST_NODE", node.program());
    }
    if let Some(browser) = &tools.browser {
        tests.env("ROWCAST_CHROMIUM", browser);
    }
    if let Some(jaeger) = &tools.jaeger {
        tests.env("ROWCAST_JAEGER", jaeger);
    }
    if let Some(telegraf) = &tools.telegraf {
        tests.env("ROWCAST_TELEGRAF", telegraf);
    }
    command::run(&mut tests)
}
