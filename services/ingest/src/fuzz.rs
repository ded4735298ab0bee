//! Random input from devices.

use std::{io::Write, path::Path};

use bytes::Bytes;
use chassis::Faults;
use flate2::{Compression, write::GzEncoder};
use store::NewReading;
use testkit::fuzz::fuzz;
use time::macros::datetime;

use crate::{
    Config,
    body::{Format, Payload, parse},
    encoding::Coding,
    hooks::Hooks,
    times::Times,
};

/// The most bytes that a body may decode to here.
const LIMIT: usize = 64 << 10;

#[track_caller]
fn check(target: &str, property: impl Fn(&[u8])) {
    fuzz(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target), property);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn fuzz_bodies() {
    check("bodies", |bytes| {
        let times = Times { now: datetime!(2026-01-01 00:00 UTC), precision: None };
        // in two parts, each a member or frame of its own
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for (coding, packed) in [
            (Coding::Identity, bytes.to_vec()),
            (Coding::Gzip, [gzip(first), gzip(second)].concat()),
            (Coding::Zstd, [zstd(first), zstd(second)].concat()),
        ] {
            let unpacked = coding.decode(packed.into(), LIMIT);
            assert_eq!(unpacked.as_deref(), Ok(bytes));
        }
        for format in [Format::Json, Format::Lines] {
            let readings = match parse(bytes, format, times) {
                Ok(Payload::One(reading)) => vec![reading],
                Ok(Payload::Many(readings)) => readings,
                Err(_) => continue,
            };
            check_readings(readings);
        }
    });
}

#[test]
fn fuzz_hooks() {
    let now = datetime!(2026-01-01 00:00 UTC);
    let variables = [
        ("ROWCAST_DATABASE__URL", "postgres://a@127.0.0.1/x"),
        ("ROWCAST_HOOKS__TTN__PRESET", "the-things-stack"),
        ("ROWCAST_HOOKS__SHELLY__PRESET", "shelly"),
        ("ROWCAST_HOOKS__RPC__PRESET", "shelly-rpc"),
        ("ROWCAST_HOOKS__HOME__PRESET", "home-assistant"),
        ("ROWCAST_HOOKS__ALL__SENSOR", "{field}"),
        ("ROWCAST_HOOKS__ALL__VALUES", ""),
        ("ROWCAST_HOOKS__ALL__METADATA", "all=,again="),
    ];
    let config: Config = chassis::from_environment(&variables).unwrap();
    let hooks = Hooks::new(&config.hooks, &mut Faults::default());
    check("hooks", |bytes| {
        for name in config.hooks.keys() {
            let hook = hooks.get(name).unwrap();
            check_readings(hook.readings(bytes, now).unwrap_or_default());
            let query = String::from_utf8_lossy(bytes);
            check_readings(hook.of_query(&query, now).unwrap_or_default());
        }
    });
}

/// What is stored is what the table takes.
#[track_caller]
fn check_readings(readings: Vec<NewReading>) {
    for reading in readings {
        assert!(!reading.sensor_id.is_empty() && reading.sensor_id.chars().count() <= wire::SENSOR_ID_MAX);
        assert!(reading.value.is_finite());
        serde_json::from_str::<serde_json::Value>(&reading.metadata).unwrap();
    }
}

#[test]
fn fuzz_gzip() {
    check("gzip", |bytes| unpack(Coding::Gzip, bytes));
}

#[test]
fn fuzz_zstd() {
    check("zstd", |bytes| unpack(Coding::Zstd, bytes));
}

/// What it decodes to is within the limit, and a cut one is not taken for the whole.
fn unpack(coding: Coding, bytes: &[u8]) {
    let Ok(unpacked) = coding.decode(Bytes::copy_from_slice(bytes), LIMIT) else { return };
    assert!(unpacked.len() <= LIMIT);
    if let Some((_, cut)) = bytes.split_last().filter(|_| !unpacked.is_empty()) {
        let cut = coding.decode(Bytes::copy_from_slice(cut), LIMIT);
        assert_ne!(cut, Ok(unpacked), "without its last byte it is not whole");
    }
}
