//! The section `lease` of a service.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Whether there is an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The only replica leads.
    #[default]
    Off,
    /// Replicas share a Lease object.
    Kubernetes,
}

/// The section.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether there is an election.
    pub mode: Mode,
    /// The Lease's name.
    pub name: String,
    /// The Lease's namespace; by default the pod's own.
    pub namespace: Option<String>,
    /// This pod's name; by default the host's.
    pub pod: Option<String>,
    /// This pod's uid, for its events.
    pub pod_uid: Option<String>,
    /// A Lease that is unchanged for this long may be taken.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub duration: Duration,
    /// A leader that could not renew for this long stops.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub renew_deadline: Duration,
    /// The interval between checks, and between renewals.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub retry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let Timing { duration, renew_deadline, retry } = Timing::default();
        Self {
            mode: Mode::Off,
            name: "rowcast-listener".to_owned(),
            namespace: None,
            pod: None,
            pod_uid: None,
            duration,
            renew_deadline,
            retry,
        }
    }
}

impl Config {
    /// The faults: each key with a sentence.
    pub fn faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        if self.name.is_empty() {
            faults.push(("name", "must not be empty"));
        }
        if self.duration.as_secs() < 1 || self.duration.subsec_nanos() != 0 {
            faults.push(("duration", "must be a whole number of seconds, at least 1s"));
        }
        if self.renew_deadline >= self.duration {
            faults.push(("renew_deadline", "must be shorter than duration, or two could lead at once"));
        }
        if self.retry.is_zero() || self.retry * 2 > self.renew_deadline {
            faults.push(("retry", "must be more than 0s, and at most half of renew_deadline"));
        }
        faults
    }

    /// The times alone.
    pub fn timing(&self) -> Timing {
        Timing { duration: self.duration, renew_deadline: self.renew_deadline, retry: self.retry }
    }
}

/// The election's times.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// A Lease that is unchanged for this long may be taken.
    pub duration: Duration,
    /// A leader that could not renew for this long stops. Two leaders do not overlap as long as no clock runs `duration /
    /// renew_deadline` times as fast as another, the Lease is not claimed or deleted, and the API is reachable.
    pub renew_deadline: Duration,
    /// The interval between checks, and between renewals.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(5),
            renew_deadline: Duration::from_secs(3),
            retry: Duration::from_secs(1),
        }
    }
}

impl Timing {
    /// How long a request may take: a renewal that hangs leaves time for another one before the deadline.
    pub(crate) fn request(&self) -> Duration {
        (self.renew_deadline - self.retry) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(config: Config, faulty: &[&str]) {
        let keys: Vec<_> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, faulty);
    }

    #[test]
    fn times_that_let_two_lead_are_refused() {
        let seconds = Duration::from_secs;
        check(Config::default(), &[]);
        check(Config { renew_deadline: seconds(5), ..Config::default() }, &["renew_deadline"]);
        check(Config { retry: seconds(2), ..Config::default() }, &["retry"]);
        check(Config { duration: Duration::from_millis(5_500), ..Config::default() }, &["duration"]);
        check(Config { name: String::new(), retry: Duration::ZERO, ..Config::default() }, &["name", "retry"]);
    }
}
