//! The readiness of services, from their admin ports.

use std::path::Path;

use crate::{admin::AdminPort, output};

/// The admin ports to ask.
pub(super) struct Readiness(Vec<AdminPort>);

impl Readiness {
    /// Of the admin ports with these base URLs; `ca` is trusted in addition to the system's certificates.
    pub(super) fn new(admins: &[String], ca: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self(AdminPort::all(admins, ca)?))
    }

    /// A line for each service, or for each of its conditions that does not hold; whether all are ready.
    pub(super) async fn print(&self) -> anyhow::Result<bool> {
        let mut all_ready = true;
        for port in &self.0 {
            let place = port.place();
            let line = |status, what| output::line(&format!("{status:<7} ready      {place}{what}"));
            let report = match port.report().await {
                Ok(report) => report,
                Err(error) => {
                    all_ready = false;
                    line("FAILED", format!(": {error:#}"))?;
                    continue;
                }
            };
            all_ready &= report.ready;
            for (condition, why) in &report.failing {
                line("FAILED", format!(": {condition}: {why}"))?;
            }
            for (condition, why) in &report.degraded {
                line("WARNING", format!(": {condition}: {why}"))?;
            }
            if report.failing.is_empty() && report.degraded.is_empty() {
                line("ok", String::new())?;
            }
        }
        Ok(all_ready)
    }
}
