use super::*;
use time::macros::datetime;

const TIMES: Times = Times { now: datetime!(2026-11-23 08:00 UTC), precision: None };

fn one(body: &str) -> NewReading {
    match parse(body.as_bytes(), Format::Json, TIMES) {
        Ok(Payload::One(reading)) => reading,
        other => panic!("{body}: {other:?}"),
    }
}

/// The pointer and detail of each fault.
fn faults(body: &[u8], format: Format) -> Vec<(String, String)> {
    match parse(body, format, TIMES) {
        Err(Refused::Malformed(faults)) => faults.into_iter().map(|f| (f.pointer, f.detail)).collect(),
        other => panic!("{}: {other:?}", String::from_utf8_lossy(body)),
    }
}

#[track_caller]
fn check_fault(body: &str, pointer: &str, part: &str) {
    let found = faults(body.as_bytes(), Format::Json);
    let named = found.iter().any(|(at, detail)| at == pointer && detail.contains(part));
    assert!(named, "{body}: {pointer} {part}: {found:?}");
}

#[test]
fn what_the_demo_accepted_is_read_in_the_same_way() {
    let full = one(r#"{"sensor_id":" s-1 ","value":"12.25","metadata":[1,{"a":null}],"id":9,"extra":{}}"#);
    assert_eq!(
        (full.sensor_id.as_str(), full.value, full.metadata.as_str()),
        ("s-1", 12.25, r#"[1,{"a":null}]"#)
    );
    let bare = one(r#"{"sensor_id":42,"value":-3}"#);
    assert_eq!((bare.sensor_id.as_str(), bare.value, bare.metadata.as_str()), ("42", -3.0, "{}"));
    assert_eq!(one(r#"{"sensor_id":"s","value":1,"metadata":"text"}"#).metadata, r#""text""#);
}

#[test]
fn a_key_is_text_without_control_characters() {
    let key = |json: &str| one(&format!(r#"{{"sensor_id":"s","value":1,"key":{json}}}"#)).key;
    assert_eq!(key(r#""boot-7/\u00fc""#).as_deref(), Some("boot-7/ü"));
    assert_eq!(key(&format!("{:?}", "ü".repeat(128))).as_deref(), Some(&*"ü".repeat(128)));
    assert_eq!(key("null"), None);
    for (bad, part) in [
        ("7", "a string"),
        ("\"\"", "empty"),
        (r#""a\u0000""#, "control"),
        (&format!("{:?}", "k".repeat(129)), "at most 128"),
    ] {
        check_fault(&format!(r#"{{"sensor_id":"s","value":1,"key":{bad}}}"#), "/key", part);
    }
}

#[test]
fn a_number_is_rounded_to_the_nearest_float() {
    for text in ["1.2345678902345679e19", "0.30000000000000004", "9007199254740993", "5e-324", "-0.0"] {
        let value = one(&format!(r#"{{"sensor_id":"s","value":{text}}}"#)).value;
        assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

#[test]
fn a_timestamp_is_at_most_a_day_ahead() {
    let at = |text: &str| one(&format!(r#"{{"sensor_id":"s","value":1,"timestamp":{text}}}"#)).timestamp;
    assert_eq!(at(r#""2026-11-23T10:15:30.25+02:00""#), Some(datetime!(2026-11-23 08:15:30.25 UTC)));
    assert_eq!(at(r#""2026-11-24T07:59:59Z""#), Some(datetime!(2026-11-24 07:59:59 UTC)));
    assert_eq!(at("1795421730.25"), Some(datetime!(2026-11-23 08:15:30.25 UTC)));
    assert_eq!(at("null"), None);
    for (text, part) in [
        (r#""2026-11-24T08:00:01Z""#, "24 hours"),
        (r#""yesterday""#, "RFC 3339"),
        (r#""0000-01-01T00:00:00Z""#, "RFC 3339"),
        ("1795507201", "24 hours"),
        ("1e9", "counts from 1970"),
        ("true", "RFC 3339"),
        ("{}", "RFC 3339"),
    ] {
        check_fault(&format!(r#"{{"sensor_id":"s","value":1,"timestamp":{text}}}"#), "/timestamp", part);
    }
}

#[test]
fn each_fault_has_its_pointer_and_detail() {
    check_fault("{}", "/sensor_id", "missing");
    check_fault("{}", "/value", "missing");
    check_fault("", "", "empty");
    check_fault("{", "", "EOF");
    check_fault("7", "", "object");
    check_fault(r#"{"sensor_id":"","value":1}"#, "/sensor_id", "blank");
    check_fault(r#"{"sensor_id":"  ","value":1}"#, "/sensor_id", "blank");
    check_fault(r#"{"sensor_id":null,"value":1}"#, "/sensor_id", "null");
    check_fault(r#"{"sensor_id":["a"],"value":1}"#, "/sensor_id", "string");
    check_fault(r#"{"sensor_id":true,"value":1}"#, "/sensor_id", "string");
    check_fault(r#"{"sensor_id":"a\u0000b","value":1}"#, "/sensor_id", "control");
    check_fault(
        &format!(r#"{{"sensor_id":"{}","value":1}}"#, "x".repeat(101)),
        "/sensor_id",
        "101 characters",
    );
    for value in
        ["null", "true", "[]", r#""abc""#, r#""NaN""#, r#""Infinity""#, r#""-inf""#, r#""1e400""#, "1e400"]
    {
        let part = match value {
            "null" => "null",
            _ => "finite",
        };
        check_fault(&format!(r#"{{"sensor_id":"s","value":{value}}}"#), "/value", part);
    }
    for value in ["NaN", "Infinity", "-Infinity"] {
        check_fault(&format!(r#"{{"sensor_id":"s","value":{value}}}"#), "", "JSON");
    }
    check_fault(r#"{"sensor_id":"s","value":1,"metadata":null}"#, "/metadata", "null");
    check_fault(r#"{"sensor_id":"s","value":1,"metadata":{"a":"\u0000"}}"#, "/metadata", "U+0000");
    check_fault(r#"{"sensor_id":"s","value":1,"value":2}"#, "", "twice");
    let deep = format!(r#"{{"sensor_id":"s","value":1,"metadata":{}{}}}"#, "[".repeat(99), "]".repeat(99));
    check_fault(&deep, "/metadata", "nested");
    assert!(faults(b"{\"sensor_id\":\"\xff\",\"value\":1}", Format::Json)[0].1.contains("UTF-8"));
}

#[test]
fn an_array_is_taken_whole_or_refused_with_each_index() {
    let Ok(Payload::Many(readings)) =
        parse(br#"[{"sensor_id":"a","value":1},{"sensor_id":"b","value":2}]"#, Format::Json, TIMES)
    else {
        panic!("two readings")
    };
    assert_eq!(readings.iter().map(|r| r.sensor_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let found =
        faults(br#"[{"sensor_id":"a","value":1},{"value":2},{"sensor_id":"c","value":"x"},7]"#, Format::Json);
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/1/sensor_id", "/2/value", "/3"]);
    check_fault("[]", "", "no reading");
}

#[test]
fn lines_are_readings_too() {
    let body = b"{\"sensor_id\":\"a\",\"value\":1}\n\n{\"sensor_id\":\"b\",\"value\":2}\r\n";
    let Ok(Payload::Many(readings)) = parse(body, Format::Lines, TIMES) else { panic!("two readings") };
    assert_eq!(readings.len(), 2);
    assert_eq!(faults(b"{\"sensor_id\":\"a\",\"value\":1}\nnot json\n", Format::Lines)[0].0, "/1");
}

#[test]
fn too_much_is_refused_by_bytes_and_by_number() {
    let long = format!(r#"{{"sensor_id":"s","value":1,"metadata":"{}"}}"#, "x".repeat(OBJECT_BYTES));
    assert!(matches!(parse(long.as_bytes(), Format::Json, TIMES), Err(Refused::TooLong)));
    let item = r#"{"sensor_id":"s","value":1}"#;
    let many = |n: usize| format!("[{}]", vec![item; n].join(","));
    assert!(matches!(parse(many(MAX_READINGS).as_bytes(), Format::Json, TIMES), Ok(Payload::Many(_))));
    assert!(matches!(parse(many(MAX_READINGS + 1).as_bytes(), Format::Json, TIMES), Err(Refused::TooMany)));
}
