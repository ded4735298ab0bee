//! The subscription's life, message by message.

use super::*;
use wire::Mode;

fn live(start: Start) -> Live {
    Live::new(vec!["b*".to_owned()], start)
}

#[track_caller]
fn receive(live: &mut Live, text: &str) -> Received {
    live.on_message(ServerMessage::parse_frame(text).unwrap().remove(0))
}

#[track_caller]
fn check_from(live: &mut Live, from: &str) {
    let sent = live.on_open();
    assert_eq!(sent, format!(r#"{{"id":1,"subscribe":{{"from":"{from}","sensors":["b*"]}}}}"#));
}

#[test]
fn whatever_carries_a_position_is_resumed_from() {
    for (text, from) in [
        (r#"{"id":1,"ok":{"sub":1,"pos":"1.2"}}"#, "1.2"),
        (r#"{"sub":1,"pos":"1.2.3","data":{"id":3}}"#, "1.2.3"),
        (r#"{"sub":1,"live":{"pos":"1.5"}}"#, "1.5"),
        (r#"{"sub":1,"mark":{"pos":"1.6","n":3}}"#, "1.6"),
        (r#"{"sub":1,"gap":{"from":"1.1","to":"1.7","reason":"retention"}}"#, "1.7"),
    ] {
        let mut live = live(Start::Now);
        assert_eq!(live.on_open(), r#"{"id":1,"subscribe":{"from":"now","sensors":["b*"]}}"#);
        receive(&mut live, text);
        check_from(&mut live, from);
    }
}

#[test]
fn what_carries_none_leaves_the_start_alone() {
    for text in [
        r#"{"id":1,"ok":{"sub":1}}"#,
        r#"{"sub":1,"snap":true,"data":{"id":3}}"#,
        r#"{"hello":{"v":1,"session":"s","pos":"9.9","idle_ms":1500,"limits":{"message_bytes":1,"subscriptions":1,"patterns":1,"fragments":1,"commands_per_s":1}}}"#,
        r#"{"pong":{}}"#,
    ] {
        let mut live = live(Start::Latest);
        receive(&mut live, text);
        check_from(&mut live, "latest");
    }
}

#[test]
fn hello_sets_the_limit_of_silence() {
    let mut live = live(Start::Now);
    assert_eq!(live.silence(), SILENCE_BEFORE_HELLO);
    receive(
        &mut live,
        r#"{"hello":{"v":1,"session":"s","pos":"9.9","idle_ms":1500,"limits":{"message_bytes":1,"subscriptions":1,"patterns":1,"fragments":1,"commands_per_s":1}}}"#,
    );
    assert_eq!(live.silence(), Duration::from_secs(3));
    live.on_open();
    assert_eq!(live.silence(), SILENCE_BEFORE_HELLO);
}

#[test]
fn waits_double_to_a_ceiling_and_start_over_once_attached() {
    let mut live = live(Start::Now);
    let why = Ended::Unreachable("refused".to_owned());
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(live.on_end(&why, 1.0));
    }
    let expected = [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000];
    assert_eq!(waits, expected.map(|ms| After::Wait(Duration::from_millis(ms))));
    receive(&mut live, r#"{"id":1,"ok":{"sub":1,"pos":"1.2"}}"#);
    assert_eq!(live.on_end(&why, 0.5), After::Wait(Duration::from_millis(125)));
}

#[test]
fn after_a_drain_it_reconnects_when_the_gateway_asks() {
    let mut live = live(Start::Now);
    receive(&mut live, r#"{"bye":{"code":1012,"reason":"drain","after_ms":1830,"resume":true}}"#);
    let drained = Ended::Closed(1012, "drain".to_owned());
    assert_eq!(live.on_end(&drained, 0.0), After::Wait(Duration::from_millis(1_830)));
    assert_eq!(live.on_end(&drained, 1.0), After::Wait(FIRST_WAIT));
}

#[test]
fn too_slow_takes_a_snapshot_and_a_fault_of_the_client_stops() {
    let mut live = live(Start::Now);
    receive(&mut live, r#"{"id":1,"ok":{"sub":1,"pos":"1.2"}}"#);
    for code in [1002, 1003, 1007, 1009, 4400] {
        assert_eq!(live.on_end(&Ended::Closed(code, String::new()), 0.0), After::Stop, "{code}");
    }
    for code in [1000, 1001, 1006, 1011, 1013, 4409, 4429, 4999] {
        assert_eq!(
            live.on_end(&Ended::Closed(code, String::new()), 0.0),
            After::Wait(Duration::ZERO),
            "{code}"
        );
    }
    assert_eq!(live.on_end(&Ended::Closed(4408, String::new()), 0.0), After::Snapshot(Duration::ZERO));
    check_from(&mut live, "latest");
}

#[test]
fn a_wrong_address_stops_only_before_the_first_success() {
    let mut live = live(Start::Now);
    assert_eq!(live.on_end(&Ended::Status(503), 0.0), After::Wait(Duration::ZERO));
    assert_eq!(live.on_end(&Ended::Status(429), 0.0), After::Wait(Duration::ZERO));
    assert_eq!(live.on_end(&Ended::Status(404), 0.0), After::Stop);
    receive(&mut live, r#"{"id":1,"ok":{"sub":1,"pos":"1.2"}}"#);
    assert_eq!(live.on_end(&Ended::Status(404), 0.0), After::Wait(Duration::ZERO));
}

#[test]
fn a_refusal_is_reported() {
    let mut live = live(Start::Now);
    let received =
        receive(&mut live, r#"{"id":1,"error":{"code":"bad-position","message":"no","retry":false}}"#);
    assert!(matches!(received, Received::Refused(text) if text == "bad-position: no"));
}

#[test]
fn mode_latest_resumes_from_its_marks_and_keeps_its_mode() {
    let mut live = Live::of(Subscribe { mode: Mode::Latest, max_rate: Some(2.0), ..Subscribe::default() });
    receive(&mut live, r#"{"id":1,"ok":{"sub":1,"pos":"1.2"}}"#);
    let received = receive(&mut live, r#"{"sub":1,"merged":4,"data":{"id":3}}"#);
    assert!(matches!(received, Received::Reading { pos: None, merged: Some(4), .. }), "{received:?}");
    receive(&mut live, r#"{"sub":1,"mark":{"pos":"1.6","n":1}}"#);
    assert_eq!(live.on_open(), r#"{"id":1,"subscribe":{"from":"1.6","max_rate":2.0,"mode":"latest"}}"#);
    live.on_end(&Ended::Closed(4408, String::new()), 0.0);
    assert_eq!(live.on_open(), r#"{"id":1,"subscribe":{"from":"latest","max_rate":2.0,"mode":"latest"}}"#);
}

#[test]
fn a_time_in_the_past_is_sent_until_there_is_a_position() {
    let mut live = Live::of(Subscribe { from: Start::last("15m").unwrap(), ..Subscribe::default() });
    let first = r#"{"id":1,"subscribe":{"from":{"last":"15m"}}}"#;
    assert_eq!((live.on_open().as_str(), live.position()), (first, None));
    live.on_end(&Ended::Silent, 0.0);
    assert_eq!(live.on_open(), first);
    receive(&mut live, r#"{"id":1,"ok":{"sub":1,"pos":"1.2","resumed":true}}"#);
    assert_eq!(live.position(), Some("1.2".parse().unwrap()));
}

#[test]
fn staleness_is_reported_when_it_begins_and_ends_across_connections() {
    let mut live = live(Start::Now);
    let stale = r#"{"sub":1,"mark":{"pos":"1.6","n":3,"stale":true}}"#;
    let fresh = r#"{"sub":1,"mark":{"pos":"1.6","n":3}}"#;
    assert!(matches!(receive(&mut live, fresh), Received::Nothing));
    assert!(matches!(receive(&mut live, stale), Received::Stale(true)));
    live.on_end(&Ended::Silent, 0.0);
    live.on_open();
    assert!(matches!(receive(&mut live, stale), Received::Nothing));
    assert!(matches!(receive(&mut live, fresh), Received::Stale(false)));
    check_from(&mut live, "1.6");
}
