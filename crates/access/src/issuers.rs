//! The issuers whose tokens are valid, and what a token of theirs says.

mod algorithms;
mod fetch;
pub(crate) mod file;
mod issuer;
mod jwks;

use std::{path::Path, time::Duration};

use auth::UnixMicros;
use futures_util::future::join_all;
use jsonwebtoken::decode_header;

pub(crate) use self::issuer::{NAME_BYTES, Verified};
use self::{
    algorithms::ALGORITHMS,
    issuer::{Fresh, Issuer, Verdict},
};
use crate::denial::Denial;

/// Keys that are tried for a token that names none.
const UNNAMED_KEYS: usize = 4;

/// All issuers.
#[derive(Default)]
pub(crate) struct Issuers {
    issuers: Vec<Issuer>,
}

/// What a token needs before it can be judged.
pub(crate) enum Checked {
    /// It has been judged.
    Judged(Result<Verified, Denial>),
    /// No key of this name is known: an issuer may have a new one.
    UnknownKey,
}

impl Issuers {
    /// Those of a file; none if there is no file.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        if path.as_os_str().is_empty() {
            return Ok(Self::default());
        }
        let issuers = file::read(path)?.into_iter().map(Issuer::new).collect::<Result<_, _>>()?;
        Ok(Self { issuers })
    }

    /// Judges a token. Which issuer it is of is found by whose key its signature fits; until then nothing that it claims is
    /// used, only the name of the key and the algorithm, which must be the key's own.
    pub(crate) fn check(&self, token: &str, now: UnixMicros) -> Checked {
        let Ok(header) = decode_header(token) else { return Checked::Judged(Err(Denial::Foreign)) };
        if header.crit.is_some() || !ALGORITHMS.contains(&header.alg) {
            // what must be understood is not (RFC 7515 §4.1.11)
            return Checked::Judged(Err(Denial::Foreign));
        }
        let (mut tried, mut verdict) = (false, Err(Denial::Foreign));
        for issuer in &self.issuers {
            for key in issuer.keys_for(header.alg, header.kid.as_deref(), UNNAMED_KEYS) {
                tried = true;
                match issuer.verify(token, &key, now) {
                    Verdict::Unsigned => {}
                    Verdict::Signed(signed) => {
                        verdict = signed;
                        if verdict.is_ok() {
                            return Checked::Judged(verdict);
                        }
                    }
                }
            }
        }
        if tried { Checked::Judged(verdict) } else { Checked::UnknownKey }
    }

    /// Reads key sets again that are at least this old.
    pub(crate) async fn refresh(&self, older_than: Fresh) {
        join_all(self.issuers.iter().map(|issuer| issuer.refresh(older_than))).await;
    }

    /// Reads key sets that are due: one that was never read sooner than others.
    pub(crate) async fn refresh_due(&self) {
        let due = |issuer: &Issuer| if issuer.has_keys() { REGULAR } else { MISSING };
        join_all(self.issuers.iter().map(|issuer| issuer.refresh(due(issuer)))).await;
    }

    /// The issuer whose keys were never read, if there is one.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.issuers.iter().find(|issuer| !issuer.has_keys()).map(Issuer::name)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }
}

/// At an unknown key, sets that were read in this time are not read again.
pub(crate) const UNKNOWN_KEY: Fresh = Fresh { file: Duration::from_secs(2), url: Duration::from_secs(30) };

/// How often sets are read in any case.
const REGULAR: Fresh = Fresh { file: Duration::from_secs(10), url: Duration::from_secs(600) };

/// How often one is tried that was never read.
const MISSING: Fresh = Fresh { file: Duration::from_secs(2), url: Duration::from_secs(5) };

#[cfg(test)]
mod tests;
