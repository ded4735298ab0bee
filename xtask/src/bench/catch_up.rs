//! How fast a restarted listener forwards what was written while it was down.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use testkit::postgres::psql;

use crate::{probe, stack::Stack, terminal::print};

/// The readings of one transaction.
const TOGETHER: u32 = 1_000;

/// A hundred times as long as expected.
const WITHIN: Duration = Duration::from_secs(600);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Options {
    /// Number of readings, rounded up to thousands
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    rows: u32,
    /// Number of measurements
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
}

/// Ends the listener, writes, starts it, and waits until all of it is in the stream.
pub(super) fn measure(stack: &mut Stack, options: Options) -> Result<()> {
    let transactions = options.rows.div_ceil(TOGETHER);
    let rows = f64::from(transactions * TOGETHER);
    for _ in 0..options.times {
        stack.stop_service("notify-listener")?;
        write(&stack.database, transactions)?;
        let began = Instant::now();
        stack.restart_service("notify-listener")?;
        await_forwarded(stack, rows, began)?;
        let seconds = began.elapsed().as_secs_f64();
        print(&format!(
            "{rows} readings were in the stream {seconds:.2} s after the listener's start: {:.0}/s",
            rows / seconds
        ));
    }
    Ok(())
}

fn write(database: &str, transactions: u32) -> Result<()> {
    let sql = format!(
        r#"do $$ begin
               for nth in 1..{transactions} loop
                   insert into public.sensor_readings (sensor_id, value, metadata)
                       select 'bench-' || n % 100, n / 100.0, '{{"unit": "C"}}' from generate_series(1, {TOGETHER}) n;
                   commit;
               end loop;
           end $$"#
    );
    psql(database, &sql).map(drop)
}

/// The listener counts from zero when it starts.
fn await_forwarded(stack: &mut Stack, rows: f64, began: Instant) -> Result<()> {
    let listener = stack.ports.admin_port + 2;
    let metric = |name: &str| probe::metric(listener, &format!("rowcast_listener_{name}"));
    // what is read counts at once, and stays in the backlog until it is in the stream
    let all_forwarded =
        || Ok::<_, anyhow::Error>(metric("readings_total")? >= rows && metric("backlog_ticks")? == 0.0);
    while !all_forwarded().unwrap_or(false) {
        if stack.report_ended() > 0 {
            bail!("a service has ended");
        }
        if began.elapsed() > WITHIN {
            bail!("{rows} readings are not in the stream after {WITHIN:?}");
        }
        sleep(POLL_INTERVAL);
    }
    Ok(())
}
