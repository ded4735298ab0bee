//! The command line.

mod bench;
mod format;
mod keys;
mod services;
mod token;

use std::{net::SocketAddr, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use wire::{Filter, Mode, Start, Subscribe};

pub(crate) use self::bench::{
    Bench, BenchBurst, BenchFairness, BenchHandshakes, BenchIdle, BenchKind, BenchLimit, BenchReplay,
    BenchResume, BenchRun, BenchWriters, ClientForm, Load, MeasuredGateway, Posts,
};
pub(crate) use self::{
    format::Format,
    keys::{Common, Create, Keys, KeysVerb, Revoke, Tokens, TokensVerb, Which},
    services::{Gateway, Ingest, Trust},
    token::Token,
};
use crate::units;

/// Send readings to Rowcast, follow them, simulate devices, measure, manage device keys
#[derive(Debug, Parser)]
#[command(name = "rowcast", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Store a reading, or one per line of stdin
    Send(Send),
    /// Follow readings as they are stored
    Tail(Tail),
    /// Simulate devices
    Simulate(Simulate),
    /// Send a test reading to a subscriber and report which step fails
    Doctor(Doctor),
    /// Show who leads, how fresh everything is, and what is wrong
    Status(Status),
    /// Send readings through the public doors, follow them, and export what became of them
    Canary(Canary),
    /// Manage device keys, in Postgres
    Keys(Keys),
    /// Make a trial token, for an issuer with a secret
    Token(Token),
    /// Refuse tokens before they expire, in Postgres
    Tokens(Tokens),
    /// Measure throughput, latency and losses
    Bench(Bench),
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// The sensor, or `-` for NDJSON from stdin: {"sensor_id":…,"value":…} a line
    pub(crate) sensor: String,
    /// The value
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: Option<f64>,
    /// Metadata, a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// The device's time (RFC 3339)
    #[arg(long, value_name = "T")]
    pub(crate) timestamp: Option<String>,
    /// How long to retry while ingest is unavailable or overloaded. An attempt whose answer is lost may have stored
    /// its readings, which the retry stores again
    #[arg(long, default_value = "1m", value_parser = units::duration, value_name = "TIME")]
    pub(crate) retry_for: Duration,
}

impl Send {
    /// What to send; a sensor without a value is a usage error.
    pub(crate) fn payload(&self) -> Result<Payload<'_>, clap::Error> {
        match (self.sensor.as_str(), self.value) {
            ("-", None) => Ok(Payload::Lines),
            (sensor, Some(value)) => Ok(Payload::One { sensor, value }),
            (_, None) => {
                Err(Cli::command().error(ErrorKind::MissingRequiredArgument, "a sensor needs its VALUE"))
            }
        }
    }
}

/// What `send` sends.
#[derive(Debug, PartialEq)]
pub(crate) enum Payload<'a> {
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
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// A sensor, or a `prefix*`; may be repeated [default: all]
    #[arg(long = "sensor", value_parser = pattern, value_name = "SENSOR")]
    pub(crate) sensors: Vec<String>,
    /// `now`, `latest`, or a position that `-o json` printed
    #[arg(long, default_value = "now", value_parser = start)]
    pub(crate) from: Start,
    /// Start this long ago: 15m, 2h
    #[arg(long, conflicts_with = "from", value_parser = since, value_name = "TIME")]
    pub(crate) since: Option<Start>,
    /// Start with the newest reading of each sensor: the same as --from latest
    #[arg(long, conflicts_with_all = ["from", "since"])]
    pub(crate) latest: bool,
    /// `all`, or `latest`: only the newest waiting reading of each sensor
    #[arg(long, default_value = "all", value_parser = mode)]
    pub(crate) mode: Mode,
    /// In mode latest, the maximum rate per sensor: 2/s, 30/m
    #[arg(long, value_parser = max_rate, value_name = "RATE")]
    pub(crate) max_rate: Option<f64>,
    /// `json` prints {"pos":…,"data":{…}} per line, in mode latest {"merged":…,"data":{…}}
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

impl Tail {
    /// The subscription; a rate without mode latest is a usage error.
    pub(crate) fn subscribe(&self) -> Result<Subscribe, clap::Error> {
        if self.max_rate.is_some() && self.mode != Mode::Latest {
            let text = "--max-rate requires --mode latest";
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
        }
        let from = if self.latest { Start::Latest } else { self.since.unwrap_or(self.from) };
        let sensors = (!self.sensors.is_empty()).then(|| self.sensors.clone());
        Ok(Subscribe { sensors, from, mode: self.mode, max_rate: self.max_rate, trace: false })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Number of sensors
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) sensors: u32,
    /// How often each sensor reports
    #[arg(long, default_value = "2/s", value_parser = units::rate)]
    pub(crate) rate: f64,
    /// When to stop [default: on Ctrl-C]
    #[arg(long, value_parser = units::duration, value_name = "TIME")]
    pub(crate) duration: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) gateway: Gateway,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Admin URL of a service whose `/readyz` is shown too; may be repeated
    #[arg(long = "admin", env = "ROWCAST_ADMIN_URLS", value_delimiter = ',', value_name = "URL")]
    pub(crate) admins: Vec<String>,
    /// Time limit of the whole check
    #[arg(long, default_value = "30s", value_parser = units::duration, value_name = "TIME")]
    pub(crate) within: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// Admin URL of a service; may be repeated
    #[arg(
        long = "admin",
        env = "ROWCAST_ADMIN_URLS",
        value_delimiter = ',',
        required = true,
        value_name = "URL"
    )]
    pub(crate) admins: Vec<String>,
    /// Show it anew each second, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// `json` prints one object per picture
    #[arg(short, long, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Canary {
    #[command(flatten)]
    pub(crate) ingest: Ingest,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// URL of a gateway's Service, or of the public door before it; may be repeated
    #[arg(
        long = "gateway",
        env = "ROWCAST_GATEWAY_URLS",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub(crate) gateways: Vec<String>,
    /// Its sensor, so that a filter can leave it out
    #[arg(long, env = "ROWCAST_CANARY_SENSOR", default_value = "rowcast-canary", value_name = "SENSOR")]
    pub(crate) sensor: String,
    /// Between two readings
    #[arg(long, env = "ROWCAST_CANARY_EVERY", default_value = "5s", value_parser = pause, value_name = "TIME")]
    pub(crate) every: Duration,
    /// A stored reading that has not arrived within this time counts as lost
    #[arg(long, default_value = "30s", value_parser = pause, value_name = "TIME")]
    pub(crate) lost_after: Duration,
    /// Where it serves /metrics and /livez
    #[arg(long, env = "ROWCAST_ADMIN__ADDR", default_value = "0.0.0.0:9090", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
}

fn pause(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        Duration::ZERO => Err("must be above zero".to_owned()),
        pause => Ok(pause),
    }
}

fn pattern(text: &str) -> Result<String, String> {
    Filter::parse(Some(&[text])).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn since(text: &str) -> Result<Start, String> {
    Start::last(text).map_err(|_| "write a time such as 90s, 15m or 2h".to_owned())
}

fn mode(text: &str) -> Result<Mode, String> {
    text.parse().map_err(|_| "write all or latest".to_owned())
}

fn max_rate(text: &str) -> Result<f64, String> {
    Subscribe::rate(units::rate(text)?).map_err(|refusal| refusal.message)
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "now" => Ok(Start::Now),
        "latest" => Ok(Start::Latest),
        token => token.parse().map(Start::After).map_err(|_| "write now, latest, or a position".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_addresses_a_command_finds_the_services_of_the_first_steps() {
        let (readme, notes) =
            (include_str!("../../../README.md"), include_str!("../../../charts/rowcast/templates/NOTES.txt"));
        let default = |command: &str, name: &str| {
            let command = Cli::command().find_subcommand(command).unwrap().clone();
            let arg = command.get_arguments().find(|arg| arg.get_id() == name).unwrap();
            arg.get_default_values()[0].to_str().unwrap().to_owned()
        };
        let (ingest, gateway) = (default("send", "url"), default("tail", "gateway"));
        assert!(readme.contains(&format!("curl -X POST {ingest}/api/sensors/")), "{ingest}");
        assert!(readme.contains(&format!("tail --gateway {gateway} ")), "{gateway}");
        for (service, url) in [("ingest", &ingest), ("gateway", &gateway)] {
            let port = url.rsplit_once(':').unwrap().1;
            let forward = notes.lines().find(|line| line.contains("port-forward") && line.contains(service));
            assert!(forward.is_some_and(|line| line.contains(&format!(" {port}:"))), "{service} {port}");
        }
    }

    #[track_caller]
    fn check(words: &str, valid: bool) {
        assert_eq!(Cli::try_parse_from(words.split(' ')).is_ok(), valid, "{words}");
    }

    #[test]
    fn invalid_arguments_are_refused() {
        check("rowcast send s-1 -3.5", true);
        check("rowcast send - --ingest http://x", true);
        check("rowcast send", false);
        check("rowcast send s-1 x", false);
        check("rowcast tail --sensor a --sensor b* --from 1.2.3 -o json", true);
        check("rowcast tail --sensor a*b", false);
        check("rowcast tail --from yesterday", false);
        check("rowcast tail --gateway wss://x --ca ca.pem", true);
        check("rowcast tail --since 15m --mode latest --max-rate 30/m", true);
        check("rowcast tail --since yesterday", false);
        check("rowcast tail --since 15m --from latest", false);
        check("rowcast tail --latest --since 15m", false);
        check("rowcast tail --mode some", false);
        check("rowcast tail --max-rate 5000", false);
        check("rowcast doctor --ingest https://x --gateway https://x --ca ca.pem --within 5s", true);
        check("rowcast doctor --within soon", false);
        check("rowcast doctor --admin http://a:9090 --admin http://b:9090,http://c:9090", true);
        check(
            "rowcast token --issuers-file i.toml --subject anna --read acme/* --write a --for 12h -o json",
            true,
        );
        check("rowcast token --issuers-file i.toml --read *", false);
        check("rowcast token --issuers-file i.toml --subject anna --for 0s", false);
        check("rowcast bench --max --duration 5s", true);
        check("rowcast bench --max --rate 7", false);
        check("rowcast bench idle --clients 10", true);
        check("rowcast bench limit --clients 10,20 -o json", true);
        check("rowcast bench writers --database-url postgres://x --pairs 5", true);
        check("rowcast bench writers", false);
        check("rowcast bench --slow 20 --clients 10", true);
        check("rowcast bench handshakes --at-once 8 --clients 100", true);
        check("rowcast bench burst --clients 10 --with-limit --listener-admin http://x:1", true);
        check("rowcast bench replay --readings 1000 --together 10", true);
        check("rowcast bench resume --clients 10 --other http://x:1 --pid 7", true);
        check("rowcast bench resume", false);
    }

    #[track_caller]
    fn check_tail(words: &str, expected: Option<&str>) {
        let Verb::Tail(tail) = Cli::parse_from(words.split(' ')).verb else { panic!("{words}") };
        let subscribe = tail.subscribe().ok().map(|subscribe| serde_json::to_string(&subscribe).unwrap());
        assert_eq!(subscribe.as_deref(), expected, "{words}");
    }

    #[test]
    fn tail_subscribes_as_its_arguments_say() {
        check_tail("rowcast tail", Some(r#"{"from":"now"}"#));
        check_tail("rowcast tail --sensor a --latest", Some(r#"{"sensors":["a"],"from":"latest"}"#));
        check_tail("rowcast tail --from 1.2.3", Some(r#"{"from":"1.2.3"}"#));
        check_tail("rowcast tail --since 90m", Some(r#"{"from":{"last":"1h 30m"}}"#));
        check_tail(
            "rowcast tail --mode latest --max-rate 30/m",
            Some(r#"{"from":"now","mode":"latest","max_rate":0.5}"#),
        );
        check_tail("rowcast tail --max-rate 2/s", None);
    }
}
