//! docs/METRICS.md: every metric, by the part of Rowcast that has it.

mod declaration;

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};

use self::declaration::{Declared, Metric};
use super::generated::Generated;

const PATH: &str = "docs/METRICS.md";

/// A section of the page: the metrics of a crate whose names begin so.
struct Part {
    folder: &'static str,
    prefix: &'static str,
    heading: &'static str,
    who: &'static str,
}

const fn part(folder: &'static str, prefix: &'static str, heading: &'static str, who: &'static str) -> Part {
    Part { folder, prefix, heading, who }
}

/// In the order of the page. Of a crate's parts a metric is in that with the longest prefix.
const PARTS: [Part; 12] = [
    part(
        "crates/chassis",
        "rowcast_",
        "Every service",
        "All but the job `migrate`, which has no admin port.",
    ),
    part("crates/chassis", "rowcast_http_", "The public port", "ingest and ws-gateway."),
    part("crates/access", "rowcast_auth_", "Credentials", "ingest and ws-gateway."),
    part("crates/store", "rowcast_postgres_", "Postgres", "Every service, for its own connections."),
    part("crates/store", "rowcast_postgres_notification_", "Notifications of Postgres", "notify-listener."),
    part("crates/bus", "rowcast_redis_", "Redis", "notify-listener and ws-gateway."),
    part("services/ingest", "rowcast_ingest_", "ingest", ""),
    part(
        "services/notify-listener",
        "rowcast_listener_",
        "notify-listener",
        "What only a leader does stays at 0 on a standby.",
    ),
    part("crates/lease", "rowcast_lease_", "The Lease", "notify-listener, with `lease.mode` `kubernetes`."),
    part("services/ws-gateway", "rowcast_gateway_", "ws-gateway", ""),
    part("crates/cli", "rowcast_canary_", "The canary", "`rowcast canary`, by the URLs that it was given."),
    part("crates/chassis", "process_", "The process", "Every service, from `/proc` and its cgroup."),
];

/// What Prometheus' own library adds of each process, from `/proc`.
const PROCESS: [(&str, &str, &str); 7] = [
    ("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds."),
    ("process_max_fds", "gauge", "Maximum number of open file descriptors."),
    ("process_open_fds", "gauge", "Number of open file descriptors."),
    ("process_resident_memory_bytes", "gauge", "Resident memory size in bytes."),
    ("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds."),
    ("process_threads", "gauge", "Number of OS threads in the process."),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes."),
];

const HEAD: &str = "\
# Metrics

Every service serves its metrics at `/metrics` of its admin port (9090), in Prometheus' text format. `cargo xtask codegen` writes this page
from their declarations; a test compares it with running services.

- A unit is at the end of a name: `_seconds`, `_bytes`, `_ratio` (0 to 1); `_total` is a counter. A histogram `x` has the series
  `x_bucket`, `x_sum` and `x_count`.
- Every series exists from the start, at 0, so that an alert can be written on one before its first event. Only those of labels that
  are listed without values appear with their first value.
- The values of labels are closed sets: none is what a client sends, such as a sensor, a key or a path.
";

/// The page. What cannot be read is reported as a file out of date.
pub(super) fn page(root: &Path) -> Generated {
    let text = text(root).unwrap_or_else(|fault| format!("{fault:#}\n"));
    Generated { path: PATH, text }
}

fn text(root: &Path) -> Result<String> {
    let mut page = HEAD.to_owned();
    for part in PARTS {
        let mut declared = Declared::default();
        collect(&root.join(part.folder).join("src"), &mut declared)?;
        page.push_str(&part.section(&declared));
    }
    // the last section goes on with them
    let rows = PROCESS.map(|(name, kind, help)| row(name, kind, "", help));
    Ok(page + &rows.concat())
}

fn collect(folder: &Path, declared: &mut Declared) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, declared)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path)?;
            if source.contains("instruments::") {
                declared.add(&source).with_context(|| path.display().to_string())?;
            }
        }
    }
    Ok(())
}

impl Part {
    fn section(&self, declared: &Declared) -> String {
        let own = declared.metrics.iter().filter(|metric| self.has(&metric.name));
        let rows = own.map(|metric| row(&metric.name, metric.kind, &labels(metric, declared), &metric.help));
        let rows = rows.collect::<String>();
        if rows.is_empty() { rows } else { table(self.heading, self.who, &rows) }
    }

    fn has(&self, name: &str) -> bool {
        let others = PARTS.iter().filter(|other| other.folder == self.folder);
        let longest = others.map(|other| other.prefix).filter(|prefix| name.starts_with(prefix));
        longest.max_by_key(|prefix| prefix.len()) == Some(self.prefix)
    }
}

fn labels(metric: &Metric, declared: &Declared) -> String {
    let code = |text: &String| format!("`{text}`");
    let names = metric.labels.iter().map(code).collect::<Vec<_>>().join(", ");
    match metric.values.as_ref().and_then(|values| declared.labels.get(values)) {
        Some(values) => format!("{names}: {}", values.iter().map(code).collect::<Vec<_>>().join(", ")),
        None => names,
    }
}

fn row(name: &str, kind: &str, labels: &str, help: &str) -> String {
    format!("| `{name}` | {kind} | {labels} | {} |\n", help.replace('|', "\\|"))
}

fn table(heading: &str, who: &str, rows: &str) -> String {
    let mut text = format!("\n## {heading}\n\n");
    if !who.is_empty() {
        let _ = writeln!(text, "{who}\n");
    }
    text + "| metric | type | labels | |\n|---|---|---|---|\n" + rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Declared {
        let mut declared = Declared::default();
        let source = r#"
            instruments::labels! { enum State { /// Idle.
                Idle = "idle", /// Busy.
                Busy = "busy", } }
            instruments::metrics! { struct M("rowcast_") {
                /// Open, a|b.
                open: By<State, IntGauge> = "http_open", by = ["state"];
                /// Panics.
                panics: IntCounter = "panics_total";
            } }
        "#;
        declared.add(source).unwrap();
        declared
    }

    #[test]
    fn a_label_is_shown_with_its_values_and_a_bar_does_not_end_the_cell() {
        let text = PARTS[1].section(&declared());
        assert!(
            text.ends_with("|\n| `rowcast_http_open` | gauge | `state`: `idle`, `busy` | Open, a\\|b. |\n"),
            "{text}"
        );
    }

    #[test]
    fn a_metric_is_in_the_part_of_its_longest_prefix_alone() {
        let text = PARTS[0].section(&declared());
        assert!(text.contains("rowcast_panics_total") && !text.contains("rowcast_http_open"), "{text}");
        assert_eq!(PARTS[2].section(&declared()), "");
    }

    #[test]
    fn what_cannot_be_read_is_a_page_that_says_so() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("services/ingest/src");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("metrics.rs"), "instruments::metrics! { struct M }").unwrap();
        assert!(page(root.path()).text.contains("metrics.rs: metrics!"), "{}", page(root.path()).text);
    }
}
