//! The command line of `bench`.

use std::{fmt, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{
    format::Format,
    services::{Gateway, Ingest},
};
use crate::units;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) kind: Option<BenchKind>,
    #[command(flatten)]
    pub(crate) run: BenchRun,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchKind {
    /// The gateway's memory per idle socket
    Idle(BenchIdle),
    /// What this machine can do with nothing in between
    Limit(BenchLimit),
    /// What Rowcast costs those who write with SQL: pgbench on the readings and on a plain table
    Writers(BenchWriters),
    /// How many sockets a second the gateway opens
    Handshakes(BenchHandshakes),
    /// How fast the gateway brings what waits in Redis to its sockets
    Burst(BenchBurst),
    /// How fast the gateway gives one client what it missed
    Replay(BenchReplay),
    /// How soon the clients of a gateway that was killed have everything from another
    Resume(BenchResume),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Load {
    /// HTTP connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// Readings in a request; 1 sends an object, more an array
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) readings: u32,
    /// Different sensors
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sensors: u32,
    /// How long is measured
    #[arg(long, default_value = "10s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// Load before the measurement
    #[arg(long, default_value = "2s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) warmup: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct BenchRun {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// WebSocket clients
    #[arg(long, default_value_t = 100)]
    pub(crate) clients: u32,
    /// How many of the load's sensors each client follows, others than the client before it; 0: everything
    #[arg(long, default_value_t = 0, value_name = "SENSORS")]
    pub(crate) follow: u32,
    #[command(flatten)]
    pub(crate) load: Load,
    /// Readings a second, planned in advance
    #[arg(long, default_value = "1000", value_parser = units::rate, value_name = "READINGS_PER_S")]
    pub(crate) rate: f64,
    /// As many as ingest takes: each connection sends when its last answer came
    #[arg(long, conflicts_with = "rate")]
    pub(crate) max: bool,
    /// Further clients that follow everything and read about 1 kB/s; the ledger knows nothing of them
    #[arg(long, default_value_t = 0)]
    pub(crate) slow: u32,
    /// Processes to watch besides those known by name
    #[arg(long = "pid", value_parser = named_pid, value_name = "NAME=PID")]
    pub(crate) pids: Vec<(String, u32)>,
    /// Watch no process but those of --pid
    #[arg(long)]
    pub(crate) no_processes: bool,
    /// Run `bench limit` afterwards and give shares of it
    #[arg(long)]
    pub(crate) with_limit: bool,
    /// For --with-limit: the database in which a schema `rowcast_bench_limit` may be made and dropped
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchIdle {
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// Clients, each subscribed to one sensor
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// How they follow
    #[arg(long, value_enum, default_value_t = ClientForm::V1)]
    pub(crate) form: ClientForm,
    /// How long they are held before the memory is read
    #[arg(long, default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) hold: Duration,
    /// How long the gateway may take to give memory back when they have gone
    #[arg(long, default_value = "60s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) release: Duration,
    /// The gateway's process; without it the one named ws-gateway
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

/// The forms of a client.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientForm {
    /// A WebSocket of v1 that has sent its subscription
    V1,
    /// One that is subscribed by its query and never says anything
    Silent,
    /// One of the demo's protocol, to all sensors
    Demo,
    /// A stream of server-sent events
    Events,
}

impl fmt::Display for ClientForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::Silent => "silent",
            Self::Demo => "demo",
            Self::Events => "events",
        })
    }
}

/// A fixed number of readings, POSTed as fast as ingest takes them.
#[derive(Debug, Clone, Args)]
pub(crate) struct Posts {
    /// HTTP connections, each with one request at a time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// Readings in a request
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) together: u32,
    /// Different sensors
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sensors: u32,
}

#[derive(Debug, Args)]
pub(crate) struct BenchHandshakes {
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// End after so many sockets, if that is before the time is over
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) clients: Option<u64>,
    /// Sockets that are being opened at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) at_once: u32,
    /// How long sockets are opened
    #[arg(long, default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// The gateway's process, for its CPU; without it the one named ws-gateway, if there is one
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchBurst {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// WebSocket clients, each of which follows everything
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// Readings, to the next full request; more than the stream holds (20,000 entries or 64 MB) come from Postgres
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) readings: u32,
    #[command(flatten)]
    pub(crate) posts: Posts,
    /// The gateway's process, which is stopped and continued; without it the one named ws-gateway
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// The listener's admin address, which says when all is in Redis; without it that is waited for 2 s
    #[arg(long, value_name = "URL")]
    pub(crate) listener_admin: Option<String>,
    /// Measure the bare fan-out afterwards and give the share of it
    #[arg(long)]
    pub(crate) with_limit: bool,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchReplay {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// Readings, to the next full request
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) readings: u32,
    #[command(flatten)]
    pub(crate) posts: Posts,
    /// The gateway's admin address, which says how often Postgres was read
    #[arg(long, value_name = "URL")]
    pub(crate) gateway_admin: Option<String>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchResume {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// Where the clients of the first gateway come back
    #[arg(long, value_name = "URL")]
    pub(crate) other: String,
    /// The other gateway's admin address, which says how often Postgres was read
    #[arg(long, value_name = "URL")]
    pub(crate) other_admin: Option<String>,
    /// WebSocket clients, each of which follows everything
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// Readings just before the gateway is killed, and as many again while it is dead; to the next full request
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) readings: u32,
    #[command(flatten)]
    pub(crate) posts: Posts,
    /// The first gateway's process, which is killed; without it the one named ws-gateway
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchLimit {
    /// The database in which a schema `rowcast_bench_limit` may be made and dropped
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Sockets of the fan-out
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    pub(crate) clients: Vec<u32>,
    #[command(flatten)]
    pub(crate) load: Load,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchWriters {
    /// Rowcast's database, in which a schema `rowcast_bench_limit` may be made and dropped; its readings stay
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: String,
    /// Connections, each with one INSERT at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) clients: u32,
    /// How often both tables are measured, in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) pairs: u32,
    /// How long each measurement takes
    #[arg(long, default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

fn named_pid(text: &str) -> Result<(String, u32), String> {
    let fault = || "write NAME=PID".to_owned();
    let (name, pid) = text.split_once('=').ok_or_else(fault)?;
    Ok((name.to_owned(), pid.parse().map_err(|_| fault())?))
}
