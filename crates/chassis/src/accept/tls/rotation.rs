//! A certificate that is replaced while the service runs.

use std::sync::Arc;
use std::time::Duration;

use instruments::IntGauge;
use parking_lot::Mutex;
use tracing::info;

use super::Tls;
use super::fault::TlsFault;
use super::identity::{Files, Paths};
use crate::readiness::{Fault, Pace};

/// How often the files are read: a few kilobytes. Kubernetes replaces them behind a symbolic link, so that no watch of the
/// files themselves would notice.
pub(in crate::accept) const PACE: Pace =
    Pace { holding: Duration::from_secs(5), failing: Duration::from_secs(5) };

/// Compares the files with the identity in use.
pub(in crate::accept) struct Rotation {
    paths: Paths,
    tls: Tls,
    seen: Mutex<Seen>,
    expiry: IntGauge,
}

struct Seen {
    /// What the identity in use was made of.
    used: Files,
    /// Whether the last check failed.
    failed: bool,
}

impl Rotation {
    /// Of the identity that these files make.
    ///
    /// # Errors
    /// When they make none.
    pub(in crate::accept) fn begin(paths: Paths, expiry: IntGauge) -> Result<Self, TlsFault> {
        let files = paths.read()?;
        let identity = paths.identity(&files)?;
        expiry.set(identity.expires_at);
        let seen = Mutex::new(Seen { used: files, failed: false });
        Ok(Self { paths, tls: Tls::new(identity), seen, expiry })
    }

    pub(in crate::accept) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Uses what is new. What cannot be used is a fault from the second check in a row on: the first may have come between
    /// the writing of a certificate and of its key. Open connections keep what they began with.
    pub(in crate::accept) fn check(&self) -> Result<(), Fault> {
        let mut seen = self.seen.lock();
        match self.replace(&mut seen) {
            Ok(()) => {
                seen.failed = false;
                Ok(())
            }
            Err(fault) => {
                let failed_before = std::mem::replace(&mut seen.failed, true);
                // not this replica's own: it serves with the certificate that it has
                if failed_before { Err(Fault::of(&fault, true)) } else { Ok(()) }
            }
        }
    }

    fn replace(&self, seen: &mut Seen) -> Result<(), TlsFault> {
        let files = self.paths.read()?;
        if files == seen.used {
            return Ok(());
        }
        let identity = self.paths.identity(&files)?;
        self.expiry.set(identity.expires_at);
        info!(expires_at = identity.expires_at, "certificate replaced");
        *self.tls.identity.lock() = Arc::new(identity);
        seen.used = files;
        Ok(())
    }
}
