//! WAL files created in advance, as in a server that has run for a while.
//!
//! A new server creates each file of 16 MB at its first use, which blocks commits. The first measurement would include
//! that, and later ones, such as the limits, would not.

use anyhow::{Context, Result};
use testkit::postgres::psql;

/// 1 GB of them, as many as Postgres fills by default before it reuses them.
const FILES: u32 = 64;

/// Creates them in the stack's own server.
pub(super) fn preallocate(database: &str) -> Result<()> {
    let fill = format!(
        "do $$ begin
             for nth in 1..{FILES} loop
                 perform pg_logical_emit_message(false, 'rowcast', ''), pg_switch_wal();
             end loop;
         end $$"
    );
    // the checkpoint renames the filled files to those to come
    for sql in ["alter system set min_wal_size = '1GB'", "select pg_reload_conf()", &fill, "checkpoint"] {
        psql(database, sql).context("creating WAL files")?;
    }
    Ok(())
}
