//! One issuer: its keys, and what a token that one of them has signed says.

use std::{collections::HashMap, sync::Arc, time::Duration};

use auth::{Scope, UnixMicros};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, errors::ErrorKind};
use parking_lot::RwLock;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::{
    fetch::Source,
    file::Entry,
    jwks::{self, Key},
};
use crate::denial::Denial;

/// The longest `sub` and `jti`, in bytes: a longer one could not be revoked.
pub(crate) const NAME_BYTES: usize = 1_000;

/// How old a set may be, by where it comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh {
    /// A file's.
    pub(crate) file: Duration,
    /// A server's.
    pub(crate) url: Duration,
}

/// An issuer.
pub(crate) struct Issuer {
    name: Arc<str>,
    entry: Entry,
    source: Source,
    keys: RwLock<Option<Arc<[Key]>>>,
    /// When its keys were last asked for. Whoever holds it asks; the others wait for the answer.
    asked_at: Mutex<Option<Instant>>,
}

/// A token that is valid here and now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verified {
    pub(crate) issuer: Arc<str>,
    pub(crate) subject: String,
    pub(crate) id: Option<String>,
    pub(crate) read: Scope,
    pub(crate) write: Scope,
    /// With the leeway.
    pub(crate) expires_at: UnixMicros,
}

/// What a key says of a token.
pub(crate) enum Verdict {
    /// The key has not signed it.
    Unsigned,
    /// It has, and the claims are these, or cannot be used.
    Signed(Result<Verified, Denial>),
}

/// What is used of a token's claims (RFC 7519 §4.1).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    jti: Option<String>,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

impl Issuer {
    pub(crate) fn new(entry: Entry) -> Result<Self, String> {
        let source = match (&entry.jwks_file, &entry.jwks_url) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(url)) => Source::url(url.clone(), entry.ca_file.as_deref())?,
            (None, None) => Source::Fixed,
        };
        let keys = entry.secret.as_ref().map(|secret| {
            let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
            Arc::from([Key { kid: None, algorithm: Algorithm::HS256, key }])
        });
        let (keys, asked_at) = (RwLock::new(keys), Mutex::default());
        Ok(Self { name: entry.issuer.as_str().into(), entry, source, keys, asked_at })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn has_keys(&self) -> bool {
        self.keys.read().is_some()
    }

    /// The keys that may have signed a token: the one of its name, or the first few where the token names none. A secret has no
    /// name, and may be meant by any.
    pub(crate) fn keys_for(&self, algorithm: Algorithm, kid: Option<&str>, most: usize) -> Vec<Key> {
        let keys = self.keys.read().clone().unwrap_or_default();
        let fits = |key: &&Key| {
            key.algorithm == algorithm
                && (kid.is_none() || key.algorithm == Algorithm::HS256 || key.kid.as_deref() == kid)
        };
        keys.iter().filter(fits).take(most).cloned().collect()
    }

    pub(crate) fn verify(&self, token: &str, key: &Key, now: UnixMicros) -> Verdict {
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&*self.name]);
        validation.set_audience(&self.entry.audience);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        // by the clock of Postgres, below
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        match decode::<Claims>(token, &key.key, &validation) {
            Ok(token) => Verdict::Signed(self.grant(token.claims, now)),
            Err(error) => match error.kind() {
                ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => {
                    Verdict::Signed(Err(Denial::Foreign))
                }
                ErrorKind::MissingRequiredClaim(_)
                | ErrorKind::Json(_)
                | ErrorKind::InvalidClaimFormat(_) => Verdict::Signed(Err(Denial::Claims)),
                _ => Verdict::Unsigned,
            },
        }
    }

    fn grant(&self, claims: Claims, now: UnixMicros) -> Result<Verified, Denial> {
        if *claims.iss != *self.name {
            return Err(Denial::Foreign);
        }
        let leeway = self.entry.leeway.as_secs_f64();
        let expires_at = micros(claims.exp + leeway).ok_or(Denial::Claims)?;
        if expires_at <= now {
            return Err(Denial::Expired);
        }
        if let Some(nbf) = claims.nbf
            && micros(nbf - leeway).ok_or(Denial::Claims)? > now
        {
            return Err(Denial::Early);
        }
        let names = [Some(&claims.sub), claims.jti.as_ref()];
        if claims.sub.is_empty() || names.into_iter().flatten().any(|name| name.len() > NAME_BYTES) {
            return Err(Denial::Claims);
        }
        let scope = |name: &str| scope(claims.others.get(name));
        let read = scope(&self.entry.read_claim)?;
        let write = self.entry.write_claim.as_deref().map_or(Ok(Scope::none()), scope)?;
        let (issuer, subject, id) = (self.name.clone(), claims.sub, claims.jti);
        Ok(Verified { issuer, subject, id, read, write, expires_at })
    }

    /// Reads its keys again, unless they were asked for in this time. If that fails, the last known ones stay.
    pub(crate) async fn refresh(&self, older_than: Fresh) {
        let age = match self.source {
            Source::Fixed => return,
            Source::File(_) => older_than.file,
            Source::Url(..) => older_than.url,
        };
        let mut asked_at = self.asked_at.lock().await;
        if asked_at.is_some_and(|at| at.elapsed() < age) {
            return;
        }
        let read = match self.source.read().await {
            Ok(None) => return,
            Ok(Some(json)) => jwks::parse(&json, &self.entry.algorithms),
            Err(error) => Err(error),
        };
        match read {
            Ok(keys) => *self.keys.write() = Some(keys.into()),
            Err(error) => tracing::warn!(issuer = &*self.name, error, "the keys of an issuer cannot be read"),
        }
        *asked_at = Some(Instant::now());
    }
}

/// Patterns as an array, or as one text with spaces between them, as scopes are written (RFC 8693 §4.2).
fn scope(claim: Option<&Value>) -> Result<Scope, Denial> {
    let patterns: Vec<&str> = match claim {
        None | Some(Value::Null) => return Ok(Scope::none()),
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(items)) => {
            items.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Denial::Claims)?
        }
        Some(_) => return Err(Denial::Claims),
    };
    Scope::parse(&patterns).map_err(|_| Denial::Claims)
}

/// Of a NumericDate, in seconds (RFC 7519 §2).
fn micros(seconds: f64) -> Option<UnixMicros> {
    let micros = seconds * 1e6;
    (micros.abs() < 1e18).then_some(UnixMicros(micros as i64))
}
