//! The clock of the server.

use crate::{deadline::within, error::Result, metrics::Statement, pool::Database};

impl Database {
    /// The server's time, in microseconds since 1970.
    pub async fn now_micros(&self) -> Result<i64> {
        let query = sqlx::query_scalar("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
        let mut pooled = self.acquire().await?;
        let read = within(pooled.limit(), pooled.session().scalar(Statement::Check, query)).await?;
        pooled.finish(read).await
    }
}
