//! Each message, to the byte: a file in `golden/` for every message, and every message in a file.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::PathBuf};

use wire::{
    Close, Command, Empty, Epoch, ErrorCode, Mode, Position, Refusal, ServerMessage, Start, Subscribe, Tick,
    Verb,
    command::Auth,
    frame::{self, Attached, Bye, Gap, GapReason, Hello, Limits, Live, Mark},
};

const DATA: &str = r#"{"id":9,"sensor_id":"a","value":1.5,"timestamp":"2026-11-23T08:15:30.250000Z","metadata":{},"created_at":"2026-11-23T08:15:31.000000Z","updated_at":"2026-11-23T08:15:31.000000Z"}"#;

fn at(tick: i64, id: i64) -> Position {
    Position::new(Epoch(1764000000), Tick(tick), id)
}

#[track_caller]
fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{text}\n")).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        golden.trim_end(),
        text,
        "{name}: UPDATE_GOLDEN=1 rewrites it, if the format is meant to change"
    );
}

#[track_caller]
fn check_message(name: &str, message: &ServerMessage) {
    let text = message.to_json();
    check(name, &text);
    assert_eq!(ServerMessage::parse_frame(&text).unwrap()[0].to_json(), text, "{name} reads back");
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_server_message_has_its_bytes() {
    let message = ServerMessage::default;
    check_message(
        "hello",
        &ServerMessage {
            hello: Some(Hello {
                v: 1,
                session: "7f".into(),
                pos: at(4, 9),
                idle_ms: 15000,
                limits: Limits {
                    message_bytes: 65536,
                    subscriptions: 64,
                    patterns: 256,
                    fragments: 64,
                    commands_per_s: 50,
                },
            }),
            ..message()
        },
    );
    let ok = |ok| ServerMessage { id: Some(1), ok: Some(ok), ..message() };
    check_message("ok_now", &ok(Attached { sub: 1, pos: Some(at(4, 9)), resumed: None }));
    check_message("ok_resumed", &ok(Attached { sub: 1, pos: Some(at(4, 9)), resumed: Some(true) }));
    check_message("ok_snapshot", &ok(Attached { sub: 1, pos: None, resumed: None }));
    check_message(
        "error",
        &ServerMessage {
            id: Some(1),
            error: Some(Refusal::new(ErrorCode::BadPosition, "not a position").into()),
            ..message()
        },
    );
    check_message("live", &ServerMessage { sub: Some(1), live: Some(Live { pos: at(4, 9) }), ..message() });
    check_message(
        "mark",
        &ServerMessage {
            sub: Some(1),
            mark: Some(Mark { pos: at(4, 9), n: 1532, stale: false }),
            ..message()
        },
    );
    check_message(
        "mark_stale",
        &ServerMessage {
            sub: Some(1),
            mark: Some(Mark { pos: at(4, 9), n: 1532, stale: true }),
            ..message()
        },
    );
    let gap = Gap {
        from: at(1, 2),
        to: Position::after_tick(Epoch(1764000000), Tick(3)),
        reason: GapReason::Retention,
    };
    check_message("gap", &ServerMessage { sub: Some(1), gap: Some(gap), ..message() });
    check_message("pong", &ServerMessage { pong: Some(Empty {}), ..message() });
    check_message("bye", &ServerMessage { bye: Some(Bye::new(Close::Drain, Some(1830))), ..message() });
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn every_event_has_its_bytes() {
    check("event_demo", &written(|out| frame::write_demo_event(DATA.as_bytes(), out)));
    let event = written(|out| {
        frame::write_event_head(1, out);
        frame::write_event_tail(at(4, 9), DATA.as_bytes(), out);
    });
    check("event", &event);
    let read = ServerMessage::parse_frame(&format!("[{event}]")).unwrap();
    assert_eq!(
        (read[0].sub, read[0].pos, read[0].data.as_ref().unwrap().get()),
        (Some(1), Some(at(4, 9)), DATA)
    );
    let traced = written(|out| {
        frame::write_event_head(1, out);
        frame::write_event_trace(TRACE.parse().unwrap(), out);
        frame::write_event_tail(at(4, 9), DATA.as_bytes(), out);
    });
    let latest = |merged| written(|out| frame::write_latest_event(1, merged, DATA.as_bytes(), out));
    check("event_latest", &latest(0));
    check("event_merged", &latest(7));
    check("event_traced", &traced);
    assert_eq!(ServerMessage::parse_frame(&traced).unwrap()[0].traceparent.as_deref(), Some(TRACE));
    assert_eq!(ServerMessage::parse_frame(&latest(7)).unwrap()[0].merged, Some(7));
    check("event_snapshot", &written(|out| frame::write_snapshot_event(1, DATA.as_bytes(), out)));
}

#[test]
fn every_command_has_its_bytes() {
    let subscribe = |sensors, from| Verb::Subscribe(Subscribe { sensors, from, ..Subscribe::default() });
    let list = Some(vec!["a".to_owned(), "b*".to_owned()]);
    check("subscribe_now", &Command { id: Some(1), verb: subscribe(None, Start::Now) }.to_json());
    check("subscribe_latest", &Command { id: Some(1), verb: subscribe(list, Start::Latest) }.to_json());
    check(
        "subscribe_after",
        &Command { id: Some(1), verb: subscribe(None, Start::After(at(4, 9))) }.to_json(),
    );
    let last = Start::Last(std::time::Duration::from_secs(900));
    check("subscribe_last", &Command { id: Some(1), verb: subscribe(None, last) }.to_json());
    let latest = Subscribe { mode: Mode::Latest, max_rate: Some(5.0), ..Subscribe::default() };
    check("subscribe_mode_latest", &Command { id: Some(1), verb: Verb::Subscribe(latest) }.to_json());
    let auth = Auth { token: "eyJ".into() };
    check("auth", &Command { id: Some(3), verb: Verb::Auth(auth) }.to_json());
    check("unsubscribe", &Command { id: Some(2), verb: Verb::Unsubscribe(1) }.to_json());
    check("ping", &Command { id: None, verb: Verb::Ping }.to_json());
}

#[test]
fn every_golden_file_has_a_message() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let source = include_str!("golden.rs");
    for file in fs::read_dir(folder).unwrap() {
        let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        assert!(source.contains(&format!("\"{name}\"")), "nothing checks {name}.json");
    }
}
