//! WAL files made ahead, as a server has them that has run for a while.
//!
//! A new one makes each file of 16 MB when it first comes to it, and its commits stand still meanwhile. What is measured
//! first would pay for that, and what is measured after it, such as the limits, would find the files made.

use anyhow::{Context, Result};
use testkit::postgres::psql;

/// 1 GB of them, as many as Postgres fills by default before it uses them again.
const FILES: u32 = 64;

/// Makes them in a server that is the stack's own.
pub(super) fn make_ahead(database: &str) -> Result<()> {
    let fill = format!(
        "do $$ begin
             for nth in 1..{FILES} loop
                 perform pg_logical_emit_message(false, 'rowcast', ''), pg_switch_wal();
             end loop;
         end $$"
    );
    // the checkpoint gives the files that were filled the names of those to come
    for sql in ["alter system set min_wal_size = '1GB'", "select pg_reload_conf()", &fill, "checkpoint"] {
        psql(database, sql).context("making WAL files ahead")?;
    }
    Ok(())
}
