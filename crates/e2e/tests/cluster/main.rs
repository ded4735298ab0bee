//! A release on a real cluster: scenarios one after the other, under load, with an exact ledger.
//!
//! `cargo xtask cluster-test` builds the image, manages the cluster and runs this program. It ends at the first
//! scenario that fails and leaves the release as it was then.
#![expect(clippy::print_stdout, reason = "its output is its report")]

mod dev;
mod documented;
mod faults;
mod keys;
mod lengths;
mod load;
mod release;
mod scenarios;
mod site;
mod tick_log;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use tokio::time::Instant;

use crate::{lengths::Lengths, release::Release, site::Site};

#[derive(Debug, Parser)]
struct Args {
    /// Let faults last as long as in production
    #[arg(long)]
    full: bool,
    /// Only these, on the installed release
    scenarios: Vec<Scenario>,
}

/// In the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    Install,
    Ingress,
    Page,
    Role,
    LeaderDeleted,
    LeaderKilled,
    LeaderFrozen,
    NodeCut,
    ApiStopped,
    RedisDeleted,
    PostgresDeleted,
    GatewayDeleted,
    NodeDrained,
    Upgrade,
    NewDatabase,
    Keys,
    Speed,
    Scaling,
    Uninstall,
    Documented,
    Tilt,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nfailed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let site = Site::from_env()?;
    let lengths = if args.full { Lengths::FULL } else { Lengths::SHORT };
    let all = args.scenarios.is_empty();
    let chosen = if all { Scenario::value_variants().to_vec() } else { args.scenarios };
    for scenario in chosen {
        let name = scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("\n-- {name}");
        let began = Instant::now();
        scenario.run(&site, lengths).await.with_context(|| name.clone())?;
        println!("-- {name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}

impl Scenario {
    async fn run(self, site: &Site, lengths: Lengths) -> Result<()> {
        let release = Release { site: site.clone() };
        match self {
            Self::Install => scenarios::install(site).await,
            Self::Tilt => dev::tilt(site).await,
            Self::Ingress => scenarios::ingress(&release).await,
            Self::Page => scenarios::page(&release).await,
            Self::Role => scenarios::role(&release).await,
            Self::LeaderDeleted => faults::leader_deleted(&release).await,
            Self::LeaderKilled => faults::leader_killed(&release).await,
            Self::LeaderFrozen => faults::leader_frozen(&release).await,
            Self::NodeCut => faults::node_cut(&release, lengths.cut).await,
            Self::ApiStopped => faults::api_stopped(&release, lengths.api).await,
            Self::RedisDeleted => faults::pod_deleted(&release, "redis").await,
            Self::PostgresDeleted => faults::pod_deleted(&release, "postgres").await,
            Self::GatewayDeleted => faults::pod_deleted(&release, "ws-gateway").await,
            Self::NodeDrained => faults::node_drained(&release).await,
            Self::Upgrade => faults::upgrade(&release).await,
            Self::NewDatabase => faults::new_database(&release).await,
            Self::Keys => keys::keys(&release).await,
            Self::Documented => documented::documented(site).await,
            Self::Speed => load::speed(&release, lengths).await,
            Self::Scaling => load::scaling(&release).await,
            Self::Uninstall => scenarios::uninstall(&release).await,
        }
    }
}
