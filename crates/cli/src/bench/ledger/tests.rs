//! Each fault of a client against a ledger of six readings.

use super::*;

/// Ids 11..=16, two alternating streams.
fn ledger() -> Ledger {
    let writes: Vec<Write> =
        (11..=16).map(|id| Write { id, stream: 90 + id as u64 % 2, request: id as u32 }).collect();
    Ledger::new(&writes)
}

fn account(ids: &[i64]) -> Account {
    let ledger = ledger();
    let mut account = Account::new(&ledger, &Follows::Everything);
    for id in ids {
        account.arrive(&ledger, *id);
    }
    account
}

#[track_caller]
fn check(ids: &[i64], expected: [u64; 4]) {
    let account = account(ids);
    let got = [account.missing() as u64, account.twice, account.out_of_order, account.foreign];
    assert_eq!(got, expected, "missing, twice, out of order, foreign");
}

#[test]
fn what_came_once_and_in_order_is_without_fault() {
    check(&[11, 12, 13, 14, 15, 16], [0, 0, 0, 0]);
}

#[test]
fn writes_of_different_connections_may_come_in_any_order() {
    check(&[12, 14, 11, 16, 13, 15], [0, 0, 0, 0]);
}

#[test]
fn a_lost_reading_is_missing() {
    check(&[11, 12, 14, 15, 16], [1, 0, 0, 0]);
    check(&[], [6, 0, 0, 0]);
}

#[test]
fn a_reading_that_comes_again_is_counted_each_time() {
    check(&[11, 12, 12, 13, 14, 15, 16, 12], [0, 2, 0, 0]);
}

#[test]
fn a_reading_behind_a_later_one_of_its_stream_is_out_of_order() {
    check(&[13, 12, 11, 14, 15, 16], [0, 0, 1, 0]);
    check(&[15, 13, 11, 12, 14, 16], [0, 0, 2, 0]);
}

#[test]
fn a_foreign_reading_is_counted_apart() {
    check(&[10, 11, 12, 13, 14, 15, 16, 17, -1, i64::MIN, i64::MAX], [0, 0, 0, 5]);
}

#[test]
fn an_id_in_two_answers_is_counted() {
    let write = Write { id: 5, stream: 0, request: 0 };
    let ledger = Ledger::new(&[write, write]);
    assert_eq!((ledger.len(), ledger.repeated()), (1, 1));
}

#[test]
fn nothing_written_is_an_empty_ledger() {
    let ledger = Ledger::new(&[]);
    let mut account = Account::new(&ledger, &Follows::Everything);
    assert!(!account.arrive(&ledger, 0));
    assert_eq!((account.missing(), account.foreign), (0, 1));
}

#[test]
fn the_order_is_equal_only_for_equal_sequences() {
    let order = account(&[11, 12, 13]).order();
    assert_eq!(order, account(&[11, 12, 12, 99, 13]).order(), "without repetitions and foreign readings");
    assert_ne!(order, account(&[12, 11, 13]).order());
    assert_ne!(order, account(&[11, 13]).order());
}

#[test]
fn disorder_between_clients_is_counted_exactly() {
    let count = |reference: &[i64], ids: &[i64]| disorder(&ledger(), reference, ids);
    assert_eq!(count(&[12, 11, 14, 13], &[12, 11, 14, 13]), 0);
    assert_eq!(count(&[11, 12, 13, 14], &[12, 11, 13, 14]), 1);
    assert_eq!(count(&[11, 12, 13, 14], &[14, 11, 12, 13]), 3);
    assert_eq!(
        count(&[11, 12, 13, 14], &[11, 13, 13, 99, 14]),
        0,
        "lost, duplicate and foreign readings are no disorder"
    );
    assert_eq!(count(&[11, 13, 14], &[11, 12, 13, 14]), 0);
}

#[test]
fn a_request_is_found_by_its_id() {
    assert_eq!(ledger().request(13), Some(13));
    assert_eq!(ledger().request(99), None);
}

#[test]
fn a_client_that_follows_some_sensors_misses_only_theirs() {
    let writes: Vec<Write> =
        (1..=6).map(|id| Write { id, stream: (7 << 32) | (id as u64 % 3), request: 0 }).collect();
    let ledger = Ledger::new(&writes);
    let mut account = Account::new(&ledger, &Follows::Some { first: 2, count: 2, of: 3 });
    assert_eq!(account.missing(), 4, "two readings of each of the sensors 2 and 0");
    for id in [2, 3, 5] {
        assert!(account.arrive(&ledger, id));
    }
    assert!(!account.arrive(&ledger, 4), "sensor 1 was not subscribed to");
    assert_eq!((account.missing(), account.foreign), (1, 1));
}
