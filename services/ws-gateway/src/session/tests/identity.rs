//! What a session does with the tokens of its client.

use wire::{ErrorCode, Start};

use super::*;

fn scope(patterns: &[&str]) -> Scope {
    Scope::parse(patterns).unwrap()
}

fn granted(subject: &str, patterns: &[&str]) -> Result<Granted, Refusal> {
    let subject = Subject::Viewer { issuer: "i".into(), subject: subject.into() };
    Ok((Arc::new(Grant { subject, ..grant(scope(patterns)) }), Some(5_000)))
}

/// A session whose client may read `s1` and `s2`, and follows everything, live.
fn live(out: &mut Outbox) -> Session {
    let (grant, _) = granted("a", &["s1", "s2"]).unwrap();
    let all = Subscribe::default();
    let opening = Opening { asks: true, grant: Some(grant), ..opening(Protocol::V1, Some(&all)) };
    let (mut session, effects) = Session::begin(opening, now(), out);
    let [Effect::Attach { sub, filter, after: None }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(**filter, Filter::parse(Some(&["s1", "s2"])).unwrap());
    session.on_attach(*sub, Attach::Live { head: at(5, 50), missing: Vec::new() }, now().1, out);
    messages(out);
    session
}

fn authenticate(
    session: &mut Session,
    text: &str,
    outcome: Result<Granted, Refusal>,
    out: &mut Outbox,
) -> Vec<Effect> {
    let effects = session.on_text(text, now(), out);
    assert!(matches!(&effects[..], [Effect::Identify { .. }]), "{effects:?}");
    assert!(session.is_identifying());
    session.on_identified(outcome, now(), out)
}

#[test]
fn a_client_that_has_yet_to_say_who_it_is_is_told_nothing_and_may_do_nothing() {
    let out = &mut Outbox::default();
    let query = Subscribe::default();
    let unknown = || Opening { asks: true, grant: None, ..opening(Protocol::V1, Some(&query)) };
    for first in
        [r#"{"ping":{}}"#, r#"{"subscribe":{}}"#, r#"{"x":1}"#, r#"[{"ping":{}},{"auth":{"token":"t"}}]"#]
    {
        let (mut session, effects) = Session::begin(unknown(), now(), out);
        assert!(effects.is_empty() && out.is_empty());
        let effects = session.on_text(first, now(), out);
        assert_eq!(effects[0], Effect::Close(Close::Unauthenticated), "{first}");
        assert!(out.is_empty());
    }
    for (outcome, close) in [
        (Err(Refusal::new(ErrorCode::BadToken, "x")), Close::Unauthenticated),
        (granted("a", &[]), Close::Forbidden),
    ] {
        let (mut session, _) = Session::begin(unknown(), now(), out);
        let effects = authenticate(&mut session, r#"{"auth":{"token":"t"}}"#, outcome, out);
        assert_eq!(effects, [Effect::Close(close)]);
        assert!(out.is_empty());
    }
}

#[test]
fn the_first_token_lets_the_query_and_what_came_behind_it_begin() {
    let out = &mut Outbox::default();
    let query = Subscribe { sensors: Some(vec!["s*".to_owned()]), ..Subscribe::default() };
    let opening = Opening { asks: true, grant: None, ..opening(Protocol::V1, Some(&query)) };
    let (mut session, _) = Session::begin(opening, now(), out);
    let text = r#"[{"id":1,"auth":{"token":"t"}},{"id":2,"ping":{}},{"id":3,"auth":{"token":"u"}},{"id":4,"ping":{}}]"#;
    let effects = authenticate(&mut session, text, granted("a", &["s1"]), out);
    let [Effect::Attach { filter, .. }, Effect::Identify { .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(**filter, Filter::parse(Some(&["s1"])).unwrap());
    let written = messages(out);
    assert!(written[0].hello.is_some());
    assert_eq!((written[1].id, written[1].auth.unwrap().expires_in_ms), (Some(1), Some(5_000)));
    assert_eq!((written[2].id, written[2].pong.is_some(), written.len()), (Some(2), true, 3));
    session.on_identified(granted("a", &["s1"]), now(), out);
    let ids: Vec<_> = messages(out).iter().map(|message| message.id).collect();
    assert_eq!(ids, [Some(3), Some(4)], "what came behind the second token waited for it");
}

#[test]
fn a_bad_token_or_another_subject_s_changes_nothing() {
    let out = &mut Outbox::default();
    let mut session = live(out);
    for (outcome, code) in [
        (Err(Refusal::new(ErrorCode::BadToken, "x")), "bad-token"),
        (granted("b", &["*"]), "forbidden"),
        (granted("a", &[]), "forbidden"),
    ] {
        let effects = authenticate(&mut session, r#"{"id":1,"auth":{"token":"t"}}"#, outcome, out);
        assert!(effects.is_empty());
        assert_eq!(messages(out)[0].error.as_ref().unwrap().code, code);
        assert_eq!(session.subscriptions[0].state, State::Live);
        assert_eq!(session.grant().unwrap().read, scope(&["s1", "s2"]));
    }
}

#[test]
fn the_same_grant_leaves_subscriptions_alone_and_a_narrower_one_goes_on_from_what_was_sent() {
    let out = &mut Outbox::default();
    let mut session = live(out);
    let text = r#"{"id":1,"auth":{"token":"t"}}"#;
    assert!(authenticate(&mut session, text, granted("a", &["s1", "s2"]), out).is_empty());
    assert!(messages(out)[0].auth.is_some());
    let effects = authenticate(&mut session, text, granted("a", &["s2"]), out);
    let [Effect::Detach { sub: 1 }, Effect::Attach { sub: 1, filter, after }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((&**filter, *after), (&Filter::parse(Some(&["s2"])).unwrap(), Some(at(5, 50))));
    messages(out);
    // 52 mod 3 is 1: what the wider filter had selected is in the missing batch again, and passed over
    let missing = vec![batch(at(5, 50), 6, &[52, 53])];
    session.on_attach(1, Attach::Live { head: at(6, 53), missing }, now().1, out);
    let written = messages(out);
    assert_eq!(written.iter().filter(|message| message.data.is_some()).count(), 1, "{written:?}");
    assert!(written[0].data.as_ref().unwrap().get().contains("s2"));
    assert!(written.iter().all(|message| message.live.is_none()), "it was live before");
    // and the delivery of the wider filter, which waited in the mailbox, is before the head
    let delivery = Delivery {
        sub: 1,
        batch: batch(at(5, 50), 6, &[52, 53]),
        selection: Selection::These([0, 1].into()),
        trace: None,
    };
    session.on_delivery(&delivery, now().1, out);
    assert!(out.is_empty());
}

#[test]
fn a_snapshot_under_way_goes_on_with_the_narrower_filter() {
    let out = &mut Outbox::default();
    let (wide, _) = granted("a", &["s1", "s2"]).unwrap();
    let latest = Subscribe { from: Start::Latest, ..Subscribe::default() };
    let opening = Opening { asks: true, grant: Some(wide), ..opening(Protocol::V1, Some(&latest)) };
    let (mut session, _) = Session::begin(opening, now(), out);
    let (narrow, _) = granted("a", &["s2"]).unwrap();
    let effects = session.regrant(narrow, out);
    let [Effect::Detach { .. }, Effect::Snapshot { filter, at: None, after: None, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(**filter, Filter::parse(Some(&["s2"])).unwrap());
}
