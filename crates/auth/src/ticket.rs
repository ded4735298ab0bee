//! A ticket: what stands for a credential once, for a short time, where there is only a URL.

use std::{fmt, time::Duration};

use crate::secret::{SecretHash, SecretText};

/// What every ticket begins with.
const PREFIX: &str = "rct_";

/// A ticket as its client has it: `rct_<secret>`. The secret is shown by [`Ticket::expose`] alone.
#[derive(Clone)]
pub struct Ticket(SecretText);

/// The text is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no ticket")]
pub struct BadTicket;

impl Ticket {
    /// How long it can be used.
    pub const LIFETIME: Duration = Duration::from_secs(30);

    /// A ticket of 256 random bits.
    pub fn new(random: [u8; 32]) -> Self {
        Self(SecretText::new(random))
    }

    /// Reads `rct_<secret>`.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, BadTicket> {
        let secret = text.strip_prefix(PREFIX).ok_or(BadTicket)?;
        SecretText::parse(secret).map(Self).map_err(|_| BadTicket)
    }

    /// The hash of its secret: what it is found by.
    pub fn hash(&self) -> SecretHash {
        self.0.hash()
    }

    /// The whole ticket, to be handed to its client once.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", self.0.expose())
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_read_back_and_shows_its_secret_to_nobody_else() {
        let ticket = Ticket::new([7; 32]);
        let text = ticket.expose();
        assert_eq!(Ticket::parse(&text).unwrap().hash(), ticket.hash());
        assert_eq!(format!("{ticket:?}"), "rct_…");
        for bad in ["", "rct_", &text[4..], &text[..46], &format!("{text}A"), &format!("rck_{}", &text[4..])]
        {
            assert!(Ticket::parse(bad).is_err(), "{bad}");
        }
    }
}
