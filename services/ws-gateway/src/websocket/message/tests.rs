//! The cases of the Autobahn suite that a server without echo and without compression has (1 to 7), as bytes.

use proptest::prelude::*;
use wire::frame::Limits;

use super::*;

const LIMITS: Limits =
    Limits { message_bytes: 64 << 10, subscriptions: 1, patterns: 1, fragments: 8, commands_per_s: 1 };

const TEXT: u8 = 1;
const CONTINUE: u8 = 0;
const FIN: u8 = 0x80;

/// A masked frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        middle if middle <= 0xffff => {
            out.push(0x80 | 126);
            out.extend((middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// All that comes of these bytes, and the code that ends it, if one does; the same in pieces of any size.
#[track_caller]
fn received(bytes: &[u8]) -> (Vec<Incoming>, Option<Close>) {
    let whole = in_pieces(bytes, bytes.len().max(1), &LIMITS);
    for size in [1, 2, 7] {
        assert_eq!(in_pieces(bytes, size, &LIMITS), whole, "in pieces of {size}");
    }
    whole
}

/// The messages in bytes that come in pieces of so many, and the fault that ends them.
pub(crate) fn in_pieces(bytes: &[u8], size: usize, limits: &Limits) -> (Vec<Incoming>, Option<Close>) {
    let (mut messages, mut all) = (Messages::default(), Vec::new());
    for piece in bytes.chunks(size) {
        messages.feed(piece);
        loop {
            match messages.next(limits) {
                Ok(Some(received)) => all.push(received),
                Ok(None) => break,
                Err(close) => return (all, Some(close)),
            }
        }
        let (held, most) = (messages.held(), 2 * limits.message_bytes + 32);
        assert!(held <= most + piece.len(), "{held} bytes are held");
    }
    (all, None)
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

#[track_caller]
fn check(frames: &[Vec<u8>], messages: &[Incoming], end: Option<Close>) {
    assert_eq!(received(&frames.concat()), (messages.iter().map(copy).collect(), end));
}

fn copy(received: &Incoming) -> Incoming {
    match received {
        Incoming::Text(text) => Incoming::Text(text.clone()),
        Incoming::Ping(pong) => Incoming::Ping(pong.clone()),
        Incoming::Pong => Incoming::Pong,
        Incoming::Closed(code, echo) => Incoming::Closed(*code, echo.clone()),
    }
}

#[test]
fn texts_of_any_length_arrive() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
        let sent = "*".repeat(length);
        let bytes = frame(FIN | TEXT, sent.as_bytes());
        assert_eq!(in_pieces(&bytes, 997, &LIMITS), (vec![text(&sent)], None), "{length}");
    }
}

#[test]
fn pings_are_answered_with_their_payload() {
    for payload in [&b""[..], b"hello", &[0, 255, 254], &[0xfe; 125]] {
        let pong = Incoming::Ping(frame::pong(payload));
        check(&[frame(FIN | 9, payload)], &[pong], None);
    }
    check(&[frame(FIN | 9, &[0xfe; 126])], &[], Some(Close::Protocol));
    check(&[frame(FIN | 10, b"unasked"), frame(FIN | TEXT, b"x")], &[Incoming::Pong, text("x")], None);
}

#[test]
fn reserved_bits_and_opcodes_are_a_protocol_error() {
    for rsv in [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] {
        check(&[frame(FIN | rsv | TEXT, b"x")], &[], Some(Close::Protocol));
        check(&[frame(FIN | TEXT, b"a"), frame(FIN | rsv | 9, b"")], &[text("a")], Some(Close::Protocol));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check(&[frame(FIN | opcode, b"")], &[], Some(Close::Protocol));
        check(&[frame(FIN | TEXT, b"a"), frame(FIN | opcode, b"x")], &[text("a")], Some(Close::Protocol));
    }
}

#[test]
fn a_frame_without_a_mask_is_a_protocol_error() {
    check(&[vec![FIN | TEXT, 1, b'x']], &[], Some(Close::Protocol));
}

#[test]
fn fragments_are_put_together_around_control_frames() {
    let pong = || Incoming::Ping(frame::pong(b"p"));
    check(&[frame(TEXT, b"frag"), frame(FIN, b"ment")], &[text("fragment")], None);
    check(
        &[
            frame(TEXT, b"frag"),
            frame(FIN | 9, b"p"),
            frame(CONTINUE, b"me"),
            frame(FIN | 9, b"p"),
            frame(FIN, b"nt"),
        ],
        &[pong(), pong(), text("fragment")],
        None,
    );
    check(&[frame(TEXT, b""), frame(CONTINUE, b""), frame(FIN, b"")], &[text("")], None);
    check(&[frame(9, b"a"), frame(FIN, b"b")], &[], Some(Close::Protocol));
    check(&[frame(10, b"a")], &[], Some(Close::Protocol));
    check(&[frame(FIN, b"no beginning")], &[], Some(Close::Protocol));
    check(&[frame(CONTINUE, b"no beginning")], &[], Some(Close::Protocol));
    check(&[frame(TEXT, b"a"), frame(FIN | TEXT, b"b")], &[], Some(Close::Protocol));
    check(&[frame(TEXT, b"a"), frame(FIN | 2, b"b")], &[], Some(Close::Protocol));
}

#[test]
fn text_is_utf_8_also_across_fragments_or_the_end() {
    let greek = "κόσμε".as_bytes();
    for cut in 0..greek.len() {
        check(&[frame(TEXT, &greek[..cut]), frame(FIN, &greek[cut..])], &[text("κόσμε")], None);
    }
    for bad in [
        &b"\xce\xba\xed\xa0\x80edited"[..],
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"\x80",
        b"\xc0\xaf",
        b"\xed\xbf\xbf",
        b"\xce",
        b"\xf8\x88\x80\x80\x80",
    ] {
        check(&[frame(FIN | TEXT, bad)], &[], Some(Close::NotUtf8));
    }
    // known to be wrong before the message is whole
    check(&[frame(TEXT, b"a\xff")], &[], Some(Close::NotUtf8));
    check(&[frame(TEXT, b"\xf4"), frame(CONTINUE, b"\x90")], &[], Some(Close::NotUtf8));
}

#[test]
fn binary_messages_are_unsupported() {
    check(&[frame(FIN | 2, b"x")], &[], Some(Close::Binary));
    check(&[frame(2, b"x")], &[], Some(Close::Binary));
}

#[test]
fn a_close_is_echoed_or_found_wrong() {
    let closed = |code: Option<u16>| Incoming::Closed(code, frame::close_echo(code));
    let payload = |code: u16, reason: &[u8]| [&code.to_be_bytes()[..], reason].concat();
    check(&[frame(FIN | 8, b"")], &[closed(None)], None);
    check(&[frame(FIN | 8, b"\x03")], &[], Some(Close::Protocol));
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        check(&[frame(FIN | 8, &payload(code, b"bye"))], &[closed(Some(code))], None);
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check(&[frame(FIN | 8, &payload(code, b""))], &[], Some(Close::Protocol));
    }
    check(&[frame(FIN | 8, &payload(1000, &[b'*'; 123]))], &[closed(Some(1000))], None);
    check(&[frame(FIN | 8, &payload(1000, &[b'*'; 124]))], &[], Some(Close::Protocol));
    check(&[frame(FIN | 8, &payload(1000, b"\xce\xba\xed\xa0\x80"))], &[], Some(Close::NotUtf8));
}

#[test]
fn a_message_is_bounded_in_bytes_and_in_fragments_before_it_has_come() {
    let huge = &frame(FIN | TEXT, &vec![b'x'; LIMITS.message_bytes + 1])[..20];
    assert_eq!(in_pieces(huge, 20, &LIMITS), (vec![], Some(Close::TooBig)), "its header is enough");
    let half = vec![b'x'; LIMITS.message_bytes / 2 + 1];
    let halves = [frame(TEXT, &half), frame(FIN, &half)].concat();
    assert_eq!(in_pieces(&halves, 4_096, &LIMITS), (vec![], Some(Close::TooBig)));
    let mut empty = vec![frame(TEXT, b"")];
    empty.extend(vec![frame(CONTINUE, b""); LIMITS.fragments]);
    check(&empty, &[], Some(Close::Policy));
    let most = LIMITS.fragments - 2;
    let all = [vec![frame(TEXT, b"a")], vec![frame(CONTINUE, b"a"); most], vec![frame(FIN, b"a")]].concat();
    check(&all, &[text(&"a".repeat(LIMITS.fragments))], None);
}

#[test]
fn nothing_is_kept_between_messages() {
    let mut messages = Messages::default();
    messages.feed(&frame(FIN | TEXT, &[b'x'; 5_000]));
    assert!(messages.next(&LIMITS).unwrap().is_some());
    assert_eq!(messages.rest.capacity(), 0);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        in_pieces(&bytes, 13, &LIMITS);
    }
}

/// A frame's head that announces so many bytes, and nothing of them.
fn announced(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0x80 | 127][..], &length.to_be_bytes(), &[1, 2, 3, 4]].concat()
}

#[test]
fn no_announced_length_overflows() {
    for length in [u64::MAX, u64::MAX - 1, 1 << 63, u64::from(u32::MAX), (64 << 10) + 1] {
        check(&[announced(FIN | TEXT, length)], &[], Some(Close::TooBig));
        check(&[frame(TEXT, b"a"), announced(FIN | CONTINUE, length)], &[], Some(Close::TooBig));
    }
    // together with what came before it is one byte too many
    check(&[frame(TEXT, b"a"), announced(FIN | CONTINUE, 64 << 10)], &[], Some(Close::TooBig));
}

/// Frames of any kind, with lengths that are true or not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let honest = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(first, payload)| frame(first, &payload));
    let lie = (any::<u8>(), any::<u64>()).prop_map(|(first, length)| announced(first, length));
    prop_oneof![4 => honest, 1 => lie, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader_or_make_it_keep_more_than_a_message(
        frames in prop::collection::vec(any_frame(), 0..40),
        size in 1..5_000usize,
    ) {
        let (mut messages, bytes) = (Messages::default(), frames.concat());
        'pieces: for piece in bytes.chunks(size) {
            messages.feed(piece);
            loop {
                match messages.next(&LIMITS) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'pieces,
                }
            }
            let kept = messages.rest.len() + messages.begun.as_ref().map_or(0, |(bytes, _)| bytes.len());
            prop_assert!(kept <= LIMITS.message_bytes + 14, "{kept}");
        }
    }
}
