//! What the connections to Redis count.

use std::{sync::Arc, time::Duration};

use instruments::{By, Call, Histogram, IntCounter, Registry};

use crate::error::Result;

/// A command that is given up after this time, without an answer, counts as an error.
const ANSWER_EXPECTED: Duration = Duration::from_secs(1);

instruments::labels! {
    /// The kinds of commands.
    pub(crate) enum Command {
        /// Opening a connection; with Sentinels, finding the master.
        Connect = "connect",
        /// The script that appends entries.
        Append = "append",
        /// The script that moves the leader's beat.
        Beat = "beat",
        /// Reading the leader's beat.
        ReadBeat = "read_beat",
        /// The leader's name: set, removed or read.
        Leader = "leader",
        /// Entries from the end of a stream.
        Range = "range",
        /// Waiting for entries.
        Follow = "follow",
        /// The server's memory settings.
        Info = "info",
        /// Keeping for whom a ticket was made.
        PutTicket = "put_ticket",
        /// Taking that, once.
        TakeTicket = "take_ticket",
    }
}

instruments::metrics! {
    /// What all connections of a process count together.
    struct Counted("rowcast_redis_") {
        /// From a command to its answer, by kind. That of `follow` includes the wait for an entry.
        duration: By<Command, Histogram> = "command_duration_seconds", by = ["command"],
            buckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 2.5];
        /// Commands that failed, or were given up after a second or more without an answer, by kind.
        errors: By<Command, IntCounter> = "command_errors_total", by = ["command"];
    }
}

/// The metrics of all connections of a process, cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Counted>);

impl Metrics {
    /// Registers them as `rowcast_redis_…`.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(registry: &Registry) -> instruments::Result<Self> {
        Ok(Self(Arc::new(Counted::register(registry)?)))
    }

    /// Of connections that nobody observes.
    pub(crate) fn unseen() -> Self {
        Self::register(&Registry::new()).expect("an empty registry has none of these names")
    }

    /// Waits for the answer to a command, and counts it.
    pub(crate) async fn of<T>(&self, command: Command, answer: impl Future<Output = Result<T>>) -> Result<T> {
        // one that waits for something to happen may be given up at any time
        let limit = if command == Command::Follow { Duration::MAX } else { ANSWER_EXPECTED };
        let call = Call::begin(self.0.duration.of(command), self.0.errors.of(command), limit);
        let answer = answer.await;
        call.end(answer.is_err());
        answer
    }
}
