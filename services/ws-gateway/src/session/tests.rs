mod identity;
mod nothing;
mod old_clients;
mod schedules;

use auth::{Scope, Subject};
use store::log::TickReadings;
use time::macros::datetime;
use wire::{
    Epoch, Filter, Reading, Resume, Tick,
    frame::{Gap, GapReason},
};

use super::*;
use crate::fanout::{batch::Batch, hub::Attach, selection::Selection, snapshot::SnapshotPage};

const LIMITS: Limits = Limits {
    message_bytes: 64 << 10,
    subscriptions: 64,
    patterns: 256,
    fragments: 64,
    commands_per_s: 1_000,
};

/// The time and the head of most tests.
fn now() -> (Position, Instant) {
    (at(5, 50), Instant::now())
}

/// Of a gateway that asks nobody who they are.
fn opening(protocol: Protocol, query: Option<&Subscribe>) -> Opening<'_> {
    let grant = Some(Arc::new(grant(Scope::all())));
    Opening { protocol, number: 7, limits: Arc::new(LIMITS), asks: false, grant, share: None, query }
}

fn grant(read: Scope) -> Grant {
    let (subject, limits) = (Subject::Anonymous, auth::Limits::default());
    Grant { subject, write: Scope::none(), read, limits, expires_at: None }
}

fn begin(protocol: Protocol, query: Option<&Subscribe>, out: &mut Outbox) -> (Session, Vec<Effect>) {
    Session::begin(opening(protocol, query), now(), out)
}

const EPOCH: Epoch = Epoch(7);

fn at(tick: i64, id: i64) -> Position {
    Position::new(EPOCH, Tick(tick), id)
}

/// A batch of one tick with these ids; each id's sensor is `s<id mod 3>`.
fn batch(predecessor: Position, tick: i64, ids: &[i64]) -> Arc<Batch> {
    let time = datetime!(2026-11-23 08:00 UTC);
    let readings = ids.iter().map(|id| Reading {
        id: *id,
        sensor_id: format!("s{}", id % 3),
        value: 1.0,
        timestamp: time,
        metadata: "{}".to_owned(),
        created_at: time,
        updated_at: time,
    });
    let tick = TickReadings::new(EPOCH, Tick(tick), time, readings.collect());
    Arc::new(Batch::from_log(predecessor, &tick).expect("a tick has readings"))
}

/// The text frames in an outbox, which is emptied.
fn frames(out: &mut Outbox) -> Vec<String> {
    let mut bytes: Vec<u8> = Vec::new();
    while !out.is_empty() {
        let chunk: Vec<u8> = out.chunks(usize::MAX).iter().flat_map(|slice| slice.to_vec()).collect();
        out.advance(chunk.len());
        bytes.extend(chunk);
    }
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let [opcode, length, ..] = rest {
        let (start, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            127 => (10, u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize),
            short => (2, usize::from(*short)),
        };
        if *opcode == 0x81 {
            frames.push(String::from_utf8(rest[start..start + length].to_vec()).unwrap());
        }
        rest = &rest[start + length..];
    }
    frames
}

fn messages(out: &mut Outbox) -> Vec<ServerMessage> {
    frames(out).iter().flat_map(|text| ServerMessage::parse_frame(text).unwrap()).collect()
}

fn ids(messages: &[ServerMessage]) -> Vec<i64> {
    let data = messages.iter().filter_map(|message| message.data.as_ref());
    data.map(|data| serde_json::from_str::<serde_json::Value>(data.get()).unwrap()["id"].as_i64().unwrap())
        .collect()
}

fn v1(out: &mut Outbox) -> Session {
    let (session, effects) = begin(Protocol::V1, None, out);
    assert_eq!(effects, []);
    let hello = messages(out);
    assert_eq!(hello[0].hello.as_ref().unwrap().pos, at(5, 50));
    session
}

fn subscribe(session: &mut Session, body: &str, out: &mut Outbox) -> Vec<Effect> {
    session.on_text(&format!(r#"{{"id":9,"subscribe":{body}}}"#), now(), out)
}

fn live(head: Position, missing: Vec<Arc<Batch>>) -> Attach {
    Attach::Live { head, missing }
}

fn deliver(session: &mut Session, sub: u32, batch: &Arc<Batch>, out: &mut Outbox) -> Vec<Effect> {
    let delivery = Delivery { sub, batch: batch.clone(), selection: Selection::All, trace: None };
    session.on_delivery(&delivery, now().1, out)
}

#[test]
fn from_now_is_ok_at_the_head_and_then_events() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    let effects = subscribe(&mut session, "{}", out);
    assert_eq!(effects, [Effect::Attach { sub: 1, filter: Arc::new(Filter::All), after: None }]);
    assert!(frames(out).is_empty(), "nothing is written before it is attached");
    session.on_attach(1, live(at(5, 50), vec![]), now().1, out);
    let ok = messages(out).remove(0);
    assert_eq!((ok.id, ok.ok.unwrap().pos), (Some(9), Some(at(5, 50))));
    deliver(&mut session, 1, &batch(at(5, 50), 6, &[51, 52]), out);
    let written = frames(out);
    assert_eq!(written.len(), 1, "a tick's readings are one frame");
    let events = ServerMessage::parse_frame(&written[0]).unwrap();
    assert_eq!(events.iter().map(|event| event.pos).collect::<Vec<_>>(), [Some(at(6, 51)), Some(at(6, 52))]);
    session.on_heartbeat(at(7, 60), false, out);
    let mark = messages(out).remove(0).mark.unwrap();
    assert_eq!((mark.pos, mark.n), (at(7, 60), 2), "a mark has the head and the count");
}

#[test]
fn one_subscription_takes_room_for_one() {
    let out = &mut Outbox::default();
    let (demo, _) = begin(Protocol::Demo, None, out);
    let (v1, _) = begin(Protocol::V1, Some(&Subscribe::default()), out);
    assert_eq!([demo, v1].map(|session| session.subscriptions.capacity()), [1, 1]);
}

#[test]
fn a_resume_replays_from_its_position_and_says_when_it_is_live() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    let from = at(3, 31);
    let effects = subscribe(&mut session, &format!(r#"{{"from":"{from}"}}"#), out);
    assert_eq!(effects, [Effect::Resolve { sub: 1, from, first: true }]);
    let effects = session.on_resolve(1, Resume::From(from), out);
    let ok = messages(out).remove(0).ok.unwrap();
    assert_eq!((ok.pos, ok.resumed), (Some(from), Some(true)));
    assert_eq!(effects, [Effect::Attach { sub: 1, filter: Arc::new(Filter::All), after: Some(from) }]);
    assert_eq!(session.on_attach(1, Attach::TooFar, now().1, out), [Effect::Read { sub: 1, after: from }]);
    // the page begins before the position: the log is read by ticks
    let page = [batch(at(2, 20), 3, &[30, 31, 32]), batch(at(3, 32), 4, &[40])];
    session.on_page(1, (&page, Position::after_tick(EPOCH, Tick(4))), now().1, out);
    session.on_attach(1, live(at(5, 50), vec![batch(at(4, 40), 5, &[49, 50])]), now().1, out);
    let messages = messages(out);
    assert_eq!(ids(&messages), [32, 40, 49, 50]);
    assert_eq!(messages.last().unwrap().live.unwrap().pos, at(5, 50));
}

#[test]
fn past_retention_a_gap_comes_before_ok() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    subscribe(&mut session, r#"{"from":"7.1.1"}"#, out);
    let gap = Gap { from: at(1, 1), to: Position::after_tick(EPOCH, Tick(3)), reason: GapReason::Retention };
    session.on_resolve(1, Resume::Gap(gap), out);
    let messages = messages(out);
    assert_eq!(messages[0].gap, Some(gap));
    let ok = messages[1].ok.unwrap();
    assert_eq!((ok.pos, ok.resumed), (Some(gap.to), Some(false)));
}

#[test]
fn a_position_of_the_future_is_refused_and_leaves_nothing_behind() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    subscribe(&mut session, r#"{"from":"7.99.1"}"#, out);
    assert_eq!(session.on_resolve(1, Resume::Ahead, out), []);
    assert_eq!(messages(out)[0].error.as_ref().unwrap().code, "bad-position");
    assert!(session.subscriptions.is_empty());
}

#[test]
fn a_position_of_the_future_in_a_running_subscription_ends_the_connection() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    subscribe(&mut session, "{}", out);
    session.on_attach(1, live(at(5, 50), vec![]), now().1, out);
    session.on_overflow();
    assert_eq!(session.on_moment(now().1, out), [Effect::Resolve { sub: 1, from: at(5, 50), first: false }]);
    frames(out);
    assert_eq!(session.on_resolve(1, Resume::Ahead, out), [Effect::Close(Close::Overloaded)]);
    assert!(frames(out).is_empty(), "no error of a command that was answered long ago");
}

#[test]
fn what_the_log_can_never_answer_is_an_error() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    subscribe(&mut session, r#"{"from":{"last":"15m"}}"#, out);
    assert_eq!(session.on_failed(1, out), []);
    assert_eq!(messages(out)[0].error.as_ref().unwrap().code, "unreadable");
    assert!(session.subscriptions.is_empty());
}

#[test]
fn nothing_is_due_while_the_outbox_is_full() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    subscribe(&mut session, r#"{"mode":"latest"}"#, out);
    session.on_attach(1, live(at(5, 50), vec![]), now().1, out);
    out.push(vec![0x8a; 1 << 20]);
    deliver(&mut session, 1, &batch(at(5, 50), 6, &[51]), out);
    assert_eq!(session.next_due(out), None, "it would be due at once, for ever");
    out.advance(out.bytes());
    assert!(session.next_due(out).is_some());
    session.on_moment(now().1, out);
    assert_eq!(ids(&messages(out)), [51]);
}

#[test]
fn pages_for_many_subscriptions_do_not_pile_up() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    let page: Vec<_> = (0..50).map(|tick| batch(at(5 + tick, 50), 6 + tick, &[51 + tick; 200])).collect();
    let mut most = 0;
    for sub in 1..=64 {
        subscribe(&mut session, r#"{"from":"7.5.50"}"#, out);
        session.on_resolve(sub, Resume::From(at(5, 50)), out);
        let before = out.bytes();
        session.on_page(sub, (&page, at(55, 100)), now().1, out);
        most = most.max(out.bytes() - before);
    }
    assert!(out.bytes() < crate::outbox::HIGH_BYTES + 2 * most, "{} in steps of {most}", out.bytes());
}

#[test]
fn control_frames_are_counted_and_answers_repeat_little() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    let now = Instant::now();
    assert!((0..10 * LIMITS.commands_per_s).all(|_| session.on_control(now)));
    assert!(!session.on_control(now));
    let long = "x".repeat(10_000);
    for text in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"subscribe":{{"max_rate":"{long}"}}}}"#)] {
        out.advance(out.bytes());
        let mut session = v1(out);
        session.on_text(&text, (at(5, 50), now), out);
        assert!(out.bytes() < 1_000, "{}", out.bytes());
    }
}

#[test]
fn a_snapshot_carries_no_positions_and_ends_with_live() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    let effects = subscribe(&mut session, r#"{"sensors":["s*"],"from":"latest"}"#, out);
    let filter = Arc::new(Filter::parse(Some(&["s*"])).unwrap());
    assert_eq!(effects, [Effect::Snapshot { sub: 1, filter, at: None, after: None }]);
    let time = datetime!(2026-11-23 08:00 UTC);
    let reading = Reading {
        id: 3,
        sensor_id: "s0".to_owned(),
        value: 1.0,
        timestamp: time,
        metadata: "{}".to_owned(),
        created_at: time,
        updated_at: time,
    };
    let page = |next: Option<&str>| SnapshotPage {
        at: at(5, 50),
        newest: [reading.clone()].into(),
        next: next.map(str::to_owned),
    };
    let effects = session.on_snapshot(1, &page(Some("s0")), out);
    let (at, after) = (Some(at(5, 50)), Some("s0".to_owned()));
    assert!(matches!(&effects[..], [Effect::Snapshot { at: a, after: b, .. }] if (*a, b) == (at, &after)));
    session.on_snapshot(1, &page(None), out);
    let at = self::at;
    session.on_attach(1, live(at(6, 51), vec![batch(at(5, 50), 6, &[51])]), now().1, out);
    let messages = messages(out);
    assert_eq!(messages[0].ok.unwrap().pos, None);
    assert!(messages[1].snap && messages[1].pos.is_none());
    assert_eq!(ids(&messages), [3, 3, 51], "what came during the snapshot follows it");
    assert_eq!(messages.last().unwrap().live.unwrap().pos, at(6, 51));
}

#[test]
fn what_is_wrong_with_a_command_is_answered_and_the_socket_lives() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    for (text, code) in [
        (r#"{"id":1,"subscribe":{"from":"nonsense"}}"#, "bad-position"),
        (r#"{"id":1,"subscribe":{"sensors":["a*b"]}}"#, "bad-pattern"),
        (r#"{"id":1,"subscribe":{"sensors":[]}}"#, "bad-pattern"),
        (r#"{"id":1,"subscribe":{"sensors":7}}"#, "bad-command"),
        (r#"{"id":1,"unsubscribe":{"sub":9}}"#, "unknown-subscription"),
        (r#"{"id":1,"publish":{}}"#, "unknown-verb"),
    ] {
        assert_eq!(session.on_text(text, now(), out), [], "{text}");
        let error = messages(out).remove(0);
        assert_eq!((error.id, error.error.unwrap().code.as_str()), (Some(1), code), "{text}");
    }
    assert_eq!(session.on_text("not json", now(), out), [Effect::Close(Close::BadMessage)]);
    let many = format!(r#"{{"sensors":[{}]}}"#, vec![r#""a""#; LIMITS.patterns + 1].join(","));
    subscribe(&mut session, &many, out);
    assert_eq!(messages(out)[0].error.as_ref().unwrap().code, "too-many-patterns");
    for _ in 0..LIMITS.subscriptions {
        subscribe(&mut session, "{}", out);
    }
    subscribe(&mut session, "{}", out);
    assert_eq!(messages(out)[0].error.as_ref().unwrap().code, "too-many-subscriptions");
}

#[test]
fn two_subscriptions_are_two_lives() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    for (sub, body) in [(1, r#"{"sensors":["s0"]}"#), (2, "{}")] {
        subscribe(&mut session, body, out);
        session.on_attach(sub, live(at(5, 50), vec![]), now().1, out);
    }
    frames(out);
    let tick = batch(at(5, 50), 6, &[51, 52, 54]);
    session.on_delivery(
        &Delivery { sub: 1, batch: tick.clone(), selection: Selection::These([0, 2].into()), trace: None },
        now().1,
        out,
    );
    deliver(&mut session, 2, &tick, out);
    let events: Vec<_> =
        messages(out).into_iter().map(|event| (event.sub.unwrap(), event.pos.unwrap().id)).collect();
    assert_eq!(events, [(1, 51), (1, 54), (2, 51), (2, 52), (2, 54)]);
    assert_eq!(
        session.on_text(r#"{"id":3,"unsubscribe":{"sub":1}}"#, now(), out),
        [Effect::Detach { sub: 1 }]
    );
    assert_eq!(messages(out)[0].ok.unwrap().sub, 1);
    session.on_heartbeat(at(6, 54), false, out);
    assert_eq!(messages(out).len(), 1, "marks only for what is subscribed");
}

#[test]
fn a_full_outbox_turns_a_session_to_the_log_and_back() {
    let out = &mut Outbox::default();
    let mut session = v1(out);
    subscribe(&mut session, "{}", out);
    session.on_attach(1, live(at(5, 50), vec![]), now().1, out);
    out.push(vec![0x8a; 1 << 20]);
    let effects = deliver(&mut session, 1, &batch(at(5, 50), 6, &[51]), out);
    assert_eq!(effects, [Effect::Detach { sub: 1 }]);
    assert!(session.is_paused());
    out.advance(out.bytes());
    assert_eq!(session.on_moment(now().1, out), [Effect::Resolve { sub: 1, from: at(5, 50), first: false }]);
    let effects = session.on_resolve(1, Resume::From(at(5, 50)), out);
    assert_eq!(effects, [Effect::Attach { sub: 1, filter: Arc::new(Filter::All), after: Some(at(5, 50)) }]);
    session.on_attach(1, live(at(6, 51), vec![batch(at(5, 50), 6, &[51])]), now().1, out);
    let messages = messages(out);
    assert_eq!(ids(&messages), [51], "nothing was lost");
    assert!(
        messages.iter().all(|message| message.ok.is_none() && message.live.is_none()),
        "its client has those"
    );
}

#[test]
fn a_close_says_bye_first() {
    let out = &mut Outbox::default();
    let session = v1(out);
    session.on_close(Close::Drain, Some(1830), out);
    let bye = messages(out).remove(0).bye.unwrap();
    assert_eq!((bye.code, bye.after_ms, bye.resume), (1012, Some(1830), true));
}
