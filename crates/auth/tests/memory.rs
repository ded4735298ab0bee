//! What keys take, and that to look one up allocates nothing. The one test of its program: it counts every allocation.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::alloc::System;

use auth::{Denied, KeyRecord, KeySet, Limits, Rate, Scope, Secrets, UnixMicros, new_key};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KEYS: u64 = 100_000;

fn random(number: u64) -> ([u8; 32], [u8; 8]) {
    let mut random = [0; 32];
    random[..8].copy_from_slice(&number.to_le_bytes());
    (random, number.to_le_bytes())
}

/// A device that writes its own sensors and has limits.
fn record(number: u64) -> KeyRecord {
    let (random, id_random) = random(number);
    let (key, hash) = new_key(random, id_random);
    KeyRecord {
        id: key.id(),
        name: format!("device {number}"),
        write: Scope::parse(&[format!("acme/device-{number}/*")]).unwrap(),
        read: Scope::none(),
        limits: Limits {
            readings: Some(Rate::new(10.0, 100).unwrap()),
            requests: Some(Rate::new(2.0, 20).unwrap()),
            connections: Some(1),
            subscriptions: Some(1),
        },
        expires_at: Some(UnixMicros(1)),
        is_revoked: false,
        secrets: Secrets { newest: hash, older: Some(hash) },
    }
}

#[test]
fn a_key_takes_at_most_400_bytes_and_a_lookup_none() {
    let before = Region::new(ALLOCATOR);
    let mut keys = KeySet::default();
    (0..KEYS).for_each(|number| keys.insert(record(number)));
    let stats = before.change();
    let bytes = stats.bytes_allocated - stats.bytes_deallocated;
    assert_eq!(keys.len() as u64, KEYS);
    assert!(bytes as u64 <= 400 * KEYS, "{} bytes a key", bytes as u64 / KEYS);

    let (known, unknown) = (new_key(random(7).0, random(7).1).0, new_key([9; 32], [0xff; 8]).0);
    let text = known.expose();
    let before = Region::new(ALLOCATOR);
    for _ in 0..100 {
        let Ok(auth::Credential::Key(key)) = auth::Credential::parse(&text) else { panic!("a key") };
        let grant = keys.authenticate(&key, UnixMicros(0)).unwrap();
        assert!(grant.may_write("acme/device-7/t") && !grant.may_read("acme/device-7/t"));
        assert_eq!(keys.authenticate(&unknown, UnixMicros(0)).err(), Some(Denied::Unknown));
    }
    assert_eq!(before.change().allocations, 0);
}
