//! What the hub does with subscriptions to nothing, and to several patterns.

use super::{
    model::{at, batch, batch_of},
    *,
};

#[test]
fn a_subscription_to_nothing_is_attached_like_others_and_gets_no_delivery() {
    let (hub, mailbox, nothing) = (Hub::new(1 << 20), Mailbox::new(), Arc::new(Filter::Any(Vec::new())));
    hub.start_at(at(0));
    for sub in [1, 2] {
        assert!(
            matches!(hub.attach(&mailbox, sub, &nothing, None), Attach::Live { head, .. } if head == at(0))
        );
    }
    assert_eq!(hub.attached().get(), 2);
    assert_eq!(hub.publish(batch(1)), 0);
    assert!(mailbox.take().deliveries.is_empty());
    hub.detach(mailbox.session, 1);
    hub.leave(mailbox.session);
    assert_eq!(hub.attached().get(), 0);
}

#[test]
fn a_subscription_of_several_patterns_gets_each_reading_once_and_a_whole_batch_as_such() {
    let hub = Hub::new(1 << 20);
    hub.start_at(at(0));
    let filters = [&["a*", "ab", "abc*"][..], &["abc*"], &["a", "b*"], &["a*", "b"], &["c*"]];
    let mailboxes = filters.map(|sensors| {
        let (mailbox, filter) = (Mailbox::new(), Arc::new(Filter::parse(Some(sensors)).unwrap()));
        assert!(matches!(hub.attach(&mailbox, 1, &filter, None), Attach::Live { .. }));
        mailbox
    });
    let readings = ["a", "ab", "abcd", "b"];
    assert_eq!(hub.publish(batch_of(1, &readings)), 3 + 1 + 2 + 4);
    let selections = mailboxes.map(|mailbox| mailbox.take().deliveries.pop().map(|own| own.selection));
    let these = |rows: &[u32]| Some(Selection::These(rows.into()));
    assert_eq!(selections, [these(&[0, 1, 2]), these(&[2]), these(&[0, 3]), Some(Selection::Each), None]);
}

#[test]
fn what_a_filter_matches_of_a_batch_is_the_same_however_often_it_is_asked_for_and_bounded_in_memory() {
    let readings = ["a", "ab", "abcd", "b"];
    let batch = batch_of(1, &readings);
    let filters = [&["a*"][..], &["b"], &["a*", "b"], &["c"], &["ab", "ab*"], &["a", "c*"]];
    let filters = filters.map(|sensors| Arc::new(Filter::parse(Some(sensors)).unwrap()));
    for _ in 0..2 {
        for filter in &filters {
            let rows = (0..).zip(readings).filter(|(_, sensor)| filter.matches(sensor));
            let rows: Vec<u32> = rows.map(|(row, _)| row).collect();
            let wanted = if rows.len() == 4 { Selection::Each } else { Selection::These(rows.into()) };
            assert_eq!(batch.matched(filter), wanted, "{filter:?}");
            // each session has a filter of its own
            assert_eq!(batch.matched(&Arc::new((**filter).clone())), wanted, "{filter:?}");
        }
    }
    let known = batch.encoded_cost();
    for n in 0..100 {
        batch.matched(&Arc::new(Filter::parse(Some(&[format!("a{n}*")])).unwrap()));
    }
    assert_eq!(batch.encoded_cost(), known);
    assert!(filters.iter().all(|filter| Arc::strong_count(filter) == 1), "it keeps no subscription's filter");
    assert_eq!(batch.bare().encoded_cost(), 0);
}
