//! Trial tokens: what an issuer with a secret would sign, for people who have no identity provider yet.

use std::{path::Path, time::Duration};

use auth::{BadScope, Scope, TOKEN_MAX_BYTES, UnixMicros};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::issuers::{NAME_BYTES, file, file::Entry};

/// The longest life of a trial token.
pub const MAX_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// What a trial token says.
#[derive(Debug, Clone)]
pub struct Claims {
    /// Whom it is for.
    pub subject: String,
    /// Its own name, by which it can be revoked.
    pub id: String,
    /// The patterns that it may read.
    pub read: Vec<String>,
    /// The patterns that it may write.
    pub write: Vec<String>,
    /// From when on.
    pub now: UnixMicros,
    /// For how long, in whole seconds; at most [`MAX_LIFE`].
    pub life: Duration,
}

/// A token.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What a client presents.
    pub token: String,
    /// When it ends.
    pub expires_at: UnixMicros,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The file of issuers.
    #[error("{0}")]
    File(String),
    /// No issuer can sign here.
    #[error(
        "no issuer of the file has a secret, and only such tokens can be made here: add `secret` of at least 32 bytes to an [[issuer]]"
    )]
    NoSecret,
    /// None of that name.
    #[error("the file has no issuer {0:?}")]
    Unknown(String),
    /// It has public keys.
    #[error("the issuer {0:?} has no secret: its tokens come from where its keys are made")]
    NotSecret(String),
    /// More than one.
    #[error("several issuers have a secret: choose one of {}", .0.join(", "))]
    Several(Vec<String>),
    /// Patterns.
    #[error("the sensors to {0}")]
    Scope(&'static str, #[source] BadScope),
    /// The file does not let its tokens write.
    #[error("tokens of {0:?} may write nothing: its [[issuer]] has no write_claim")]
    NoWriteClaim(String),
    /// Nothing would be allowed.
    #[error("a token that may neither read nor write is of no use: name sensors")]
    Nothing,
    /// A claim would have two values.
    #[error("the claim {0:?} would have two values: give read_claim and write_claim names of their own")]
    Twice(String),
    /// The subject.
    #[error("the subject must have 1 to {NAME_BYTES} bytes")]
    Subject,
    /// The duration.
    #[error("a trial token lives for 1 s to {} days", MAX_LIFE.as_secs() / 86_400)]
    Life,
    /// No service would take it.
    #[error("the token would have {0} bytes, and at most {TOKEN_MAX_BYTES} are taken: name fewer sensors")]
    Size(usize),
    /// The library.
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// An issuer whose secret is known here.
#[derive(Debug)]
pub struct TrialIssuer(Entry);

impl TrialIssuer {
    /// The issuer of that name in the file, or the only one with a secret.
    ///
    /// # Errors
    /// When the file cannot be used, or has no such issuer.
    pub fn find(path: &Path, name: Option<&str>) -> Result<Self, TrialError> {
        let entries = file::read(path).map_err(TrialError::File)?;
        if let Some(name) = name {
            let found = entries.into_iter().find(|entry| entry.issuer == name);
            let entry = found.ok_or_else(|| TrialError::Unknown(name.to_owned()))?;
            return if entry.secret.is_some() {
                Ok(Self(entry))
            } else {
                Err(TrialError::NotSecret(entry.issuer))
            };
        }
        let mut able: Vec<Entry> = entries.into_iter().filter(|entry| entry.secret.is_some()).collect();
        match (able.pop(), able.len()) {
            (None, _) => Err(TrialError::NoSecret),
            (Some(only), 0) => Ok(Self(only)),
            (Some(last), _) => {
                Err(TrialError::Several(able.into_iter().chain([last]).map(|entry| entry.issuer).collect()))
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.issuer
    }

    /// A token that services with the same file take.
    ///
    /// # Errors
    /// When the claims are not valid, or the file does not provide for them.
    pub fn sign(&self, claims: &Claims) -> Result<Signed, TrialError> {
        let Claims { subject, id, read, write, now, life } = claims;
        Scope::parse(read).map_err(|error| TrialError::Scope("read", error))?;
        Scope::parse(write).map_err(|error| TrialError::Scope("write", error))?;
        if read.is_empty() && write.is_empty() {
            return Err(TrialError::Nothing);
        }
        if subject.is_empty() || subject.len() > NAME_BYTES {
            return Err(TrialError::Subject);
        }
        if life.as_secs() == 0 || *life > MAX_LIFE {
            return Err(TrialError::Life);
        }
        let from = now.0.div_euclid(1_000_000);
        let until = from.saturating_add_unsigned(life.as_secs());
        let mut all = Map::new();
        let mut add = |name: &str, value: Value| match all.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(TrialError::Twice(name.to_owned())),
        };
        add("iss", json!(self.0.issuer))?;
        add("aud", json!(self.0.audience.first()))?;
        add("sub", json!(subject))?;
        add("jti", json!(id))?;
        add("iat", json!(from))?;
        add("exp", json!(until))?;
        // also without patterns: whoever reads these claims must not find others there
        add(&self.0.read_claim, json!(read))?;
        match &self.0.write_claim {
            Some(name) if *name == self.0.read_claim && read == write => {}
            Some(name) => add(name, json!(write))?,
            None if write.is_empty() => {}
            None => return Err(TrialError::NoWriteClaim(self.0.issuer.clone())),
        }
        let secret = self.0.secret.as_ref().ok_or(TrialError::NoSecret)?;
        let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), &all, &key).map_err(TrialError::Sign)?;
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TrialError::Size(token.len()));
        }
        Ok(Signed { token, expires_at: UnixMicros(until.saturating_mul(1_000_000)) })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::issuers::{Checked, Issuers};

    const SECRET: &str = "secret = \"0123456789abcdef0123456789abcdef\"";
    const NOW: UnixMicros = UnixMicros(1_800_000_000_500_000);

    /// A file of issuers, an `[[issuer]]` with an audience each.
    fn issuers(entries: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text: String =
            entries.iter().map(|entry| format!("[[issuer]]\naudience = [\"r\", \"s\"]\n{entry}\n")).collect();
        fs::write(folder.path().join("i.toml"), text).unwrap();
        folder
    }

    fn find(folder: &tempfile::TempDir, name: Option<&str>) -> Result<TrialIssuer, TrialError> {
        TrialIssuer::find(&folder.path().join("i.toml"), name)
    }

    fn claims(read: &[&str], write: &[&str]) -> Claims {
        let texts = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect();
        Claims {
            subject: "anna".to_owned(),
            id: "t1".to_owned(),
            read: texts(read),
            write: texts(write),
            now: NOW,
            life: Duration::from_secs(3_600),
        }
    }

    #[test]
    fn a_service_with_the_same_file_takes_the_token() {
        let own = format!("issuer = \"i\"\n{SECRET}\nread_claim = \"sensors\"\nwrite_claim = \"w\"");
        let folder = issuers(&[&own, "issuer = \"j\"\njwks_file = \"/none\""]);
        let signed = find(&folder, None).unwrap().sign(&claims(&["acme/*", "a b"], &["acme/1"])).unwrap();
        assert_eq!(signed.expires_at, UnixMicros(1_800_003_600_000_000));
        let services = Issuers::load(&folder.path().join("i.toml")).unwrap();
        let Checked::Judged(Ok(verified)) = services.check(&signed.token, NOW) else {
            panic!("it is refused")
        };
        assert_eq!(
            (&*verified.issuer, &*verified.subject, verified.id.as_deref()),
            ("i", "anna", Some("t1"))
        );
        assert_eq!(verified.read, Scope::parse(&["acme/*", "a b"]).unwrap());
        assert_eq!(verified.write, Scope::parse(&["acme/1"]).unwrap());
        let late = UnixMicros(signed.expires_at.0 + 10_000_000);
        assert!(matches!(services.check(&signed.token, late), Checked::Judged(Err(_))));
    }

    #[test]
    fn the_issuer_is_the_only_one_with_a_secret_or_the_named_one() {
        let of = |name: &str| format!("issuer = \"{name}\"\n{SECRET}");
        let public = "issuer = \"p\"\njwks_file = \"/none\"";
        let check = |entries: &[&str], name: Option<&str>, expected: &str| {
            let found = find(&issuers(entries), name);
            let told = found.map_or_else(|error| error.to_string(), |issuer| issuer.name().to_owned());
            assert!(told.contains(expected), "{entries:?}, {name:?}: {told}");
        };
        check(&[&of("i"), public], None, "i");
        check(&[&of("i"), &of("j")], Some("j"), "j");
        check(&[&of("i"), &of("j")], None, "choose one of i, j");
        check(&[public], None, "no issuer of the file has a secret");
        check(&[], None, "no issuer of the file has a secret");
        check(&[public], Some("p"), "has no secret");
        check(&[public], Some("q"), "no issuer \"q\"");
        let missing = TrialIssuer::find(Path::new("/none/i.toml"), None).unwrap_err().to_string();
        assert!(missing.contains("/none/i.toml cannot be read"), "{missing}");
    }

    #[test]
    fn claims_that_no_service_would_take_are_refused() {
        let check = |entry: &str, claims: &Claims, expected: &str| {
            let folder = issuers(&[&format!("issuer = \"i\"\n{SECRET}\n{entry}")]);
            let signed = find(&folder, None).unwrap().sign(claims);
            let told = signed.map_or_else(|error| error.to_string(), |_| "signed".to_owned());
            assert!(told.contains(expected), "{entry}, {claims:?}: {told}");
        };
        let (reads, writes) = (claims(&["*"], &[]), claims(&[], &["a"]));
        check("", &reads, "signed");
        check("write_claim = \"w\"", &writes, "signed");
        check("", &writes, "no write_claim");
        check("", &claims(&[], &[]), "neither read nor write");
        check("", &claims(&["a*b"], &[]), "the sensors to read");
        check("write_claim = \"w\"", &claims(&[], &["a*b"]), "the sensors to write");
        check("read_claim = \"sub\"", &reads, "two values");
        check("write_claim = \"rowcast_read\"", &reads, "two values");
        check("write_claim = \"rowcast_read\"", &claims(&["a"], &["a"]), "signed");
        check("", &Claims { subject: String::new(), ..reads.clone() }, "the subject");
        check("", &Claims { subject: "s".repeat(1_001), ..reads.clone() }, "the subject");
        for (life, expected) in [
            (Duration::from_millis(999), "lives for"),
            (Duration::from_secs(1), "signed"),
            (MAX_LIFE, "signed"),
            (MAX_LIFE + Duration::from_secs(1), "lives for"),
        ] {
            check("", &Claims { life, ..reads.clone() }, expected);
        }
        let many: Vec<String> = (0..1_000).map(|n| format!("sensor-{n}")).collect();
        check("", &Claims { read: many, ..reads }, "at most 8192 are taken");
    }
}
