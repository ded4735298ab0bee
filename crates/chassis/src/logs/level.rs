//! The level of the logs, which a file can change while the service runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{info, warn};
use tracing_subscriber::{EnvFilter, Registry, reload};

/// How often the file is read; it is a few bytes.
const PACE: Duration = Duration::from_secs(2);

/// The filter that a service logs with, and where a change of it comes from.
pub(crate) struct Level {
    /// What `log.level` says; it is valid again when the file is empty or gone.
    configured: String,
    file: Option<PathBuf>,
    /// The last text that was applied or refused.
    seen: String,
    handle: reload::Handle<EnvFilter, Registry>,
}

impl Level {
    /// The filter, at the level of the configuration until the file is read.
    pub(super) fn new(configured: &str, file: Option<&Path>) -> (Self, reload::Layer<EnvFilter, Registry>) {
        // a directive that `validate` refused falls back to `info`; no service starts with one
        let filter = EnvFilter::try_new(configured).unwrap_or_else(|_| EnvFilter::new("info"));
        let (filter, handle) = reload::Layer::new(filter);
        let level = Self {
            configured: configured.to_owned(),
            file: file.map(Path::to_owned),
            seen: configured.to_owned(),
            handle,
        };
        (level, filter)
    }

    /// Follows the file for ever, if there is one.
    pub(crate) async fn follow(mut self) {
        while self.file.is_some() {
            self.read();
            tokio::time::sleep(PACE).await;
        }
    }

    /// Applies what the file has now.
    fn read(&mut self) {
        let Some(file) = &self.file else { return };
        let text = fs::read_to_string(file).unwrap_or_default();
        let wanted = if text.trim().is_empty() { &self.configured } else { text.trim() };
        if *wanted == self.seen {
            return;
        }
        self.seen = wanted.to_owned();
        match EnvFilter::try_new(wanted).map(|filter| self.handle.reload(filter)) {
            Ok(_) => info!(filter = self.seen, "log level changed"),
            Err(fault) => {
                warn!(file = %file.display(), filter = self.seen, %fault, "log level not changed: not a filter");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::json::tests::{Lines, json_layer};
    use super::*;

    #[test]
    fn a_file_changes_the_level_and_what_is_no_filter_leaves_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, lines) = (folder.path().join("level"), Lines::default());
        let (mut level, filter) = Level::new("warn", Some(&file));
        let subscriber = tracing_subscriber::registry().with(json_layer(&lines).with_filter(filter));
        tracing::subscriber::with_default(subscriber, || {
            let mut shows = |text: Option<&str>, expected: bool| {
                match text {
                    Some(text) => fs::write(&file, text).unwrap(),
                    None => fs::remove_file(&file).unwrap(),
                }
                level.read();
                let before = lines.all().len();
                tracing::debug!("a detail");
                assert_eq!(lines.all().len() > before, expected, "{text:?}");
            };
            shows(Some("debug\n"), true);
            shows(Some("chassis=nonsense=nonsense"), true);
            shows(Some("info,chassis=debug"), true);
            shows(Some(""), false);
            shows(Some("trace"), true);
            shows(None, false);
        });
        let refused = |line: &&serde_json::Value| line["message"] == "log level not changed: not a filter";
        assert_eq!(lines.all().iter().filter(refused).count(), 1);
    }
}
