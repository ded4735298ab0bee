//! The demo's clients, and what makes one of them speak v1.

use super::*;

#[test]
fn an_old_client_gets_the_demo_s_frames_and_nothing_else() {
    let out = &mut Outbox::default();
    let (mut session, effects) = begin(Protocol::Demo, None, out);
    assert_eq!(effects, [Effect::Attach { sub: 0, filter: Arc::new(Filter::All), after: None }]);
    session.on_attach(0, live(at(5, 50), vec![]), now().1, out);
    for noise in ["hello", "{}", r#"{"type":"x"}"#, "[1]", "{"] {
        assert_eq!(session.on_text(noise, now(), out), [], "{noise}");
    }
    deliver(&mut session, 0, &batch(at(5, 50), 6, &[51, 52]), out);
    session.on_heartbeat(at(6, 52), false, out);
    let written = frames(out);
    assert_eq!(written.len(), 2, "a frame for each reading");
    assert!(written[0].starts_with(r#"{"data":{"id":51,"sensor_id":"s0","value":1.0,"#), "{}", written[0]);
}

#[test]
fn a_v1_message_turns_an_old_connection_into_a_new_one() {
    let out = &mut Outbox::default();
    let (mut session, _) = begin(Protocol::Demo, None, out);
    session.on_attach(0, live(at(5, 50), vec![]), now().1, out);
    let effects = session.on_text(r#"{"ping":{}}"#, now(), out);
    assert_eq!(effects, [Effect::Detach { sub: 0 }]);
    let messages = messages(out);
    assert!(messages[0].hello.is_some() && messages[1].pong.is_some());
    deliver(&mut session, 0, &batch(at(5, 50), 6, &[51]), out);
    assert!(frames(out).is_empty(), "the implicit subscription has ended");
}
