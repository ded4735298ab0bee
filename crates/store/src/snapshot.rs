//! A Postgres snapshot: the transactions that had ended when it was taken.

use std::str::FromStr;

/// `xmin:xmax:xip,…`, as `pg_snapshot` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Every transaction below it had ended.
    xmin: u64,
    /// None from here on had.
    xmax: u64,
    /// Those between the two that were open, ascending.
    open: Vec<u64>,
}

/// The text is not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot: {0:?}")]
pub(crate) struct BadSnapshot(String);

impl Snapshot {
    /// Whether a transaction's committed rows show in it. The same as `pg_visible_in_snapshot`.
    pub(crate) fn shows(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.open.binary_search(&xid).is_err())
    }
}

impl FromStr for Snapshot {
    type Err = BadSnapshot;

    fn from_str(text: &str) -> Result<Self, BadSnapshot> {
        let bad = || BadSnapshot(text.to_owned());
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or_else(bad);
        let (xmin, xmax) = (number()?, number()?);
        let open = match text.splitn(3, ':').nth(2).ok_or_else(bad)? {
            "" => Vec::new(),
            list => list.split(',').map(|xid| xid.parse().map_err(|_| bad())).collect::<Result<_, _>>()?,
        };
        Ok(Self { xmin, xmax, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_shows_ended_transactions_alone() {
        let snapshot: Snapshot = "10:20:12,15".parse().unwrap();
        for (xid, shown) in
            [(9, true), (10, true), (12, false), (13, true), (15, false), (19, true), (20, false)]
        {
            assert_eq!(snapshot.shows(xid), shown, "{xid}");
        }
        assert!("10:10:".parse::<Snapshot>().unwrap().shows(9));
        for bad in ["", "1", "1:2", "a:2:", "1:2:x"] {
            assert!(bad.parse::<Snapshot>().is_err(), "{bad}");
        }
    }
}
