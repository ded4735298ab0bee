//! The ledger: which readings must have arrived, and whether they did.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

/// One event that a client received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The reading's id.
    pub id: i64,
    /// Its sensor.
    pub sensor: String,
    /// Its value: writers count up in it.
    pub value: i64,
}

/// Checks that a client's log holds each committed reading once and nothing else, and that each sensor's readings
/// arrived in the order in which they were written.
pub fn check(log: &[Event], committed: &BTreeSet<i64>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for event in log {
        ensure!(seen.insert(event.id), "reading {} arrived twice", event.id);
    }
    let lost: Vec<_> = committed.difference(&seen).take(10).collect();
    let unknown: Vec<_> = seen.difference(committed).take(10).collect();
    let (have, want) = (seen.len(), committed.len());
    ensure!(lost.is_empty(), "lost {lost:?} and maybe more: {have} of {want} arrived");
    ensure!(unknown.is_empty(), "never committed: {unknown:?}");
    in_order(log)
}

/// I5: a sensor's readings, written one after the other, arrive in that order.
fn in_order(log: &[Event]) -> Result<()> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for event in log.iter().filter(|event| event.sensor.starts_with("writer-")) {
        if let Some(before) = last.insert(&event.sensor, event.value)
            && before >= event.value
        {
            bail!("{}: {} arrived before {}", event.sensor, before, event.value);
        }
    }
    Ok(())
}

/// Checks that all logs are equal.
pub fn check_same(logs: &[Vec<Event>]) -> Result<()> {
    for (number, log) in logs.iter().enumerate().skip(1) {
        let ids = |log: &[Event]| log.iter().map(|event| event.id).collect::<Vec<_>>();
        let (first, own) = (ids(&logs[0]), ids(log));
        if let Some(at) = (0..first.len().max(own.len())).find(|at| first.get(*at) != own.get(*at)) {
            bail!(
                "client {number} differs from client 0 at event {at}: {:?} and {:?}",
                own.get(at),
                first.get(at)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(events: &[(i64, &str, i64)]) -> Vec<Event> {
        events
            .iter()
            .map(|(id, sensor, value)| Event { id: *id, sensor: (*sensor).to_owned(), value: *value })
            .collect()
    }

    #[test]
    fn lost_duplicate_and_reordered_readings_are_found() {
        let committed = BTreeSet::from([1, 2, 3]);
        let whole = log(&[(1, "writer-0", 1), (3, "x", 0), (2, "writer-0", 2)]);
        check(&whole, &committed).unwrap();
        let error = |events: &[(i64, &str, i64)]| check(&log(events), &committed).unwrap_err().to_string();
        assert!(error(&[(1, "a", 1), (2, "a", 2)]).contains("lost [3]"));
        assert!(error(&[(1, "a", 1), (1, "a", 1)]).contains("twice"));
        assert!(error(&[(1, "a", 1), (2, "a", 2), (3, "a", 3), (4, "a", 4)]).contains("never committed"));
        assert!(error(&[(2, "writer-0", 2), (1, "writer-0", 1), (3, "x", 0)]).contains("arrived before"));
        assert!(check_same(&[whole.clone(), whole.clone()]).is_ok());
        assert!(check_same(&[whole.clone(), whole[..2].to_vec()]).is_err());
    }
}
