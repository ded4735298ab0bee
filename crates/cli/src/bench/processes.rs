//! CPU and memory of processes on this machine, from /proc.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

/// Measured by default. A process may have several instances; they are added up.
const KNOWN: [&str; 5] = ["ingest", "ws-gateway", "notify-listener", "redis-server", "postgres"];

/// The kernel's USER_HZ, 100 on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// SIGKILL cannot be ignored, but a machine can be busy.
const DEAD_WITHIN: Duration = Duration::from_secs(5);

/// Pids by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    pids: BTreeMap<String, Vec<u32>>,
}

/// What a name's processes have used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// CPU time since they began, user and system.
    pub(super) cpu_seconds: f64,
    /// Resident memory, without the pages that Postgres' processes share.
    pub(super) rss_bytes: u64,
}

/// One name's row of the report.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) processes: usize,
    pub(super) cpu_s: f64,
    /// CPU seconds a second.
    pub(super) cores: f64,
    pub(super) rss_bytes: u64,
    /// Absent when nothing was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_us_per_delivery: Option<f64>,
}

impl Watched {
    /// The driver itself, those that were named with their children, and those known by name.
    pub(super) fn find(named: &[(String, u32)], known: bool) -> Self {
        let all = all();
        let mut pids: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        pids.insert("driver".to_owned(), vec![std::process::id()]);
        for (name, pid) in named {
            let children = all.iter().filter(|process| process.parent == *pid).map(|process| process.pid);
            pids.entry(name.clone()).or_default().extend(std::iter::once(*pid).chain(children));
        }
        for process in all.iter().filter(|process| known && KNOWN.contains(&process.name.as_str())) {
            if named.iter().all(|(name, _)| *name != process.name) {
                pids.entry(process.name.clone()).or_default().push(process.pid);
            }
        }
        Self { pids }
    }

    /// What they have used up to now.
    pub(super) fn usage(&self) -> BTreeMap<String, Usage> {
        self.pids.iter().map(|(name, pids)| (name.clone(), sum(pids))).collect()
    }

    /// What they used between two samples.
    pub(super) fn rows(
        &self,
        before: &BTreeMap<String, Usage>,
        after: &BTreeMap<String, Usage>,
        seconds: f64,
        deliveries: u64,
    ) -> Vec<Row> {
        let round = super::round::round;
        let row = |(name, pids): (&String, &Vec<u32>)| {
            let (before, after) = (before.get(name)?, after.get(name)?);
            let cpu = (after.cpu_seconds - before.cpu_seconds).max(0.0);
            Some(Row {
                name: name.clone(),
                processes: pids.len(),
                cpu_s: round(cpu),
                cores: round(cpu / seconds),
                rss_bytes: after.rss_bytes,
                cpu_us_per_delivery: (deliveries > 0).then(|| round(cpu * 1e6 / deliveries as f64)),
            })
        };
        self.pids.iter().filter_map(row).collect()
    }
}

struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let (name, fields) = stat(pid)?;
            Some(Process { pid, parent: fields.get(1)?.parse().ok()?, name })
        })
        .collect()
}

/// The name, and the fields of /proc/PID/stat after it: state, parent, ...
fn stat(pid: u32) -> Option<(String, Vec<String>)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name may hold spaces and parentheses itself
    let (name, fields) = (stat.find('(')?, stat.rfind(')')?);
    let name = stat.get(name + 1..fields)?.to_owned();
    Some((name, stat[fields + 1..].split_whitespace().map(str::to_owned).collect()))
}

fn sum(pids: &[u32]) -> Usage {
    pids.iter().filter_map(|pid| usage(*pid)).fold(Usage::default(), |sum, usage| Usage {
        cpu_seconds: sum.cpu_seconds + usage.cpu_seconds,
        rss_bytes: sum.rss_bytes + usage.rss_bytes,
    })
}

/// What one process has used, if it lives.
pub(super) fn usage(pid: u32) -> Option<Usage> {
    let (_, fields) = stat(pid)?;
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    let rss_bytes = kib("VmRSS:").saturating_sub(kib("RssShmem:")) * 1_024;
    Some(Usage { cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND, rss_bytes })
}

/// The only process of this name.
pub(super) fn only(name: &str) -> anyhow::Result<u32> {
    let pids: Vec<u32> =
        all().into_iter().filter(|process| process.name == name).map(|process| process.pid).collect();
    match pids.as_slice() {
        [pid] => Ok(*pid),
        [] => anyhow::bail!("no process is named {name}; name one with --pid"),
        _ => anyhow::bail!("{} processes are named {name}; name one with --pid", pids.len()),
    }
}

/// Sends a signal to one process.
pub(super) fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    // kill(0) and kill(-1) would reach others
    let target = i32::try_from(pid).ok().filter(|pid| *pid > 1);
    let target = target.with_context(|| format!("process {pid} cannot be signalled"))?;
    kill(Pid::from_raw(target), signal).with_context(|| format!("sending {signal} to process {pid}"))
}

/// Kills a process, and waits until it has ended.
pub(super) async fn kill_and_wait(pid: u32) -> anyhow::Result<()> {
    signal(pid, Signal::SIGKILL)?;
    let until = Instant::now() + DEAD_WITHIN;
    while is_running(pid) {
        ensure!(Instant::now() < until, "process {pid} still runs {DEAD_WITHIN:?} after SIGKILL");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// A zombie that its parent has not reaped yet has ended.
pub(super) fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(_, fields)| fields.first().is_some_and(|state| state != "Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_cpu_and_memory() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.rss_bytes > 100_000, "{own:?}");
        assert!(own.cpu_seconds < 3_600.0, "{own:?}");
        assert_eq!(usage(u32::MAX), None);
    }

    #[test]
    fn rows_are_differences_by_name() {
        let watched = Watched::find(&[("mine".to_owned(), std::process::id())], false);
        let usage = |cpu_seconds| Usage { cpu_seconds, rss_bytes: 7 };
        let sample =
            |cpu: f64| ["driver", "mine"].map(|name| (name.to_owned(), usage(cpu))).into_iter().collect();
        let rows = watched.rows(&sample(1.0), &sample(3.0), 4.0, 1_000_000);
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["driver", "mine"]);
        assert_eq!((rows[1].cpu_s, rows[1].cores, rows[1].cpu_us_per_delivery), (2.0, 0.5, Some(2.0)));
    }

    #[test]
    fn a_signal_reaches_one_process_or_none() {
        for pid in [0, 1, u32::MAX] {
            assert!(signal(pid, Signal::SIGCONT).is_err(), "{pid}");
        }
        signal(std::process::id(), Signal::SIGCONT).unwrap();
    }

    #[test]
    fn a_name_of_no_process_is_an_error() {
        assert!(only("no such process").is_err());
    }
}
