//! The transcripts of docs/PROTOCOL.md are valid messages of client and gateway.

use wire::{Command, ServerMessage, Verb};

const PAGE: &str = include_str!("../../../docs/PROTOCOL.md");

fn lines(who: &str) -> impl Iterator<Item = &str> {
    PAGE.lines().filter_map(move |line| line.strip_prefix(who))
}

#[test]
fn the_client_s_messages_are_understood() {
    let mut wrong = Vec::new();
    for line in lines("> ") {
        for command in Command::parse_frame(line).unwrap_or_else(|error| panic!("{line}: {error}")) {
            if matches!(command.verb, Verb::Unknown(_) | Verb::Malformed(_)) {
                wrong.push(line);
            }
        }
    }
    // the transcript of wrong commands
    assert_eq!(wrong, [r#"{"id":1,"subscribe":{"from":"yesterday"}}"#, r#"{"id":2,"publish":{}}"#]);
}

#[test]
fn the_gateway_s_messages_read_back_to_the_byte() {
    let mut count = 0;
    for line in lines("< ") {
        let messages = ServerMessage::parse_frame(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let written = if line.starts_with('[') {
            serde_json::to_string(&messages).unwrap()
        } else {
            messages[0].to_json()
        };
        assert_eq!(written, line);
        count += 1;
    }
    assert!(count > 20, "{count} lines");
}
