//! What is counted of those who are not let in.

use instruments::{By, IntCounter, IntGauge};

use crate::denial::Denial;

instruments::labels! {
    /// What was wrong with a credential.
    pub enum Cause {
        /// There was none.
        Missing = "missing",
        /// There were several, or one that cannot be read.
        Malformed = "malformed",
        /// A device key that is unknown, has expired or was revoked.
        Key = "key",
        /// A token that is not valid, has expired or was revoked.
        Token = "token",
        /// A ticket that is unknown, was used or has expired.
        Ticket = "ticket",
        /// It may not do this.
        Forbidden = "forbidden",
        /// It may not do so much.
        Rate = "rate",
    }
}

impl From<Denial> for Cause {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Missing => Self::Missing,
            Denial::Ambiguous | Denial::Malformed => Self::Malformed,
            Denial::Key(_) => Self::Key,
            Denial::Foreign | Denial::Expired | Denial::Early | Denial::Revoked | Denial::Claims => {
                Self::Token
            }
            Denial::Ticket => Self::Ticket,
            Denial::MayNotRead | Denial::MayNotWrite => Self::Forbidden,
            Denial::TooMany(_) | Denial::TooManyAtOnce => Self::Rate,
        }
    }
}

instruments::metrics! {
    /// What is counted of those who are not let in.
    pub struct Metrics("rowcast_auth_") {
        /// Clients that were not let in, by what was wrong with their credential.
        pub(crate) denials: By<Cause, IntCounter> = "denials_total", by = ["cause"];
        /// Device keys that this process knows, revoked ones included.
        pub(crate) keys: IntGauge = "keys";
        /// Reads of device keys and revocations that failed: the last known ones stay in force.
        pub(crate) failures: IntCounter = "refresh_failures_total";
    }
}

impl Metrics {
    /// Counts a denial.
    pub(crate) fn count(&self, denial: Denial) -> Denial {
        self.denials.of(denial.into()).inc();
        denial
    }
}
