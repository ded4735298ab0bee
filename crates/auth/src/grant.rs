//! What a subject may do.

use wire::Filter;

use crate::{limits::Limits, scope::Scope, subject::Subject, unix_micros::UnixMicros};

/// What a subject may do, until when. It is shared as an `Arc` by all that act for the subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Whose it is.
    pub subject: Subject,
    /// What it may write.
    pub write: Scope,
    /// What it may read.
    pub read: Scope,
    /// How much of it.
    pub limits: Limits,
    /// From then on it may do nothing.
    pub expires_at: Option<UnixMicros>,
}

impl Grant {
    /// Whether readings of this sensor may be stored for it.
    pub fn may_write(&self, sensor_id: &str) -> bool {
        self.write.contains(sensor_id)
    }

    /// Whether it may see readings of this sensor, and that it exists.
    pub fn may_read(&self, sensor_id: &str) -> bool {
        self.read.contains(sensor_id)
    }

    /// What of a filter it may read.
    pub fn narrow(&self, filter: &Filter) -> Filter {
        self.read.narrow(filter)
    }

    /// Whether it has expired.
    pub fn is_over(&self, now: UnixMicros) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_and_reading_are_granted_apart_and_end_at_the_expiry() {
        let grant = Grant {
            subject: Subject::Anonymous,
            write: Scope::parse(&["acme/1"]).unwrap(),
            read: Scope::parse(&["acme/*"]).unwrap(),
            limits: Limits::default(),
            expires_at: Some(UnixMicros(10)),
        };
        assert!(grant.may_write("acme/1") && !grant.may_write("acme/2"));
        assert!(grant.may_read("acme/2") && !grant.may_read("other/1"));
        assert_eq!(grant.narrow(&Filter::All), Filter::parse(Some(&["acme/*"])).unwrap());
        assert!(!grant.is_over(UnixMicros(9)) && grant.is_over(UnixMicros(10)));
        assert!(!Grant { expires_at: None, ..grant }.is_over(UnixMicros(i64::MAX)));
    }
}
