//! All revocations, to know a token that is refused.

use std::collections::HashMap;

use crate::{
    revocation::{Revocation, Revoked},
    unix_micros::UnixMicros,
};

/// Revocations by their issuers.
#[derive(Debug, Clone, Default)]
pub struct RevocationSet {
    issuers: HashMap<String, OfIssuer>,
}

/// Until when what is refused.
#[derive(Debug, Clone, Default)]
struct OfIssuer {
    tokens: HashMap<String, UnixMicros>,
    subjects: HashMap<String, UnixMicros>,
}

impl RevocationSet {
    /// Puts a revocation in, in place of what it was before.
    pub fn insert(&mut self, revocation: Revocation) {
        let Revocation { issuer, of, until } = revocation;
        let own = self.issuers.entry(issuer).or_default();
        match of {
            Revoked::Token(id) => own.tokens.insert(id, until),
            Revoked::Subject(subject) => own.subjects.insert(subject, until),
        };
    }

    /// Whether an issuer's token for a subject is refused; a token without an id is refused by its subject alone.
    pub fn covers(&self, issuer: &str, subject: &str, token: Option<&str>, now: UnixMicros) -> bool {
        let Some(own) = self.issuers.get(issuer) else { return false };
        let holds = |until: Option<&UnixMicros>| until.is_some_and(|until| now < *until);
        holds(own.subjects.get(subject)) || holds(token.and_then(|id| own.tokens.get(id)))
    }

    /// Forgets those that have ended.
    pub fn purge(&mut self, now: UnixMicros) {
        self.issuers.retain(|_, own| {
            own.tokens.retain(|_, until| now < *until);
            own.subjects.retain(|_, until| now < *until);
            !own.tokens.is_empty() || !own.subjects.is_empty()
        });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(of: Revoked, until: i64) -> RevocationSet {
        let mut set = RevocationSet::default();
        set.insert(Revocation { issuer: "i".to_owned(), of, until: UnixMicros(until) });
        set
    }

    #[test]
    fn a_token_is_refused_by_its_id_or_its_subject_and_only_of_its_issuer_until_the_end() {
        let by_id = revoked(Revoked::Token("t".to_owned()), 10);
        assert!(by_id.covers("i", "s", Some("t"), UnixMicros(9)));
        assert!(!by_id.covers("i", "s", Some("t"), UnixMicros(10)));
        assert!(!by_id.covers("j", "s", Some("t"), UnixMicros(9)));
        assert!(!by_id.covers("i", "t", Some("s"), UnixMicros(9)));
        assert!(!by_id.covers("i", "t", None, UnixMicros(9)));
        let by_subject = revoked(Revoked::Subject("s".to_owned()), 10);
        assert!(by_subject.covers("i", "s", None, UnixMicros(9)));
        assert!(!by_subject.covers("i", "t", Some("s"), UnixMicros(9)));
    }

    #[test]
    fn one_that_was_taken_back_ends_and_is_forgotten() {
        let mut set = revoked(Revoked::Token("t".to_owned()), 10);
        set.insert(Revocation {
            issuer: "i".to_owned(),
            of: Revoked::Token("t".to_owned()),
            until: UnixMicros(5),
        });
        assert!(!set.covers("i", "s", Some("t"), UnixMicros(5)));
        set.purge(UnixMicros(4));
        assert!(!set.is_empty());
        set.purge(UnixMicros(5));
        assert!(set.is_empty());
    }
}
