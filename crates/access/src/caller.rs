//! Who asks, and what they may do.

use std::{net::IpAddr, sync::Arc};

use auth::{Grant, KeyId, Limits, Scope, SecretHash, Subject};

use crate::{denial::Denial, payer::Payer};

/// Who asks, what they may do, and how that is checked again while they are connected.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What they may do.
    pub grant: Arc<Grant>,
    /// By what.
    pub(crate) proof: Proof,
    /// Who pays for what they do.
    payer: Payer,
}

/// What a grant rests on.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// Nothing: nobody asks for credentials, or there was none.
    Nothing,
    /// A device key, with the hash of the secret that was presented.
    Key(KeyId, SecretHash),
    /// A token, with its `jti` if it has one.
    Token(Option<Arc<str>>),
}

impl Caller {
    /// Somebody with this grant.
    pub(crate) fn new(grant: Arc<Grant>, proof: Proof) -> Self {
        let payer = Payer::of(&grant.subject, None);
        Self { grant, proof, payer }
    }

    /// Anybody, where no credentials are asked for: everything is permitted.
    pub fn open() -> Self {
        Self::anonymous(Scope::all(), Scope::all())
    }

    /// Somebody without a credential.
    pub(crate) fn anonymous(read: Scope, write: Scope) -> Self {
        let grant =
            Grant { subject: Subject::Anonymous, write, read, limits: Limits::default(), expires_at: None };
        Self::new(Arc::new(grant), Proof::Nothing)
    }

    /// The same, who comes from this address: by that somebody without a credential is counted.
    #[must_use]
    pub fn at(mut self, address: Option<IpAddr>) -> Self {
        if self.is_anonymous() {
            self.payer = Payer::Address(address);
        }
        self
    }

    /// Who pays for what they do.
    pub fn payer(&self) -> Payer {
        self.payer
    }

    /// What it may read.
    ///
    /// # Errors
    /// When that is nothing.
    pub fn reader(&self) -> Result<&Scope, Denial> {
        self.some(&self.grant.read, Denial::MayNotRead)
    }

    /// What it may write.
    ///
    /// # Errors
    /// When that is nothing.
    pub fn writer(&self) -> Result<&Scope, Denial> {
        self.some(&self.grant.write, Denial::MayNotWrite)
    }

    fn some<'a>(&self, scope: &'a Scope, otherwise: Denial) -> Result<&'a Scope, Denial> {
        match scope.is_none() {
            false => Ok(scope),
            true if self.is_anonymous() => Err(Denial::Missing),
            true => Err(otherwise),
        }
    }

    /// Whether there was no credential.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.proof, Proof::Nothing)
    }
}
