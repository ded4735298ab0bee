use testkit::hostile::{TEXT, TEXT_BEGIN, TEXT_END, frame, text};

/// Frames that end the connection, with the code of its end.
pub(super) fn closes() -> Vec<(Vec<u8>, u16)> {
    let mut closes: Vec<(Vec<u8>, u16)> = Vec::new();
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        closes.push((frame(0x80 | opcode, 0, b""), 1002));
    }
    for rsv in [0x10, 0x20, 0x40, 0x70] {
        closes.push((frame(TEXT | rsv, 2, b"{}"), 1002));
    }
    for length in [126, 65_537, 1 << 20, 1 << 40, u64::MAX] {
        closes.push((frame(0x89, length, b""), 1002));
        closes.push((frame(0x88, length, b""), 1002));
        if length > 65_536 {
            closes.push((frame(TEXT, length, b""), 1009));
            closes.push(([frame(TEXT_BEGIN, 1, b"x"), frame(TEXT_END, length, b"")].concat(), 1009));
        }
    }
    closes.extend([
        (vec![0x81, 2, b'{', b'}'], 1002),
        (frame(0x82, 1, b"x"), 1003),
        (frame(TEXT, 1, b"\xff"), 1007),
        (frame(TEXT, 2, b"\xc0\xaf"), 1007),
        (frame(TEXT_END, 1, b"x"), 1002),
        ([frame(TEXT_BEGIN, 1, b"x"), frame(TEXT, 1, b"x")].concat(), 1002),
        (frame(0x09, 0, b""), 1002),
        (frame(0x88, 1, b"x"), 1002),
        (frame(0x88, 2, &999_u16.to_be_bytes()), 1002),
        (frame(0x88, 2, &1005_u16.to_be_bytes()), 1002),
        (frame(0x88, 3, b"\x03\xe8\xff"), 1007),
    ]);
    for message in [
        "",
        "x",
        "1",
        "null",
        "\"a\"",
        "[1]",
        "[[]]",
        "{",
        "[{}",
        "\u{0}",
        "{}{}",
        r#"{"subscribe":{"max_rate":1e400}}"#,
    ] {
        closes.push((text(message), 4400));
    }
    closes
}

/// Commands that are refused, with the code of the refusal.
pub(super) fn errors() -> Vec<(String, &'static str)> {
    let mut errors: Vec<(String, &'static str)> = Vec::new();
    for body in ["7", "null", "[]", "\"\"", r#"{"sensors":7}"#, r#"{"sensors":[7]}"#, r#"{"sensors":{}}"#] {
        errors.push((format!(r#"{{"id":1,"subscribe":{body}}}"#), "bad-command"));
    }
    for (from, code) in [
        ("7", "bad-command"),
        ("{}", "bad-command"),
        (r#"{"last":7}"#, "bad-command"),
        (r#"{"last":"x"}"#, "bad-command"),
        (r#"{"last":"-1s"}"#, "bad-command"),
        ("\"\"", "bad-position"),
        ("\"x\"", "bad-position"),
        ("\"99999999999.1.1\"", "bad-position"),
        ("\"1.1.1.1.1\"", "bad-position"),
        ("\"-1.1.1\"", "bad-position"),
    ] {
        errors.push((format!(r#"{{"id":1,"subscribe":{{"from":{from}}}}}"#), code));
    }
    for sensor in ["", "a*b", "**", "*a", "\\u0000", "\\n"] {
        errors.push((format!(r#"{{"id":1,"subscribe":{{"sensors":["{sensor}"]}}}}"#), "bad-pattern"));
    }
    errors.push((r#"{"id":1,"subscribe":{"sensors":[]}}"#.to_owned(), "bad-pattern"));
    for rate in ["0", "-1", "1e9", "\"1\"", "true"] {
        errors.push((
            format!(r#"{{"id":1,"subscribe":{{"mode":"latest","max_rate":{rate}}}}}"#),
            "bad-command",
        ));
    }
    for body in ["{}", "7", r#"{"sub":"1"}"#, r#"{"sub":-1}"#, r#"{"sub":1.5}"#, r#"{"sub":99999999999}"#] {
        errors.push((format!(r#"{{"id":1,"unsubscribe":{body}}}"#), "bad-command"));
    }
    errors.push((r#"{"id":1,"unsubscribe":{"sub":9}}"#.to_owned(), "unknown-subscription"));
    errors.push((r#"{"id":1,"auth":{}}"#.to_owned(), "bad-command"));
    errors.push((r#"{"id":1,"auth":{"token":"x"}}"#.to_owned(), "auth-not-asked"));
    for verb in ["publish", "", "Subscribe", "constructor", "\\u0000"] {
        errors.push((format!(r#"{{"id":1,"{verb}":{{}}}}"#), "unknown-verb"));
    }
    errors
}
