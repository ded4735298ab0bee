//! Timeouts of waits for the database.

use std::time::Duration;

use crate::error::{Error, Result};

/// Waits for an answer no longer than `limit`: a host that is gone without a word never gives one.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T> {
    let silent = |_| {
        let silent = format!("no answer within {limit:?}");
        Error(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, silent)))
    };
    tokio::time::timeout(limit, work).await.map_err(silent)
}
