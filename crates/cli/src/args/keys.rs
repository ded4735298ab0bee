//! The command lines of `keys` and `tokens`.

use std::{path::PathBuf, time::Duration};

use auth::{BadRate, KeyId, Limits, Rate, Scope, UnixMicros};
use clap::{Args, Subcommand};

use super::format::Format;
use crate::{instant, units};

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) verb: KeysVerb,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Tokens {
    #[command(subcommand)]
    pub(crate) verb: TokensVerb,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Postgres, as a user who has the role `rowcast_keys`. Better in the environment, which has it as the services do: in
    /// ROWCAST_DATABASE__URL, or ROWCAST_DATABASE__HOST and its neighbours
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// `json` prints an object per line
    #[arg(short, long, global = true, default_value = "text")]
    pub(crate) output: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Make a key; it is printed this once
    Create(Create),
    /// List the keys
    List,
    /// Give a key a second secret; the older of two ends
    Rotate(Named),
    /// End the older of a key's two secrets
    Retire(Named),
    /// End a key for good
    Revoke(Named),
    /// Store keys from a file of their hashes, as `export` prints them; the same file twice changes nothing
    Import(Import),
    /// Print the keys with their hashes, for `import` elsewhere
    Export,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What people call it
    #[arg(long)]
    pub(crate) name: String,
    /// A sensor, or a `prefix*`, that it may write; may be repeated
    #[arg(long = "write", value_name = "SENSOR")]
    pub(crate) write: Vec<String>,
    /// A sensor, or a `prefix*`, that it may read; may be repeated
    #[arg(long = "read", value_name = "SENSOR")]
    pub(crate) read: Vec<String>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// When it ends (RFC 3339)
    #[arg(long, value_parser = instant::parse, value_name = "T")]
    pub(crate) expires: Option<UnixMicros>,
    /// When it ends, from now on: 12h, 90d
    #[arg(long, conflicts_with = "expires", value_parser = span, value_name = "TIME")]
    pub(crate) expires_in: Option<Duration>,
    /// Store nothing: print the key, and the line for `import`
    #[arg(long)]
    pub(crate) hash_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Readings that it may store: 10/s, 30/m
    #[arg(long, value_parser = units::rate, value_name = "RATE")]
    pub(crate) readings: Option<f64>,
    /// Readings at once, such as in one array [default: what the rate gives in a second, at least 1]
    #[arg(long, requires = "readings", value_name = "N")]
    pub(crate) readings_burst: Option<u32>,
    /// Requests that it may make: 2/s, 30/m
    #[arg(long, value_parser = units::rate, value_name = "RATE")]
    pub(crate) requests: Option<f64>,
    /// Requests at once [default: what the rate gives in a second, at least 1]
    #[arg(long, requires = "requests", value_name = "N")]
    pub(crate) requests_burst: Option<u32>,
    /// Connections at once
    #[arg(long, value_parser = count(), value_name = "N")]
    pub(crate) connections: Option<u32>,
    /// Subscriptions at once
    #[arg(long, value_parser = count(), value_name = "N")]
    pub(crate) subscriptions: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The key's id: what stands between `rck_` and the next `_`
    pub(crate) id: KeyId,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file, or `-` for stdin: a line of JSON for each key
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokensVerb {
    /// Refuse a token, or all of a subject, before they expire
    Revoke(Revoke),
    /// Take a revocation back
    Restore(Which),
    /// List the revocations in force
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Until when (RFC 3339): when the tokens have expired anyway
    #[arg(long, value_parser = instant::parse, required_unless_present = "for", value_name = "T")]
    pub(crate) until: Option<UnixMicros>,
    /// For how long from now on: 12h, 90d
    #[arg(long = "for", id = "for", conflicts_with = "until", value_parser = span, value_name = "TIME")]
    pub(crate) span: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The tokens' issuer (`iss`)
    #[arg(long, value_parser = claim)]
    pub(crate) issuer: String,
    /// The one with this id (`jti`)
    #[arg(long, value_parser = claim, required_unless_present = "subject")]
    pub(crate) jti: Option<String>,
    /// All with this subject (`sub`)
    #[arg(long, value_parser = claim, conflicts_with = "jti")]
    pub(crate) subject: Option<String>,
}

impl LimitArgs {
    pub(crate) fn limits(&self) -> Result<Limits, BadRate> {
        let rate = |per_second: Option<f64>, burst: Option<u32>| {
            // a rate has at most a million a second
            let of = |per_second: f64| Rate::new(per_second, burst.unwrap_or(per_second.ceil() as u32));
            per_second.map(of).transpose()
        };
        Ok(Limits {
            readings: rate(self.readings, self.readings_burst)?,
            requests: rate(self.requests, self.requests_burst)?,
            connections: self.connections,
            subscriptions: self.subscriptions,
        })
    }
}

impl Create {
    pub(crate) fn scopes(&self) -> Result<(Scope, Scope), auth::BadScope> {
        Ok((Scope::parse(&self.write)?, Scope::parse(&self.read)?))
    }
}

/// What Postgres counts with.
fn count() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(i32::MAX))
}

/// `12h`, `90d`, `1y`; more than nothing.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be above zero".to_owned()),
        Ok(span) => Ok(span),
        Err(_) => Err("write a time such as 30m, 12h or 90d".to_owned()),
    }
}

/// A claim that an index takes.
fn claim(text: &str) -> Result<String, String> {
    match text.len() {
        1..=1_000 => Ok(text.to_owned()),
        _ => Err("must have 1 to 1,000 bytes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Verb};

    #[track_caller]
    fn check(words: &str, valid: bool) {
        let parsed = Cli::try_parse_from(words.split(' '));
        assert_eq!(parsed.is_ok(), valid, "{words}: {:?}", parsed.err().map(|error| error.to_string()));
    }

    #[test]
    fn invalid_arguments_are_refused() {
        check("rowcast keys create --name x --write a/* --write b --read * -o json", true);
        check("rowcast keys create", false);
        check("rowcast keys create --name x --readings 10/s --readings-burst 100 --requests 2/s", true);
        check("rowcast keys create --name x --readings-burst 100", false);
        check("rowcast keys create --name x --connections 0", false);
        check("rowcast keys create --name x --connections 3000000000", false);
        check("rowcast keys create --name x --expires 2027-01-01T00:00:00Z", true);
        check("rowcast keys create --name x --expires tomorrow", false);
        check("rowcast keys create --name x --expires-in 90d", true);
        check("rowcast keys create --name x --expires-in 0s", false);
        check("rowcast keys create --name x --expires-in 1d --expires 2027-01-01T00:00:00Z", false);
        check("rowcast keys rotate 0123456789ab --database-url postgres://x", true);
        check("rowcast keys --database-url postgres://x revoke 0123456789ab", true);
        check("rowcast keys revoke rck_0123456789ab", false);
        check("rowcast keys revoke", false);
        check("rowcast keys import -", true);
        check("rowcast tokens revoke --issuer i --jti 1 --for 1d", true);
        check("rowcast tokens revoke --issuer i --subject s --until 2027-01-01T00:00:00Z", true);
        check("rowcast tokens revoke --issuer i --jti 1 --subject s --for 1d", false);
        check("rowcast tokens revoke --issuer i --jti 1", false);
        check("rowcast tokens revoke --issuer i --for 1d", false);
        check("rowcast tokens restore --issuer i --jti 1", true);
        check("rowcast tokens list", true);
    }

    #[test]
    fn a_burst_is_a_second_s_worth_unless_it_is_given() {
        let limits = |words: &str| {
            let Verb::Keys(keys) = Cli::parse_from(words.split_whitespace()).verb else { panic!("{words}") };
            let KeysVerb::Create(create) = keys.verb else { panic!("{words}") };
            create.limits.limits()
        };
        let with = |words: &str| limits(&format!("rowcast keys create --name x {words}"));
        let burst = |words: &str| with(words).unwrap().readings.unwrap().burst();
        assert_eq!(burst("--readings 30/m"), 1);
        assert_eq!(burst("--readings 2.5/s"), 3);
        assert_eq!(burst("--readings 1/s --readings-burst 500"), 500);
        assert_eq!(with(""), Ok(Limits::default()));
        assert_eq!(with("--requests 1e9/s"), Err(BadRate::PerSecond));
        assert_eq!(with("--requests 1/s --requests-burst 0"), Err(BadRate::Burst));
    }
}
