//! Who asks.

use std::{fmt, sync::Arc};

use crate::key_id::KeyId;

/// So many characters of each part are shown.
const SHOWN: usize = 128;

/// Who a credential belongs to. Its text is for logs and people: it is bounded, and therefore not unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Nobody in particular: there was no credential.
    Anonymous,
    /// A device with this key.
    Key(KeyId),
    /// Whom a token names.
    Viewer {
        /// Its `iss`.
        issuer: Arc<str>,
        /// Its `sub`.
        subject: Arc<str>,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Viewer { issuer, subject } => write!(f, "{}#{}", Shown(issuer), Shown(subject)),
        }
    }
}

/// The beginning of a text that a stranger wrote, without characters that could break a line or move the cursor.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.chars();
        for c in rest.by_ref().take(SHOWN) {
            write!(f, "{}", c.escape_debug())?;
        }
        if rest.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(issuer: &str, subject: &str) -> String {
        Subject::Viewer { issuer: issuer.into(), subject: subject.into() }.to_string()
    }

    #[test]
    fn subjects_are_shown_on_one_bounded_line() {
        assert_eq!(Subject::Anonymous.to_string(), "anonymous");
        assert_eq!(Subject::Key("0123456789ab".parse().unwrap()).to_string(), "key:0123456789ab");
        assert_eq!(viewer("https://id.example", "jörg"), "https://id.example#jörg");
        assert_eq!(viewer("a\r\nb", "\u{1b}[2J\u{2028}\u{202e}"), r"a\r\nb#\u{1b}[2J\u{2028}\u{202e}");
        let long = viewer(&"\0".repeat(10_000), &"ä".repeat(10_000));
        assert!(long.ends_with("ä…") && long.len() < 2_000, "{}", long.len());
    }
}
