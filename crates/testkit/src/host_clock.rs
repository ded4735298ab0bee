//! A wrong clock of a host: a library from the system's packages, which a program preloads, answers for the system.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A clock that programs read instead of the system's. It can be set while they run.
#[derive(Debug)]
pub struct HostClock {
    library: PathBuf,
    folder: TempDir,
}

impl HostClock {
    /// Whether the library is installed.
    pub fn is_installed() -> bool {
        library().is_some()
    }

    /// One that is ahead of the system's by so much.
    pub fn ahead(offset: Duration) -> Result<Self> {
        let library = library().context("libfaketime is not installed")?;
        let clock = Self { library, folder: TempDir::with_prefix("rowcast-clock-")? };
        clock.set_ahead(offset)?;
        Ok(clock)
    }

    /// Sets it, for the programs that run too.
    pub fn set_ahead(&self, offset: Duration) -> Result<()> {
        // replaced as a whole: a reader must not find half of it
        let written = self.folder.path().join("written");
        fs::write(&written, format!("+{:.3}\n", offset.as_secs_f64()))?;
        fs::rename(&written, self.file()).context("setting the clock")
    }

    /// The environment of a program that reads it. Deadlines, which use the clock that cannot be set, are as ever.
    pub fn env(&self) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// The build for programs with threads, in the folder of the machine's architecture.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.is_file())
}
