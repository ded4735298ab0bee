//! The command line of `bench`.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

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
    /// The limits of this machine: the same load without Rowcast
    Limit(BenchLimit),
    /// The cost of Rowcast for SQL writers: pgbench on the readings and on a plain table
    Writers(BenchWriters),
    /// Sockets that the gateway opens per second
    Handshakes(BenchHandshakes),
    /// What a client with single readings notices of others that flood
    Fairness(BenchFairness),
    /// How fast the gateway delivers a backlog from Redis
    Burst(BenchBurst),
    /// How fast the gateway replays history to one client
    Replay(BenchReplay),
    /// How soon clients of a killed gateway have caught up at another
    Resume(BenchResume),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct MeasuredGateway {
    #[command(flatten)]
    pub(crate) at: Gateway,
    /// A file of issuers, as the gateway has it (auth.issuers_file): each client presents a token of its own that the issuer with
    /// a secret would give
    #[arg(long, env = "ROWCAST_BENCH_ISSUERS_FILE", value_name = "FILE")]
    pub(crate) issuers_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Load {
    /// HTTP connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// Readings in a request; 1 sends an object, more an array
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) readings: u32,
    /// Number of sensors
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sensors: u32,
    /// Length of the measurement
    #[arg(long, default_value = "10s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// Length of the load before the measurement
    #[arg(long, default_value = "2s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) warmup: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct BenchRun {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) gateway: MeasuredGateway,
    /// WebSocket clients
    #[arg(long, default_value_t = 100)]
    pub(crate) clients: u32,
    /// Number of sensors that each client follows, different ones for each client; 0: all
    #[arg(long, default_value_t = 0, value_name = "SENSORS")]
    pub(crate) follow: u32,
    #[command(flatten)]
    pub(crate) load: Load,
    /// Readings per second, planned in advance
    #[arg(long, default_value = "1000", value_parser = units::rate, value_name = "READINGS_PER_S")]
    pub(crate) rate: f64,
    /// As fast as possible: each connection sends after its last answer
    #[arg(long, conflicts_with = "rate")]
    pub(crate) max: bool,
    /// Additional clients that follow everything and read about 1 kB/s; not in the ledger
    #[arg(long, default_value_t = 0)]
    pub(crate) slow: u32,
    /// Processes to measure in addition to those found by name
    #[arg(long = "pid", value_parser = named_pid, value_name = "NAME=PID")]
    pub(crate) pids: Vec<(String, u32)>,
    /// Measure only the processes of --pid
    #[arg(long)]
    pub(crate) no_processes: bool,
    /// Run `bench limit` afterwards and print shares of it
    #[arg(long)]
    pub(crate) with_limit: bool,
    /// Device keys that are stored before; each request presents the next one
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub(crate) keys: u32,
    /// For --keys, and for --with-limit, which creates and drops a schema `rowcast_bench_limit` there
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchIdle {
    #[command(flatten)]
    pub(crate) gateway: MeasuredGateway,
    /// Clients, each subscribed to one sensor
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// Kind of client
    #[arg(long, value_enum, default_value_t = ClientForm::V1)]
    pub(crate) form: ClientForm,
    /// How long they are connected before memory is measured
    #[arg(long, default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) hold: Duration,
    /// How long to wait for memory to be released after they have left
    #[arg(long, default_value = "60s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) release: Duration,
    /// PID of the gateway [default: the process named ws-gateway]
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
    /// A WebSocket that is subscribed by its URL and sends nothing
    Silent,
    /// A WebSocket of the demo protocol, to all sensors
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
    /// Number of sensors
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sensors: u32,
}

#[derive(Debug, Args)]
pub(crate) struct BenchHandshakes {
    #[command(flatten)]
    pub(crate) gateway: MeasuredGateway,
    /// Stop after this number of sockets
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) clients: Option<u64>,
    /// Sockets opened at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) at_once: u32,
    /// How long to open sockets
    #[arg(long, default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// PID of the gateway, to measure its CPU [default: the process named ws-gateway]
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchFairness {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    /// Connections that send arrays of 1,000 readings and nearly 1 MiB
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) floods: u32,
    /// The address of this machine that single readings are sent from, so that ingest tells the two clients apart:
    /// 127.0.0.2, if ingest is at 127.0.0.1
    #[arg(long, value_name = "IP")]
    pub(crate) from: Option<IpAddr>,
    /// Length of each of the two measurements
    #[arg(long, default_value = "10s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Duration,
    /// Length of the load before each of them
    #[arg(long, default_value = "2s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) warmup: Duration,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchBurst {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) gateway: MeasuredGateway,
    /// WebSocket clients, each following everything
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// Readings, rounded up to full requests; what exceeds the stream (20,000 entries or 64 MB) comes from Postgres
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) readings: u32,
    #[command(flatten)]
    pub(crate) posts: Posts,
    /// PID of the gateway, which is paused and resumed [default: the process named ws-gateway]
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Admin URL of the listener, to see when all is in Redis [default: wait 2 s]
    #[arg(long, value_name = "URL")]
    pub(crate) listener_admin: Option<String>,
    /// Measure the bare fan-out afterwards and print the share of it
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
    pub(crate) gateway: MeasuredGateway,
    /// Readings, rounded up to full requests
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) readings: u32,
    #[command(flatten)]
    pub(crate) posts: Posts,
    /// Admin URL of the gateway, to count reads of Postgres
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
    pub(crate) gateway: MeasuredGateway,
    /// URL of the gateway where clients reconnect
    #[arg(long, value_name = "URL")]
    pub(crate) other: String,
    /// Admin URL of the other gateway, to count reads of Postgres
    #[arg(long, value_name = "URL")]
    pub(crate) other_admin: Option<String>,
    /// WebSocket clients, each following everything
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// Readings before the gateway is killed, and again while it is down; rounded up to full requests
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) readings: u32,
    #[command(flatten)]
    pub(crate) posts: Posts,
    /// PID of the first gateway, which is killed [default: the process named ws-gateway]
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchLimit {
    /// The database in which a schema `rowcast_bench_limit` is created and dropped
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Numbers of sockets of the fan-out
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    pub(crate) clients: Vec<u32>,
    #[command(flatten)]
    pub(crate) load: Load,
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct BenchWriters {
    /// Rowcast's database, in which a schema `rowcast_bench_limit` is created and dropped; its readings are kept
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: String,
    /// Connections, each with one INSERT at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) clients: u32,
    /// How often both tables are measured, alternating
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) pairs: u32,
    /// Length of each measurement
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
