//! What is kept of a ticket: put by one gateway, taken once by any.

use std::time::Duration;

use redis::aio::MultiplexedConnection;

use crate::{
    connect::Options,
    error::{Error, Result},
    metrics::Command,
};

/// How long Redis may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A connection for tickets, cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Tickets {
    options: Options,
    connection: MultiplexedConnection,
}

impl Tickets {
    /// Connects.
    ///
    /// # Errors
    /// When Redis cannot be reached.
    pub async fn connect(options: &Options) -> Result<Self> {
        let connection = options.connect(Some(ANSWER_LIMIT)).await?;
        Ok(Self { options: options.clone(), connection })
    }

    /// Keeps `holder` under `name` for so long.
    ///
    /// # Errors
    /// When Redis does not confirm it.
    pub async fn put(&mut self, name: &str, holder: &str, keep: Duration) -> Result<()> {
        // errors name no single key: the same fault has the same text
        let (key, all) = (self.options.ticket_key(name), self.options.ticket_key("*"));
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(holder).arg("PX").arg(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
        let put = async {
            set.query_async(&mut self.connection).await.map_err(|error| Error::about(&[&all], error))
        };
        self.options.metrics().of(Command::PutTicket, put).await
    }

    /// Takes what is kept under `name`: whoever comes later, at any gateway, finds nothing.
    ///
    /// # Errors
    /// When Redis does not answer. It may have been taken then.
    pub async fn take(&mut self, name: &str) -> Result<Option<String>> {
        // errors name no single key: the same fault has the same text
        let (key, all) = (self.options.ticket_key(name), self.options.ticket_key("*"));
        let mut take = redis::cmd("GETDEL");
        take.arg(&key);
        let taken = async {
            take.query_async(&mut self.connection).await.map_err(|error| Error::about(&[&all], error))
        };
        self.options.metrics().of(Command::TakeTicket, taken).await
    }
}
