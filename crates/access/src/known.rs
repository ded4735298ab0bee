//! The device keys and revocations that this process knows, as Postgres last had them.

use std::{collections::HashSet, sync::Arc};

use auth::{Denied, Grant, KeyId, KeySet, RevocationSet, SecretHash, UnixMicros};
use parking_lot::{Mutex, RwLock};
use store::keys::{Changes, KeyChange};

/// What is known, shared by all requests.
#[derive(Default)]
pub(crate) struct Known {
    sets: RwLock<Sets>,
    /// Keys that were used since this was noted last.
    used: Mutex<HashSet<KeyId>>,
}

/// A set that is being read anew, if one is.
#[derive(Default)]
pub(crate) struct Renewal(Option<Sets>);

#[derive(Default)]
struct Sets {
    keys: KeySet,
    revocations: RevocationSet,
}

impl Known {
    /// What a key grants that was just presented.
    pub(crate) fn authenticate(
        &self,
        id: KeyId,
        secret: &SecretHash,
        now: UnixMicros,
    ) -> Result<Arc<Grant>, Denied> {
        let grant = self.recall(id, secret, now)?;
        self.used.lock().insert(id);
        Ok(grant)
    }

    /// What a key grants now that was presented before.
    pub(crate) fn recall(
        &self,
        id: KeyId,
        secret: &SecretHash,
        now: UnixMicros,
    ) -> Result<Arc<Grant>, Denied> {
        self.sets.read().keys.recall(id, secret, now)
    }

    /// Whether a token was revoked.
    pub(crate) fn is_revoked(
        &self,
        issuer: &str,
        subject: &str,
        token: Option<&str>,
        now: UnixMicros,
    ) -> bool {
        self.sets.read().revocations.covers(issuer, subject, token, now)
    }

    /// Applies a page of changes; true if there was anything in it. A set that is read anew is built beside the one in force,
    /// until [`Known::renew`]: requests never see the beginning of it.
    pub(crate) fn apply(&self, page: Changes, renewal: &mut Renewal) -> bool {
        if page.is_anew {
            renewal.0 = Some(Sets::default());
        }
        let changes = page.is_anew || !page.keys.is_empty() || !page.revocations.is_empty();
        match &mut renewal.0 {
            Some(sets) => sets.apply(page),
            None if changes => self.sets.write().apply(page),
            None => {}
        }
        changes
    }

    /// Puts a set that was read anew into force.
    pub(crate) fn renew(&self, renewal: Renewal) {
        let Renewal(Some(sets)) = renewal else { return };
        let old = std::mem::replace(&mut *self.sets.write(), sets);
        // after the lock was given back
        drop(old);
    }

    /// How many keys are known.
    pub(crate) fn keys(&self) -> usize {
        self.sets.read().keys.len()
    }

    /// Forgets revocations that have ended.
    pub(crate) fn purge(&self, now: UnixMicros) {
        self.sets.write().revocations.purge(now);
    }

    /// The keys that were used since the last call.
    pub(crate) fn take_used(&self) -> Vec<KeyId> {
        std::mem::take(&mut *self.used.lock()).into_iter().collect()
    }
}

impl Sets {
    fn apply(&mut self, page: Changes) {
        for KeyChange { id, record } in page.keys {
            match record {
                Some(record) => self.keys.insert(record),
                None => self.keys.remove(id),
            }
        }
        page.revocations.into_iter().for_each(|revocation| self.revocations.insert(revocation));
    }
}
