//! Reads the keys that are to be imported: a line of JSON each.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context, bail, ensure};
use auth::KeyRecord;

use super::line::KeyLine;

/// Keys of one import at most.
const MAX_KEYS: usize = 100_000;

/// Bytes of one import at most.
const MAX_BYTES: u64 = 64 << 20;

/// The keys of a file, or of stdin; all of it is checked before any key is stored.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<KeyRecord>> {
    let from: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("{} cannot be read", file.display()))?)
    };
    records(BufReader::new(from))
}

fn records(from: impl BufRead) -> anyhow::Result<Vec<KeyRecord>> {
    let mut records: Vec<KeyRecord> = Vec::new();
    let mut lines = HashMap::new();
    let mut from = from.take(MAX_BYTES + 1);
    let (mut bytes, mut line) = (0, String::new());
    for number in 1_u64.. {
        line.clear();
        bytes += from.read_line(&mut line)? as u64;
        ensure!(bytes <= MAX_BYTES, "more than {} MiB are too much for one import", MAX_BYTES >> 20);
        if line.is_empty() {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let record = record(&line).with_context(|| format!("line {number}"))?;
        ensure!(records.len() < MAX_KEYS, "line {number}: one import has at most {MAX_KEYS} keys");
        if let Some(before) = lines.insert(record.id, number) {
            bail!("line {number}: the key {} is in line {before} already", record.id);
        }
        records.push(record);
    }
    Ok(records)
}

fn record(line: &str) -> anyhow::Result<KeyRecord> {
    // an error could show a part of what it is about
    ensure!(!line.contains("rck_"), "it has a key: an import takes the hashes of secrets alone");
    let line: KeyLine = serde_json::from_str(line)?;
    line.record()
}

#[cfg(test)]
mod tests {
    use auth::{Limits, Rate, Scope, Secrets, UnixMicros, new_key};

    use super::*;

    fn full() -> KeyRecord {
        let (key, newest) = new_key([1; 32], [1; 8]);
        KeyRecord {
            id: key.id(),
            name: "boiler".to_owned(),
            write: Scope::parse(&["acme/*", r"a\,b"]).unwrap(),
            read: Scope::all(),
            limits: Limits {
                readings: Some(Rate::new(0.1, 5).unwrap()),
                requests: Some(Rate::new(2.0, 20).unwrap()),
                connections: Some(1),
                subscriptions: Some(2),
            },
            expires_at: Some(UnixMicros(1_800_000_000_000_001)),
            is_revoked: false,
            secrets: Secrets { newest, older: Some(new_key([2; 32], [1; 8]).1) },
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = records(text.as_bytes()).expect_err(text);
        assert!(format!("{error:#}").contains(expected), "{text}: {error:#}");
    }

    #[test]
    fn what_is_exported_is_imported_as_it_was() {
        let (key, hash) = new_key([3; 32], [3; 8]);
        let bare = KeyRecord {
            id: key.id(),
            write: Scope::none(),
            read: Scope::none(),
            limits: Limits::default(),
            expires_at: None,
            secrets: Secrets::one(hash),
            ..full()
        };
        let lines: Vec<String> =
            [full(), bare.clone()].iter().map(|r| KeyLine::with_hashes(r).json()).collect();
        assert_eq!(
            records(format!("{}\n\n{}", lines[0], lines[1]).as_bytes()).unwrap(),
            [full(), bare.clone()]
        );
        let short = format!(r#"{{"id":"{}","name":"boiler","hash":"{}"}}"#, key.id(), hash.to_hex());
        assert_eq!(records(short.as_bytes()).unwrap(), [bare]);
        assert_eq!(records(&b""[..]).unwrap(), []);
    }

    #[test]
    fn the_page_shows_a_line_that_can_be_imported() {
        let page = include_str!("../../../../docs/KEYS.md");
        let lines: Vec<&str> = page.lines().filter(|line| line.starts_with('{')).collect();
        assert_eq!(records(lines.join("\n").as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_stored_is_refused_by_its_line_before_anything_is() {
        let good = KeyLine::with_hashes(&full()).json();
        let with = |from: &str, to: &str| {
            assert!(good.contains(from), "{good}");
            good.replace(from, to)
        };
        check(&with(r#""hash""#, r#""hush""#), "line 1: unknown field `hush`");
        check(&with(r#""acme/*""#, r#""a*b""#), "write: invalid pattern \"a*b\"");
        check(&with(r#""burst":5"#, r#""burst":0"#), "limits.readings: a burst is at least 1");
        check(&with(r#""per_second":2.0"#, r#""per_second":1e9"#), "limits.requests: a rate is");
        check(&with(r#""connections":1"#, r#""connections":0"#), "a count is");
        check(&with(r#""boiler""#, r#""\u0007""#), "a name has");
        check(&with("2027", "in 2027"), "write a time such as");
        check(&KeyLine::of(&full()).json(), "line 1: hash is missing");
        check(&format!("{good}\n{{"), "line 2: EOF");
        check(&format!("{good}\n\n{good}"), "line 3: the key 1802g0401802 is in line 1 already");
    }

    #[test]
    fn a_key_in_the_place_of_its_hash_is_not_repeated() {
        let key = new_key([1; 32], [1; 8]).0.expose();
        for line in
            [format!("{key:?}"), format!(r#"{{"id":{key:?}}}"#), format!(r#"{{"{key}":1}}"#), key.clone()]
        {
            check(&line, "line 1: it has a key");
            assert!(!format!("{:#}", records(line.as_bytes()).unwrap_err()).contains(&key));
        }
    }

    #[test]
    fn an_import_is_bounded() {
        let endless = BufReader::new(io::repeat(b' '));
        let error = records(endless).unwrap_err().to_string();
        assert!(error.contains("64 MiB"), "{error}");
    }
}
