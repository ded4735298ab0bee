//! The configuration of a hook: `hooks.<name>`.

use std::{collections::BTreeSet, path::PathBuf};

use chassis::Faults;
use http::HeaderName;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    hook::Hook,
    mapping::{Condition, Mapping, Values},
    pointer::Pointer,
    preset::{Defaults, Preset},
    rule::Rule,
    signature::{Algorithm, Encoding, Signature},
};
use crate::times::Precision;

/// The most members of the metadata.
const MAX_METADATA: usize = 32;

/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// A hook, served at `/hooks/<name>`. Pointers are JSON pointers (RFC 6901) into the payload.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HookConfig {
    /// The sender whose mapping is ready; the keys that are set go before it.
    preset: Option<Preset>,
    /// The rule that makes a sensor's id: `{/device/id}/{field}`.
    sensor: Option<String>,
    /// The pointer of the value, where a payload has one.
    value: Option<String>,
    /// The pointer of an object or array, whose numbers are readings each.
    values: Option<String>,
    /// The pointer of the time; empty: the time of the insert.
    time: Option<String>,
    /// What a time counts that is a number: `ns`, `us`, `ms` or `s`; without it, its size tells.
    precision: Option<String>,
    /// `name=pointer` of each member of the metadata.
    metadata: Option<Vec<String>>,
    /// `pointer` or `pointer=text`: only payloads that have one of them are stored.
    when: Option<Vec<String>>,
    /// Whether GET is taken, with the parameters as the payload.
    query: Option<bool>,
    /// How the sender signs.
    signature: SignatureConfig,
}

/// How a sender signs its bodies.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SignatureConfig {
    /// The header with the signature.
    header: Option<String>,
    /// The secret of the HMAC.
    #[schemars(with = "Option<String>")]
    secret: Option<SecretString>,
    /// A file with the secret, instead of it; a line break at its end is not part of it.
    secret_file: Option<PathBuf>,
    /// The hash of the HMAC.
    algorithm: Algorithm,
    /// How the signature is written.
    encoding: Encoding,
    /// What stands before it in the header: `sha256=`.
    prefix: String,
}

/// What is wrong with a key of a hook.
type Fault = (&'static str, String);

impl HookConfig {
    /// The hook; what is wrong is noted.
    pub(super) fn hook(&self, name: &str, faults: &mut Faults) -> Option<Hook> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_plain) {
            let fault = format!("a name has 1 to {MAX_NAME} of a to z, 0 to 9, - and _");
            faults.add(format!("hooks.{name}"), fault);
        }
        let defaults = self.preset.map(Preset::defaults).unwrap_or_default();
        let query = self.query.unwrap_or(defaults.query);
        let mut note = Noted { name, faults };
        let mapping = self.mapping(defaults, &mut note);
        let signature = note.take(self.signature.signature());
        if query && self.signature.header.is_some() {
            let fault = "must be false: a query has no body that could be signed".to_owned();
            note.take::<()>(Err(("query", fault)));
        }
        Some(Hook { mapping: mapping?, query, signature: signature? })
    }

    fn mapping(&self, defaults: Defaults, note: &mut Noted<'_>) -> Option<Mapping> {
        let values = note.take(self.values(defaults));
        let sensor = self.sensor.as_deref().or(defaults.sensor);
        let sensor = note
            .take(sensor.map(str::parse::<Rule>).unwrap_or(Err(MISSING.to_owned())).map_err(at("sensor")));
        if let (Some(sensor), Some(values)) = (&sensor, &values) {
            note.take(check_field(sensor, values));
        }
        let time = self.time.as_deref().unwrap_or(defaults.time);
        let time = note.take((!time.is_empty()).then(|| time.parse()).transpose().map_err(at("time")));
        let precision = self.precision.as_deref().map(Precision::parse).transpose();
        let precision = note.take(precision.map_err(|fault| ("precision", fault.to_owned())));
        let metadata = note.take(metadata(&listed(self.metadata.as_deref(), defaults.metadata)));
        let when = listed(self.when.as_deref(), defaults.when);
        let when = note.take(when.into_iter().map(condition).collect::<Result<_, _>>().map_err(at("when")));
        Some(Mapping {
            sensor: sensor?,
            values: values?,
            time: time?,
            precision: precision?,
            metadata: metadata?,
            when: when?,
        })
    }

    /// Its own pointer goes before the preset's, whichever of the two that has.
    fn values(&self, defaults: Defaults) -> Result<Values, Fault> {
        let own = (self.value.as_deref(), self.values.as_deref());
        let (value, values) = if own == (None, None) { (defaults.value, defaults.values) } else { own };
        match (value, values) {
            (Some(value), None) => value.parse().map(Values::One).map_err(at("value")),
            (None, Some(values)) => values.parse().map(Values::Each).map_err(at("values")),
            (None, None) => Err(("value", "is missing: set it, or values, or preset".to_owned())),
            (Some(_), Some(_)) => Err(("values", "must not be set beside value".to_owned())),
        }
    }
}

const MISSING: &str = "is missing: set it, or preset";

/// Notes faults under the name of a hook.
struct Noted<'a> {
    name: &'a str,
    faults: &'a mut Faults,
}

impl Noted<'_> {
    fn take<T>(&mut self, part: Result<T, Fault>) -> Option<T> {
        part.map_err(|(key, fault)| self.faults.add(format!("hooks.{}.{key}", self.name), fault)).ok()
    }
}

fn at(key: &'static str) -> impl Fn(String) -> Fault {
    move |fault| (key, fault)
}

fn listed<'a>(own: Option<&'a [String]>, preset: &[&'a str]) -> Vec<&'a str> {
    own.map_or_else(|| preset.to_vec(), |own| own.iter().map(String::as_str).collect())
}

/// Several values need a field to be told apart; one has none.
fn check_field(sensor: &Rule, values: &Values) -> Result<(), Fault> {
    match (values, sensor.has_field()) {
        (Values::Each(_), false) => {
            Err(("sensor", "must have {field}: the values of a payload would all be one sensor's".to_owned()))
        }
        (Values::One(_), true) => Err(("sensor", "must not have {field}: there is one value".to_owned())),
        _ => Ok(()),
    }
}

fn metadata(listed: &[&str]) -> Result<Vec<(String, Pointer)>, Fault> {
    let fault = |detail: String| Err(("metadata", detail));
    let (mut members, mut names) = (Vec::new(), BTreeSet::new());
    for member in listed {
        match member.split_once('=') {
            Some((name, pointer)) if !name.is_empty() => {
                if !names.insert(name) {
                    return fault(format!("has {name} twice"));
                }
                members.push((name.to_owned(), pointer.parse().map_err(at("metadata"))?));
            }
            _ => return fault(format!("{member:?} is not name=pointer")),
        }
    }
    if members.len() > MAX_METADATA {
        fault(format!("has at most {MAX_METADATA} members"))
    } else {
        Ok(members)
    }
}

fn condition(text: &str) -> Result<Condition, String> {
    let (pointer, text) = text.split_once('=').map_or((text, None), |(pointer, text)| (pointer, Some(text)));
    Ok(Condition { pointer: pointer.parse()?, text: text.map(str::to_owned) })
}

impl SignatureConfig {
    fn signature(&self) -> Result<Option<Signature>, Fault> {
        let Some(header) = &self.header else {
            let has_secret = self.secret.is_some() || self.secret_file.is_some();
            return if has_secret { Err(("signature.header", "is missing".to_owned())) } else { Ok(None) };
        };
        let header: HeaderName =
            header.parse().map_err(|_| ("signature.header", "is not the name of a header".to_owned()))?;
        let secret = self.secret()?;
        let keyed = (self.algorithm, secret.expose_secret().as_bytes());
        Ok(Some(Signature::new(header, self.prefix.clone(), self.encoding, keyed)))
    }

    fn secret(&self) -> Result<SecretString, Fault> {
        let (key, secret) = match (&self.secret, &self.secret_file) {
            (Some(secret), None) => ("signature.secret", secret.clone()),
            (None, Some(file)) => {
                let fault = |error| ("signature.secret_file", format!("cannot be read: {error}"));
                let text = std::fs::read_to_string(file).map_err(fault)?;
                let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
                ("signature.secret_file", SecretString::from(line.unwrap_or(&text)))
            }
            (None, None) => {
                return Err(("signature.secret", "is missing: set it, or secret_file".to_owned()));
            }
            (Some(_), Some(_)) => {
                return Err(("signature.secret_file", "must not be set beside secret".to_owned()));
            }
        };
        if secret.expose_secret().is_empty() { Err((key, "is empty".to_owned())) } else { Ok(secret) }
    }
}

#[cfg(test)]
mod tests;
