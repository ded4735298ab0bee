//! Whether Redis has memory for the stream, and does not evict it.

use std::time::Duration;

use crate::{
    connect::Options,
    error::{Error, Refusal, Result},
    metrics::Command,
};

/// The `maxmemory` that Redis needs: for the stream at its maximum, that of the epoch before, and what gateways are
/// reading of them (`a_full_stream_takes_less_than_half_of_the_needed_memory`).
pub const NEEDED_BYTES: u64 = 192 << 20;

/// How long the connection may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The server's memory settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// `maxmemory`, in bytes; `None`: as much as the machine has.
    pub max_bytes: Option<u64>,
    /// `maxmemory-policy`: which keys are evicted at that size.
    pub policy: String,
}

/// Why the stream is not safe there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryFault {
    /// The stream does not fit.
    #[error("maxmemory is too small for the stream: needs {} MiB, is {} MiB", NEEDED_BYTES >> 20, .0 >> 20)]
    TooSmall(u64),
    /// It fits, but may be evicted.
    #[error(
        "at its maxmemory Redis may evict the stream (maxmemory-policy is {0}): use noeviction, or a Redis of its own"
    )]
    Evicts(String),
}

impl Memory {
    /// Reads them from the server, on a connection of its own. `None` where its user may not, or the server does not
    /// report them.
    pub async fn of(options: &Options) -> Result<Option<Self>> {
        let mut connection = options.connect(Some(ANSWER_LIMIT)).await?;
        let info = async {
            let info = redis::cmd("INFO").arg("memory").query_async::<String>(&mut connection).await;
            info.map_err(|error| Error::about(&[], error))
        };
        match options.metrics().of(Command::Info, info).await {
            Ok(info) => Ok(Self::parse(&info)),
            Err(Error::Refused { why: Refusal::NoPermission, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(info: &str) -> Option<Self> {
        let field = |name| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let max_bytes: u64 = field("maxmemory")?.trim().parse().ok()?;
        let policy = field("maxmemory_policy")?.trim().to_owned();
        Some(Self { max_bytes: (max_bytes > 0).then_some(max_bytes), policy })
    }

    /// The fault of these settings. The stream has an expiry, so policies for `volatile` keys evict it, too.
    pub fn check(&self) -> std::result::Result<(), MemoryFault> {
        match self.max_bytes {
            Some(bytes) if bytes < NEEDED_BYTES => Err(MemoryFault::TooSmall(bytes)),
            Some(_) if self.policy != "noeviction" => Err(MemoryFault::Evicts(self.policy.clone())),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_memory_and_a_policy_that_evicts_are_faults() {
        let check = |max_bytes, policy: &str| {
            let checked = Memory { max_bytes, policy: policy.to_owned() }.check();
            checked.err().map(|fault| fault.to_string())
        };
        for policy in ["noeviction", "allkeys-lru"] {
            assert_eq!(check(None, policy), None, "nothing is evicted without a limit");
            let fault = check(Some(64 << 20), policy).unwrap_or_default();
            assert!(fault.contains("too small for the stream: needs 192 MiB, is 64 MiB"), "{fault}");
        }
        assert_eq!(check(Some(NEEDED_BYTES), "noeviction"), None);
        for policy in ["allkeys-lru", "allkeys-random", "volatile-ttl", "volatile-lru"] {
            assert!(check(Some(1 << 30), policy).unwrap_or_default().contains(policy));
        }
    }

    #[test]
    fn settings_are_matched_by_whole_names() {
        let info = "# Memory\r\nused_memory:5\r\nmaxmemory_human:1K\r\nmaxmemory:1024\r\nmaxmemory_policy:volatile-lru\r\n";
        let expected = Memory { max_bytes: Some(1024), policy: "volatile-lru".to_owned() };
        assert_eq!(Memory::parse(info), Some(expected));
        assert_eq!(Memory::parse("# Memory\r\nused_memory:5\r\n"), None);
    }
}
