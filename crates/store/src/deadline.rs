//! Timeouts of waits for the database.

use std::time::Duration;

use crate::error::{Error, Result};

/// Waits for an answer no longer than `limit`: a host that vanished without closing its connections never sends one.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T> {
    let timed_out = |_| {
        let message = format!("no answer within {limit:?}");
        Error(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message)))
    };
    tokio::time::timeout(limit, work).await.map_err(timed_out)
}
