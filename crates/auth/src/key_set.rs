//! All device keys, to know one by its secret.

use std::{collections::HashMap, sync::Arc};

use crate::{
    grant::Grant,
    key_id::KeyId,
    key_record::{KeyRecord, Secrets},
    key_text::KeyText,
    secret::SecretHash,
    subject::Subject,
    unix_micros::UnixMicros,
};

/// The keys by their ids.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: HashMap<KeyId, Key>,
}

#[derive(Debug, Clone)]
struct Key {
    /// Made when the key is put in, so that a lookup makes nothing.
    grant: Arc<Grant>,
    secrets: Secrets,
    is_revoked: bool,
}

/// Why a key grants nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no such key, or it has another secret: which of them, only its owner may know.
    #[error("unknown key")]
    Unknown,
    /// The key has expired.
    #[error("the key has expired")]
    Expired,
    /// The key was revoked.
    #[error("the key was revoked")]
    Revoked,
}

/// What a secret is compared with where there is no such key.
const NOBODY: Secrets = Secrets::one(SecretHash::new([0; 32]));

impl KeySet {
    /// Puts a key in, in place of what it was before.
    pub fn insert(&mut self, record: KeyRecord) {
        let KeyRecord { id, name: _, write, read, limits, expires_at, is_revoked, secrets } = record;
        let grant = Grant { subject: Subject::Key(id), write, read, limits, expires_at };
        self.keys.insert(id, Key { grant: Arc::new(grant), secrets, is_revoked });
    }

    /// Takes a key out.
    pub fn remove(&mut self, id: KeyId) {
        self.keys.remove(&id);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the key grants. A secret is hashed and compared alike for an id that is not there.
    ///
    /// # Errors
    /// When the key grants nothing. That it has expired or was revoked is told only to those who have its secret.
    pub fn authenticate(&self, key: &KeyText, now: UnixMicros) -> Result<Arc<Grant>, Denied> {
        self.recall(key.id(), &key.hash(), now)
    }

    /// What a key that was presented before grants now: the hash of its secret is all that is kept of it meanwhile.
    ///
    /// # Errors
    /// As [`KeySet::authenticate`].
    pub fn recall(&self, id: KeyId, secret: &SecretHash, now: UnixMicros) -> Result<Arc<Grant>, Denied> {
        let known = self.keys.get(&id);
        let is_right = known.map_or(&NOBODY, |known| &known.secrets).hold(secret);
        match known.filter(|_| is_right.into()) {
            None => Err(Denied::Unknown),
            Some(key) if key.is_revoked => Err(Denied::Revoked),
            Some(key) if key.grant.is_over(now) => Err(Denied::Expired),
            Some(key) => Ok(key.grant.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        hint::black_box,
        time::{Duration, Instant},
    };

    use super::*;
    use crate::{key_text::new_key, limits::Limits, scope::Scope};

    fn record(id: KeyId, secrets: Secrets) -> KeyRecord {
        KeyRecord {
            id,
            name: "boiler".to_owned(),
            write: Scope::parse(&["acme/*"]).unwrap(),
            read: Scope::none(),
            limits: Limits::default(),
            expires_at: Some(UnixMicros(100)),
            is_revoked: false,
            secrets,
        }
    }

    #[track_caller]
    fn check(keys: &KeySet, key: &KeyText, now: i64, wanted: Result<(), Denied>) {
        let grant = keys.authenticate(key, UnixMicros(now));
        if let Ok(grant) = &grant {
            assert_eq!(grant.subject, Subject::Key(key.id()));
        }
        assert_eq!(grant.map(drop), wanted);
    }

    #[test]
    fn a_key_is_known_by_either_of_its_secrets_and_by_no_other() {
        let (older, older_hash) = new_key([1; 32], [1; 8]);
        let (newest, newest_hash) =
            (KeyText::new(older.id(), [2; 32]), KeyText::new(older.id(), [2; 32]).hash());
        let mut keys = KeySet::default();
        keys.insert(record(older.id(), Secrets { newest: newest_hash, older: Some(older_hash) }));
        check(&keys, &older, 0, Ok(()));
        check(&keys, &newest, 0, Ok(()));
        check(&keys, &KeyText::new(older.id(), [3; 32]), 0, Err(Denied::Unknown));
        // the right secret of another id
        check(&keys, &new_key([1; 32], [2; 8]).0, 0, Err(Denied::Unknown));
        keys.insert(record(older.id(), Secrets::one(newest_hash)));
        check(&keys, &older, 0, Err(Denied::Unknown));
        check(&keys, &newest, 0, Ok(()));
        keys.remove(older.id());
        check(&keys, &newest, 0, Err(Denied::Unknown));
        assert!(keys.is_empty());
    }

    #[test]
    fn only_who_has_the_secret_is_told_that_a_key_is_over() {
        let (key, hash) = new_key([1; 32], [1; 8]);
        let stranger = KeyText::new(key.id(), [9; 32]);
        let mut keys = KeySet::default();
        keys.insert(record(key.id(), Secrets::one(hash)));
        check(&keys, &key, 99, Ok(()));
        check(&keys, &key, 100, Err(Denied::Expired));
        check(&keys, &stranger, 100, Err(Denied::Unknown));
        keys.insert(KeyRecord { is_revoked: true, ..record(key.id(), Secrets::one(hash)) });
        for now in [0, 100] {
            check(&keys, &key, now, Err(Denied::Revoked));
            check(&keys, &stranger, now, Err(Denied::Unknown));
        }
    }

    /// Each is hashed and compared. An unknown id that is not takes a tenth of the time.
    #[test]
    fn an_unknown_id_takes_as_long_as_a_wrong_secret() {
        let (known, hash) = new_key([1; 32], [1; 8]);
        let mut keys = KeySet::default();
        keys.insert(record(known.id(), Secrets { newest: hash, older: Some(hash) }));
        let wrong = KeyText::new(known.id(), [9; 32]);
        let (unknown, _) = new_key([9; 32], [2; 8]);
        let time = |key: &KeyText| {
            let began = Instant::now();
            for _ in 0..20 {
                assert_eq!(
                    black_box(&keys).authenticate(black_box(key), UnixMicros(0)),
                    Err(Denied::Unknown)
                );
            }
            began.elapsed()
        };
        // in turns, so that whatever else the machine does slows both
        let (mut of_wrong, mut of_unknown): (Vec<_>, Vec<_>) =
            (0..2_000).map(|_| (time(&wrong), time(&unknown))).unzip();
        let median = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64()
        };
        let ratio = median(&mut of_unknown) / median(&mut of_wrong);
        assert!((0.67..1.5).contains(&ratio), "{ratio}");
    }
}
