//! What can be asked on the command line.

use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, error::ErrorKind};
use wire::{Filter, Start};

use crate::units;

/// Send readings to Rowcast, follow them, simulate devices, measure.
#[derive(Debug, Parser)]
#[command(name = "rowcast", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Store a reading, or a line each from stdin
    Send(Send),
    /// Follow readings as they are stored
    Tail(Tail),
    /// Send the readings of made-up devices
    Simulate(Simulate),
    /// Measure throughput, latency and losses
    Bench(Bench),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Ingest {
    /// Where readings are sent
    #[arg(
        long = "ingest",
        env = "ROWCAST_INGEST_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub(crate) url: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Gateway {
    /// Where readings are followed
    #[arg(
        id = "gateway",
        long,
        env = "ROWCAST_GATEWAY_URL",
        default_value = "http://127.0.0.1:8081",
        value_name = "URL"
    )]
    pub(crate) url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    /// The sensor, or `-` for NDJSON from stdin: {"sensor_id":…,"value":…} a line
    pub(crate) sensor: String,
    /// The value
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: Option<f64>,
    /// A JSON object beside the value
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// The device's time, RFC 3339
    #[arg(long, value_name = "T")]
    pub(crate) timestamp: Option<String>,
    /// How long to try again while ingest is away or overloaded. An attempt whose answer is lost may have stored
    /// its readings: they are then stored twice
    #[arg(long, default_value = "1m", value_parser = units::duration, value_name = "TIME")]
    pub(crate) retry_for: Duration,
}

impl Send {
    /// What is to be sent; a sensor without a value is a mistake on the command line.
    pub(crate) fn said(&self) -> Result<Said<'_>, clap::Error> {
        match (self.sensor.as_str(), self.value) {
            ("-", None) => Ok(Said::Lines),
            (sensor, Some(value)) => Ok(Said::One { sensor, value }),
            (_, None) => {
                Err(Cli::command().error(ErrorKind::MissingRequiredArgument, "a sensor needs its VALUE"))
            }
        }
    }
}

/// What `send` sends.
#[derive(Debug, PartialEq)]
pub(crate) enum Said<'a> {
    /// NDJSON from stdin.
    Lines,
    /// One reading.
    One {
        /// Its sensor.
        sensor: &'a str,
        /// Its value.
        value: f64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    /// An exact sensor or a `prefix*`; several times for several, none for all
    #[arg(long = "sensor", value_parser = pattern, value_name = "SENSOR")]
    pub(crate) sensors: Vec<String>,
    /// `now`, `latest`, or a position that `-o json` printed
    #[arg(long, default_value = "now", value_parser = start)]
    pub(crate) from: Start,
    /// `json` prints a line {"pos":…,"data":{…}} each
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    /// How many sensors
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) sensors: u32,
    /// How often each of them reports
    #[arg(long, default_value = "2/s", value_parser = units::rate)]
    pub(crate) rate: f64,
    /// When to stop; without it on Ctrl-C
    #[arg(long, value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Option<Duration>,
}

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
    /// WebSocket clients, each of which follows everything
    #[arg(long, default_value_t = 100)]
    pub(crate) clients: u32,
    #[command(flatten)]
    pub(crate) load: Load,
    /// Readings a second, planned in advance
    #[arg(long, default_value = "1000", value_parser = units::rate, value_name = "READINGS_PER_S")]
    pub(crate) rate: f64,
    /// As many as ingest takes: each connection sends when its last answer came
    #[arg(long, conflicts_with = "rate")]
    pub(crate) max: bool,
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
    /// Sockets, each subscribed to one sensor
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// How long they are held before the memory is read
    #[arg(long, default_value = "5s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) hold: Duration,
    /// The gateway's process; without it the one named ws-gateway
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

fn pattern(text: &str) -> Result<String, String> {
    Filter::parse(Some(&[text])).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "now" => Ok(Start::Now),
        "latest" => Ok(Start::Latest),
        token => token.parse().map(Start::After).map_err(|_| "now, latest, or a position".to_owned()),
    }
}

fn named_pid(text: &str) -> Result<(String, u32), String> {
    let fault = || "write NAME=PID".to_owned();
    let (name, pid) = text.split_once('=').ok_or_else(fault)?;
    Ok((name.to_owned(), pid.parse().map_err(|_| fault())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check(words: &str, understood: bool) {
        assert_eq!(Cli::try_parse_from(words.split(' ')).is_ok(), understood, "{words}");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        check("rowcast send s-1 -3.5", true);
        check("rowcast send - --ingest http://x", true);
        check("rowcast send", false);
        check("rowcast send s-1 x", false);
        check("rowcast tail --sensor a --sensor b* --from 1.2.3 -o json", true);
        check("rowcast tail --sensor a*b", false);
        check("rowcast tail --from yesterday", false);
        check("rowcast bench --max --duration 5s", true);
        check("rowcast bench --max --rate 7", false);
        check("rowcast bench idle --clients 10", true);
        check("rowcast bench limit --clients 10,20 -o json", true);
        check("rowcast bench writers --database-url postgres://x --pairs 5", true);
        check("rowcast bench writers", false);
    }
}
