//! Random input from peers and Redis.

use std::path::Path;

use bytes::Bytes;
use testkit::fuzz::fuzz;
use wire::{Command, Entry, EntryBuilder, Pattern, Position, ServerMessage, split_patterns};

#[track_caller]
fn check(target: &str, property: impl Fn(&[u8])) {
    fuzz(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target), property);
}

#[track_caller]
fn check_text(target: &str, property: impl Fn(&str)) {
    check(target, |input| property(&String::from_utf8_lossy(input)));
}

#[test]
fn fuzz_positions() {
    check_text("positions", |text| {
        if let Ok(position) = text.parse::<Position>() {
            assert_eq!(position.to_string(), text, "one token for one position");
        }
    });
}

#[test]
fn fuzz_patterns() {
    check_text("patterns", |list| {
        let parts = split_patterns(list);
        assert_eq!(parts.join(","), list, "nothing is lost");
        let named = Pattern::Exact(list.to_owned()).to_string();
        assert_eq!(split_patterns(&named), [named.as_str()], "one sensor is one pattern");
        for part in parts {
            let Ok(pattern) = part.parse::<Pattern>() else { continue };
            assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()), "{part}");
            assert_eq!(split_patterns(&pattern.to_string()).len(), 1, "{part}");
        }
    });
}

#[test]
fn fuzz_commands() {
    check_text("commands", |text| {
        let Ok(messages) = Command::parse_frame(text) else { return };
        for message in messages {
            let sent = message.to_json();
            let again = Command::parse_frame(&sent).unwrap();
            assert_eq!(again.iter().map(Command::to_json).collect::<Vec<_>>(), [sent]);
        }
    });
}

#[test]
fn fuzz_frames_of_a_server() {
    check_text("frames", |text| {
        let Ok(messages) = ServerMessage::parse_frame(text) else { return };
        for message in messages {
            let sent = message.to_json();
            let again = ServerMessage::parse_frame(&sent).unwrap();
            assert_eq!(again.iter().map(ServerMessage::to_json).collect::<Vec<_>>(), [sent]);
        }
    });
}

#[test]
fn fuzz_entries_of_the_stream() {
    check("entries", |input| {
        let Ok(entry) = Entry::decode(Bytes::copy_from_slice(input)) else { return };
        assert!(entry.size() <= 64 * (input.len() + 64), "{} bytes of {}", entry.size(), input.len());
        let mut builder = EntryBuilder::new(entry.at_micros);
        for row in entry.rows() {
            builder.push(row.id, row.sensor_id(), |out| out.extend_from_slice(row.data));
        }
        let again = Entry::decode(builder.finish().into()).unwrap();
        assert!(
            entry
                .rows()
                .zip(again.rows())
                .all(|(a, b)| (a.id, a.sensor_id(), a.data) == (b.id, b.sensor_id(), b.data))
        );
        assert_eq!(entry.rows().len(), again.rows().len());
    });
}
