//! `cargo xtask bench`: `rowcast bench` against a release build of everything and an empty database.

mod arguments;
mod catch_up;
mod wal;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use testkit::postgres::Durability;
use tokio::process::Command;

use crate::{
    child::{ChildProcess, Signals, runtime_in_child},
    ports::Ports,
    setup,
    stack::{self, Access, Plan, Servers, Stack, data::TemporaryFolder},
    workspace::Workspace,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    ports: Ports,
    /// Bytes of recent readings that the gateways keep, at least 1 MiB; with few, replay reads Postgres
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1 << 20..))]
    window_bytes: Option<u64>,
    /// The gateways ask for tokens, and each client has one of its own
    #[arg(long)]
    tokens: bool,
    /// Arguments of `rowcast bench`; addresses are added
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// What `rowcast bench` cannot measure alone, since a service is restarted.
#[derive(Debug, Subcommand)]
enum Part {
    /// How fast a restarted listener forwards what was written while it was down
    CatchUp(catch_up::Options),
}

pub(crate) fn run(workspace: &Workspace, options: Options, child: ChildProcess) -> Result<()> {
    match child.data() {
        None => {
            options.ports.check_free()?;
            setup::set_up(workspace, Servers::from_env().needs())?;
            stack::build(workspace, true)?;
            let temporary = TemporaryFolder::new(workspace)?;
            child.run(temporary.folder.clone())
        }
        Some(data) => runtime_in_child()?.block_on(measure(data, options)),
    }
}

async fn measure(data: PathBuf, options: Options) -> Result<()> {
    let mut signals = Signals::new()?;
    let issuers = options.tokens.then(|| write_issuers(&data)).transpose()?;
    let plan = Plan {
        binaries: Workspace::binaries(true)?,
        page: None,
        data,
        durability: Durability::Disk,
        ports: options.ports,
        servers: Servers::from_env(),
        window_bytes: options.window_bytes,
        access: Access { issuers: issuers.clone(), keys: arguments::has(&options.args, "--keys") },
    };
    let starting = tokio::task::spawn_blocking(|| {
        let stack = Stack::start(plan)?;
        if stack.has_own_postgres() {
            wal::preallocate(&stack.database)?;
        }
        anyhow::Ok(stack)
    });
    let mut stack = tokio::select! {
        started = starting => started.context("starting")??,
        () = signals.next() => std::process::exit(1),
    };
    if let Some(Part::CatchUp(part)) = options.part {
        let measuring = tokio::task::spawn_blocking(move || {
            let measured = catch_up::measure(&mut stack, part);
            stack.report_ended();
            stack.stop().and(measured)
        });
        return tokio::select! {
            measured = measuring => measured.context("measuring")?,
            // all started processes end with this one
            () = signals.next() => std::process::exit(1),
        };
    }
    let mut command = Command::new(stack.binary("rowcast"));
    command
        .arg("bench")
        .args(arguments::Known::of(&stack).complete(options.args))
        .env("ROWCAST_INGEST_URL", options.ports.ingest())
        .env("ROWCAST_GATEWAY_URL", options.ports.gateway())
        .envs(issuers.map(|file| ("ROWCAST_BENCH_ISSUERS_FILE", file)))
        .kill_on_drop(true);
    let measured = tokio::select! {
        measured = command.status() => Some(measured.context("running rowcast bench")?),
        () = signals.next() => None,
    };
    stack.report_ended();
    stack.stop()?;
    match measured {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("rowcast bench failed ({status})"),
        None => bail!("stopped before the measurement was done"),
    }
}

/// The issuer of the clients' tokens, at a gateway that only this machine reaches while it is measured.
const ISSUER: &str = r#"[[issuer]]
issuer = "bench"
audience = ["rowcast"]
secret = "of the stack that is measured, and of no other"
"#;

fn write_issuers(data: &Path) -> Result<PathBuf> {
    let file = data.join("issuers.toml");
    std::fs::write(&file, ISSUER).context("writing the issuers")?;
    Ok(file)
}
