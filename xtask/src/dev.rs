//! `cargo xtask dev`: everything on this machine, with simulated sensors.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use testkit::postgres::Durability;

use crate::{
    child::{ChildProcess, Signals, runtime_in_child},
    page,
    ports::{self, Ports},
    probe,
    setup::{self, Needs},
    stack::{
        self, Access, Plan, Servers, Stack,
        data::{self, TemporaryFolder},
    },
    terminal::print,
    workspace::Workspace,
};

/// How often the services are checked.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The simulated sensors report twice a second.
const EVENT_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Start with an empty database and remove it at the end
    #[arg(long)]
    ephemeral: bool,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
    /// Neither build nor serve the page
    #[arg(long)]
    no_page: bool,
    /// Number of simulated sensors
    #[arg(long, default_value_t = 12)]
    sensors: u32,
    /// Start a Prometheus with the alerts, too
    #[arg(long)]
    monitoring: bool,
    /// Where Prometheus listens
    #[arg(long, default_value_t = 9095, value_name = "PORT")]
    prometheus_port: u16,
    #[command(flatten)]
    ports: Ports,
}

pub(crate) fn run(workspace: &Workspace, options: Options, child: ChildProcess) -> Result<()> {
    match child.data() {
        None => prepare(workspace, &options, &child),
        Some(data) => {
            let page = (!options.no_page).then(|| workspace.page());
            let rules = options.monitoring.then(|| workspace.rules());
            runtime_in_child()?.block_on(run_servers(page, rules, data, &options, &child))
        }
    }
}

fn prepare(workspace: &Workspace, options: &Options, child: &ChildProcess) -> Result<()> {
    options.ports.check_free()?;
    if options.monitoring {
        ports::check_free(&[(options.prometheus_port, "--prometheus-port")])?;
    }
    let needs =
        Needs { page: !options.no_page, prometheus: options.monitoring, ..Servers::from_env().needs() };
    let tools = setup::set_up(workspace, needs)?;
    stack::build(workspace, options.release)?;
    if let Some(node) = tools.node {
        page::install(workspace, &node)?;
        page::build(workspace, &node)?;
    }
    if options.ephemeral {
        let temporary = TemporaryFolder::new(workspace)?;
        child.run(temporary.folder.clone())
    } else {
        child.run(data::permanent(workspace)?)
    }
}

async fn run_servers(
    page: Option<PathBuf>,
    rules: Option<PathBuf>,
    data: PathBuf,
    options: &Options,
    child: &ChildProcess,
) -> Result<()> {
    let mut signals = Signals::new()?;
    let has_page = page.is_some();
    let plan = plan(page, data.clone(), options)?;
    let starting = tokio::task::spawn_blocking(|| Stack::start(plan));
    let mut stack = tokio::select! {
        started = starting => started.context("starting")??,
        // all started processes end with this one
        () = signals.next() => std::process::exit(1),
    };
    let gateway_port = options.ports.gateway_port;
    let first_event = tokio::task::spawn_blocking(move || probe::await_event(gateway_port, EVENT_WITHIN));
    stack.simulate(options.sensors)?;
    print_addresses(&stack, has_page, &data);
    if let Some(rules) = rules {
        start_prometheus(&mut stack, &rules, options.prometheus_port)?;
    }
    let lost = watch(&mut stack, &mut signals, first_event, child).await;
    print("stopping");
    let stopping = tokio::task::spawn_blocking(move || stack.stop());
    tokio::select! {
        stopped = stopping => stopped.context("stopping")??,
        () = signals.next() => std::process::exit(1),
    }
    if lost > 0 {
        bail!("{lost} services ended unexpectedly");
    }
    Ok(())
}

fn plan(page: Option<PathBuf>, data: PathBuf, options: &Options) -> Result<Plan> {
    Ok(Plan {
        binaries: Workspace::binaries(options.release)?,
        page,
        data,
        durability: Durability::Process,
        ports: options.ports,
        servers: Servers::from_env(),
        window_bytes: None,
        access: Access::default(),
    })
}

fn start_prometheus(stack: &mut Stack, rules: &Path, port: u16) -> Result<()> {
    stack.monitor(rules, port)?;
    // the root leads to the pages of every version; their own paths differ, also in Debian's package
    print(&format!("alerts   http://127.0.0.1:{port}/ (Prometheus)"));
    Ok(())
}

/// Watches the services until a signal comes; returns how many ended unexpectedly.
async fn watch(
    stack: &mut Stack,
    signals: &mut Signals,
    mut first_event: tokio::task::JoinHandle<Result<()>>,
    child: &ChildProcess,
) -> usize {
    let mut lost = 0;
    let mut waiting = true;
    loop {
        tokio::select! {
            () = signals.next() => return lost,
            event = &mut first_event, if waiting => {
                waiting = false;
                print(&match event {
                    Ok(Ok(())) => format!("first event after {:.1} s; Ctrl-C stops everything", child.elapsed().as_secs_f64()),
                    Ok(Err(error)) => format!("no event received: {error:#}"),
                    Err(error) => format!("no event received: {error}"),
                });
            }
            () = tokio::time::sleep(POLL_INTERVAL) => lost += stack.report_ended(),
        }
    }
}

fn print_addresses(stack: &Stack, has_page: bool, data: &Path) {
    let (gateway, ingest, admin) = (stack.ports.gateway(), stack.ports.ingest(), stack.ports.admin_port);
    if has_page {
        print(&format!("page     {gateway}/"));
    }
    print(&format!("sockets  {}/ws/sensors/", gateway.replacen("http", "ws", 1)));
    print(&format!(
        "post     curl {ingest}/api/sensors/ -H 'content-type: application/json' -d '{{\"sensor_id\":\"s-1\",\"value\":21.5}}'"
    ));
    print(&format!("psql     psql {}", stack.database));
    for (port, name) in (admin..).zip(["ingest", "ws-gateway", "notify-listener"]) {
        print(&format!("metrics  http://127.0.0.1:{port}/metrics ({name})"));
    }
    print(&format!("logs     {}/*.log", data.display()));
}
