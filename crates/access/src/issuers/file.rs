//! The file that lists the issuers: TOML, an `[[issuer]]` each.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jsonwebtoken::Algorithm;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::algorithms::ALGORITHMS;

/// The most issuers.
const MOST: usize = 16;

/// A shorter secret can be guessed (RFC 7518 §3.2).
const SECRET_BYTES: usize = 32;

/// The longest leeway.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// An issuer as the file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The `iss` of its tokens.
    pub(crate) issuer: String,
    /// One of these must be in the `aud` of its tokens.
    pub(crate) audience: Vec<String>,
    /// The algorithms of its keys.
    #[serde(default)]
    pub(crate) algorithms: Vec<Algorithm>,
    /// A file with its keys (RFC 7517).
    pub(crate) jwks_file: Option<PathBuf>,
    /// Where its keys are served.
    pub(crate) jwks_url: Option<Url>,
    /// The certificates that may have signed that server's; absent: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// The key of HS256.
    pub(crate) secret: Option<SecretString>,
    /// The claim that has the patterns which its tokens may read.
    #[serde(default = "read_claim")]
    pub(crate) read_claim: String,
    /// The claim that has the patterns which they may write; absent: they may write nothing.
    pub(crate) write_claim: Option<String>,
    /// How far clocks may differ.
    #[serde(default = "leeway", with = "humantime_serde")]
    pub(crate) leeway: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    issuer: Vec<Entry>,
}

fn read_claim() -> String {
    "rowcast_read".to_owned()
}

const fn leeway() -> Duration {
    Duration::from_secs(10)
}

/// Reads and checks the file.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    // the text of the error would quote the line, which may have a secret
    let File { issuer: mut entries } =
        toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())?;
    if entries.len() > MOST {
        return Err(format!("at most {MOST} issuers"));
    }
    for (place, entry) in entries.iter_mut().enumerate() {
        check(entry).map_err(|error| format!("issuer {}: {error}", place + 1))?;
    }
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.issuer.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("the issuer {:?} is listed twice", pair[0])),
        None => Ok(entries),
    }
}

fn check(entry: &mut Entry) -> Result<(), String> {
    if entry.issuer.is_empty() {
        return Err("issuer must not be empty".to_owned());
    }
    if entry.audience.is_empty() {
        return Err("audience must have at least one name".to_owned());
    }
    if entry.leeway > MAX_LEEWAY {
        return Err("leeway is at most 5m".to_owned());
    }
    let sources = [entry.jwks_file.is_some(), entry.jwks_url.is_some(), entry.secret.is_some()];
    if sources.into_iter().filter(|given| *given).count() != 1 {
        return Err("exactly one of jwks_file, jwks_url and secret must be given".to_owned());
    }
    if entry.jwks_url.as_ref().is_some_and(|url| url.scheme() != "https") {
        return Err("jwks_url must begin with https://".to_owned());
    }
    if entry.ca_file.is_some() && entry.jwks_url.is_none() {
        return Err("ca_file means nothing without jwks_url".to_owned());
    }
    let Some(secret) = &entry.secret else {
        if entry.algorithms.is_empty() {
            entry.algorithms = vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        }
        // a public key that is taken for a secret is the oldest attack on tokens
        let is_public =
            |algorithm: &Algorithm| ALGORITHMS.contains(algorithm) && *algorithm != Algorithm::HS256;
        return if entry.algorithms.iter().all(is_public) {
            Ok(())
        } else {
            Err("algorithms of public keys are RS256, ES256 and EdDSA".to_owned())
        };
    };
    if secret.expose_secret().len() < SECRET_BYTES {
        return Err(format!("secret must have at least {SECRET_BYTES} bytes"));
    }
    if entry.algorithms.iter().any(|algorithm| *algorithm != Algorithm::HS256) {
        return Err("the algorithm of a secret is HS256".to_owned());
    }
    entry.algorithms = vec![Algorithm::HS256];
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn an_issuer_has_one_source_of_keys_and_algorithms_that_fit_it() {
        let entries = parse(&format!(
            "[[issuer]]\nissuer = \"a\"\naudience = [\"r\"]\njwks_file = \"/k\"\n\
             [[issuer]]\nissuer = \"b\"\naudience = [\"r\"]\nsecret = \"{SECRET}\"\nleeway = \"1s\"\n"
        ))
        .unwrap();
        assert_eq!(entries[0].algorithms, [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]);
        assert_eq!(entries[1].algorithms, [Algorithm::HS256]);
        assert_eq!(entries[1].leeway, Duration::from_secs(1));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn faults_are_named_and_no_secret_is() {
        let entry = |more: &str| format!("[[issuer]]\nissuer = \"a\"\naudience = [\"r\"]\n{more}\n");
        for (text, fault) in [
            (entry(""), "exactly one of"),
            (entry("jwks_file = \"k\"\njwks_url = \"https://a\""), "exactly one of"),
            (entry("jwks_url = \"http://a\""), "https://"),
            (entry("jwks_url = \"file:///a\""), "https://"),
            (entry("jwks_file = \"k\"\nalgorithms = [\"HS256\"]"), "public keys"),
            (entry("jwks_file = \"k\"\nalgorithms = [\"PS256\"]"), "public keys"),
            (entry("jwks_file = \"k\"\nca_file = \"c\""), "ca_file"),
            (entry("jwks_file = \"k\"\nleeway = \"1h\""), "leeway"),
            (entry("secret = \"short-secret\""), "32 bytes"),
            (entry(&format!("secret = \"{SECRET}\"\nalgorithms = [\"RS256\"]")), "HS256"),
            (entry(&format!("secret = \"{SECRET}\"")).repeat(2), "twice"),
            (entry("kwks_file = \"k\"\nsecret = \"short-secret\""), "unknown field"),
            (entry("secret = short-secret"), ""),
            ("[[issuer]]\nissuer = \"\"\naudience = []".to_owned(), "empty"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
            assert!(!error.contains("short-secret"), "{error}");
        }
    }
}
