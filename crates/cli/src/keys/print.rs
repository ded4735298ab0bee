//! Keys for people, and for scripts.

use auth::{KeyRecord, KeyText, Limits, Rate, Scope, UnixMicros};
use serde::Serialize;
use serde_json::json;
use store::keys::{Imported, StoredKey};

use super::line::KeyLine;
use crate::{args::Format, instant};

/// What a list shows of a key.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    key: KeyLine,
    state: &'static str,
    /// How many secrets are valid.
    secrets: u8,
    created_at: String,
    used_at: Option<String>,
    revoked_at: Option<String>,
}

/// A key with its new secret; `with_line`: as text, too, with the line for an import.
pub(super) fn new_key(format: Format, key: &KeyText, record: &KeyRecord, with_line: bool) -> String {
    let line = KeyLine::with_hashes(record);
    match format {
        Format::Json => json!({"key": key.expose(), "record": line}).to_string(),
        Format::Text => {
            let mut lines = vec![
                format!("key      {}", key.expose()),
                format!("name     {}", plain(&record.name)),
                format!("writes   {}", scope(&record.write)),
                format!("reads    {}", scope(&record.read)),
                format!("limits   {}", limits(&record.limits)),
                format!("expires  {}", record.expires_at.map_or_else(|| "never".to_owned(), instant::text)),
            ];
            lines.extend(with_line.then(|| format!("import   {}", line.json())));
            lines.join("\n")
        }
    }
}

pub(super) fn listed(format: Format, key: &StoredKey) -> Option<String> {
    let StoredKey { record, created_at, used_at, revoked_at } = key;
    let state = state(record, instant::now());
    Some(match format {
        Format::Json => {
            let listed = Listed {
                key: KeyLine::of(record),
                state,
                secrets: if record.secrets.older.is_some() { 2 } else { 1 },
                created_at: instant::text(*created_at),
                used_at: used_at.map(instant::text),
                revoked_at: revoked_at.map(instant::text),
            };
            serde_json::to_string(&listed).expect("texts and finite numbers are JSON")
        }
        Format::Text => {
            let second = if record.secrets.older.is_some() { "  two secrets" } else { "" };
            format!(
                "{}  {state:<7}  used {:<12}  {}  writes {}  reads {}  {}{second}",
                record.id,
                used_at.map_or_else(|| "never".to_owned(), day),
                plain(&record.name),
                scope(&record.write),
                scope(&record.read),
                limits(&record.limits),
            )
        }
    })
}

pub(super) fn imported(format: Format, Imported { created, changed, unchanged }: Imported) -> String {
    match format {
        Format::Json => json!({"created": created, "changed": changed, "unchanged": unchanged}).to_string(),
        Format::Text => format!("{created} created, {changed} changed, {unchanged} unchanged"),
    }
}

fn state(record: &KeyRecord, now: UnixMicros) -> &'static str {
    if record.is_revoked {
        "revoked"
    } else if record.expires_at.is_some_and(|end| end <= now) {
        "expired"
    } else {
        "live"
    }
}

fn scope(scope: &Scope) -> String {
    let patterns: Vec<String> = scope.patterns().iter().map(ToString::to_string).collect();
    if patterns.is_empty() { "nothing".to_owned() } else { plain(&patterns.join(",")) }
}

fn limits(limits: &Limits) -> String {
    let rate = |rate: Option<Rate>, what: &str| {
        Some(format!("{}/s (burst {}) {what}", rate?.per_second(), rate?.burst()))
    };
    let count = |count: Option<u32>, what: &str| Some(format!("{} {what}", count?));
    let all = [
        rate(limits.readings, "readings"),
        rate(limits.requests, "requests"),
        count(limits.connections, "connections"),
        count(limits.subscriptions, "subscriptions"),
    ];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { "no limits".to_owned() } else { all.join(", ") }
}

/// The day of a time.
fn day(at: UnixMicros) -> String {
    instant::text(at).chars().take_while(|c| *c != 'T').collect()
}

/// Text that leaves the terminal as it is.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use auth::{Secrets, new_key};

    use super::*;

    #[test]
    fn a_key_is_one_line_with_its_state() {
        let (key, hash) = new_key([1; 32], [1; 8]);
        let record = KeyRecord {
            id: key.id(),
            name: "bo\u{1b}iler".to_owned(),
            write: Scope::parse(&["acme/*", "b"]).unwrap(),
            read: Scope::none(),
            limits: Limits {
                readings: Some(Rate::new(0.5, 5).unwrap()),
                connections: Some(2),
                ..Limits::default()
            },
            expires_at: Some(UnixMicros(1)),
            is_revoked: false,
            secrets: Secrets::one(hash),
        };
        let used_at = Some(UnixMicros(1_800_000_000_000_000));
        let stored = StoredKey { record, created_at: UnixMicros(0), used_at, revoked_at: None };
        assert_eq!(
            listed(Format::Text, &stored).unwrap(),
            "1802g0401802  expired  used 2027-01-15    bo\u{fffd}iler  writes acme/*,b  reads nothing  0.5/s (burst 5) \
             readings, 2 connections"
        );
        let json = listed(Format::Json, &stored).unwrap();
        assert!(
            json.contains(r#""state":"expired","secrets":1,"created_at":"1970-01-01T00:00:00Z""#),
            "{json}"
        );
        assert!(!json.contains(&hash.to_hex()) && !json.contains("\"hash\""), "{json}");
    }
}
