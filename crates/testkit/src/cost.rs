//! What a process costs: processor time and memory, as the kernel counts them.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// Clock ticks a second of `/proc`, on every Linux (`sysconf(_SC_CLK_TCK)`).
const TICKS_PER_S: f64 = 100.0;

/// Processor time that a process has used.
pub fn cpu(pid: i32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has ended")?;
    // user and system time are the 14th and 15th field; the 2nd may hold spaces
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("no times in /proc")?;
    Ok(Duration::from_secs_f64((user + system) / TICKS_PER_S))
}

/// The share of one core that a process uses within this time.
pub async fn cores(pid: i32, within: Duration) -> Result<f64> {
    let (before, began) = (cpu(pid)?, Instant::now());
    tokio::time::sleep(within).await;
    Ok((cpu(pid)? - before).as_secs_f64() / began.elapsed().as_secs_f64())
}

/// Limits the private memory of a process.
pub fn limit(pid: i32, bytes: u64) -> Result<()> {
    let set = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--data={bytes}")]).status();
    ensure!(set.context("cannot run prlimit")?.success(), "prlimit failed");
    Ok(())
}

/// Bytes of memory that a process has resident.
pub fn resident(pid: i32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most bytes that it ever had.
pub fn peak(pid: i32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: i32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line in /proc")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("not a size")?;
    Ok(kib << 10)
}
