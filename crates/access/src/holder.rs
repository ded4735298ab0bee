//! For whom a ticket was made, as text for other gateways. It has no secret: who reads it cannot become its holder.

use std::sync::Arc;

use auth::{Grant, Limits, Scope, SecretHash, Subject, UnixMicros};
use serde::{Deserialize, Serialize};

use crate::caller::{Caller, Proof};

/// The holder of a ticket. What it may do is asked for anew when it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A device key.
    Key {
        /// Its id.
        id: String,
        /// The SHA-256 of the secret that was presented, in hexadecimal digits.
        hash: String,
    },
    /// What a token has claimed, whose signature was checked when the ticket was made.
    Viewer {
        /// Its `iss`.
        issuer: String,
        /// Its `sub`.
        subject: String,
        /// Its `jti`, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// What it may read.
        read: Vec<String>,
        /// Its `exp` with the leeway, in microseconds since 1970.
        expires_at: i64,
    },
}

impl Holder {
    /// None if there was no credential. A ticket is for reading: what a token may write is left out.
    pub(crate) fn of(caller: &Caller) -> Option<Self> {
        match (&caller.proof, &caller.grant.subject) {
            (Proof::Key(id, hash), _) => Some(Self::Key { id: id.to_string(), hash: hash.to_hex() }),
            (Proof::Token(token), Subject::Viewer { issuer, subject }) => Some(Self::Viewer {
                issuer: issuer.as_ref().into(),
                subject: subject.as_ref().into(),
                token: token.as_deref().map(str::to_owned),
                read: caller.grant.read.patterns().iter().map(ToString::to_string).collect(),
                expires_at: caller.grant.expires_at?.0,
            }),
            (Proof::Token(_) | Proof::Nothing, _) => None,
        }
    }

    /// None if the text was not one of ours.
    pub(crate) fn into_caller(self) -> Option<Caller> {
        let grant = |subject, read, expires_at| {
            let (write, limits) = (Scope::none(), Limits::default());
            Arc::new(Grant { subject, write, read, limits, expires_at })
        };
        Some(match self {
            Self::Key { id, hash } => {
                let (id, hash) = (id.parse().ok()?, SecretHash::parse(&hash).ok()?);
                // what the key may do is known by itself
                Caller::new(grant(Subject::Key(id), Scope::none(), None), Proof::Key(id, hash))
            }
            Self::Viewer { issuer, subject, token, read, expires_at } => {
                let subject = Subject::Viewer { issuer: issuer.into(), subject: subject.into() };
                let read = Scope::parse(&read).ok()?;
                let grant = grant(subject, read, Some(UnixMicros(expires_at)));
                Caller::new(grant, Proof::Token(token.map(Into::into)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer() -> Caller {
        let subject = Subject::Viewer { issuer: "https://a.example".into(), subject: "ann".into() };
        let read = Scope::parse(&["acme/*", r"odd\*\,name"]).unwrap();
        let (write, limits) = (Scope::all(), Limits::default());
        let grant = Grant { subject, write, read, limits, expires_at: Some(UnixMicros(7)) };
        Caller::new(Arc::new(grant), Proof::Token(Some("t-1".into())))
    }

    #[test]
    fn a_holder_comes_back_as_who_it_was_and_may_only_read() {
        let caller = viewer();
        let text = serde_json::to_string(&Holder::of(&caller).unwrap()).unwrap();
        let back = serde_json::from_str::<Holder>(&text).unwrap().into_caller().unwrap();
        assert_eq!(*back.grant, Grant { write: Scope::none(), ..(*caller.grant).clone() });
        assert!(matches!(back.proof, Proof::Token(Some(token)) if &*token == "t-1"));
    }

    #[test]
    fn who_has_shown_nothing_holds_nothing_and_another_text_is_nobody() {
        assert_eq!(Holder::of(&Caller::open()), None);
        let key = |id: &str, hash: &str| Holder::Key { id: id.to_owned(), hash: hash.to_owned() };
        assert!(key("000000000001", &"0".repeat(64)).into_caller().is_some());
        assert!(key("000000000001", "").into_caller().is_none());
        assert!(key("x", &"0".repeat(64)).into_caller().is_none());
    }
}
