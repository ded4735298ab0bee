use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);

fn mapping() -> Mapping {
    Mapping {
        sensor: "{/id}/{field}".parse().unwrap(),
        values: Values::Each("/data".parse().unwrap()),
        time: Some("/at".parse().unwrap()),
        precision: None,
        metadata: vec![("room".to_owned(), "/room".parse().unwrap())],
        when: Vec::new(),
    }
}

/// `sensor=value` of each reading, or the faults.
fn read(mapping: &Mapping, payload: &str) -> Result<Vec<String>, Vec<String>> {
    match mapping.readings(payload, NOW) {
        Ok(readings) => {
            Ok(readings.iter().map(|reading| format!("{}={}", reading.sensor_id, reading.value)).collect())
        }
        Err(Unusable::Faulty(faults)) => {
            Err(faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect())
        }
        Err(Unusable::TooMuch) => Err(vec!["too much".to_owned()]),
    }
}

#[test]
fn each_number_within_is_a_reading_and_text_is_none() {
    let payload = r#"{"id":"d","at":null,"data":{"t":21.5,"open":true,"h":"40","note":"dry","x":null,
        "gps":{"lat":1,"lon":2},"list":[3,"four",[5]],"a/b":6}}"#;
    let expected = [
        "d/t=21.5",
        "d/open=1",
        "d/h=40",
        "d/gps/lat=1",
        "d/gps/lon=2",
        "d/list/0=3",
        "d/list/2/0=5",
        "d/a/b=6",
    ];
    assert_eq!(read(&mapping(), payload).unwrap(), expected);
}

#[test]
fn what_is_the_sensor_the_time_or_metadata_is_no_value() {
    let whole = Mapping { values: Values::Each("".parse().unwrap()), ..mapping() };
    let payload = r#"{"id":7,"at":1795420800,"room":12,"t":"21.5"}"#;
    assert_eq!(read(&whole, payload).unwrap(), ["7/t=21.5"]);
    let readings = whole.readings(payload, NOW).unwrap();
    assert_eq!(readings[0].timestamp, Some(datetime!(2026-11-23 08:00 UTC)));
    assert_eq!(readings[0].metadata, r#"{"room":12}"#);
}

#[test]
fn metadata_that_a_payload_lacks_is_left_out() {
    let payload = r#"{"id":"d","at":null,"data":{"t":1},"room":null}"#;
    assert_eq!(mapping().readings(payload, NOW).unwrap()[0].metadata, "{}");
}

#[test]
fn one_value_has_no_field_and_words_for_nothing_are_no_reading() {
    let one = Mapping {
        sensor: "acme/{/id}".parse().unwrap(),
        values: Values::One("/state".parse().unwrap()),
        time: None,
        ..mapping()
    };
    assert_eq!(read(&one, r#"{"id":"d","state":"21.5"}"#).unwrap(), ["acme/d=21.5"]);
    for state in [r#""unavailable""#, r#""unknown""#, "null", r#""""#] {
        assert_eq!(read(&one, &format!(r#"{{"id":"d","state":{state}}}"#)).unwrap(), [""; 0]);
    }
    let fault = ["/state: must be a finite number, a boolean, or text of one"];
    for state in [r#""heat""#, "[1]", "{}"] {
        assert_eq!(read(&one, &format!(r#"{{"id":"d","state":{state}}}"#)).unwrap_err(), fault);
    }
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    assert_eq!(
        read(&mapping(), r#"{"room":"hall"}"#).unwrap_err(),
        ["/id: is missing", "/data: is missing", "/at: is missing"]
    );
    assert_eq!(
        read(&mapping(), r#"{"id":"d","at":"soon","data":7}"#).unwrap_err(),
        [
            "/data: must be an object or an array",
            "/at: must be an RFC 3339 time such as 2026-11-23T08:15:30.25Z, or a number that counts from 1970"
        ]
    );
    let long = format!(r#"{{"id":"{}","at":null,"data":{{"t":1}}}}"#, "d".repeat(100));
    let fault = "/data: the sensor's id of \"t\" has 102 characters, at most 100 are allowed";
    assert_eq!(read(&mapping(), &long).unwrap_err(), [fault]);
}

#[test]
fn times_are_text_or_numbers_also_as_text() {
    for (at, precision, expected) in [
        (r#""2026-11-23T07:30:00.123456789Z""#, None, datetime!(2026-11-23 07:30:00.123456789 UTC)),
        (r#""2026-11-23T08:30:00+01:00""#, None, datetime!(2026-11-23 07:30 UTC)),
        ("1795419000.25", None, datetime!(2026-11-23 07:30:00.25 UTC)),
        (r#""1795419000250""#, None, datetime!(2026-11-23 07:30:00.25 UTC)),
        ("5", Some(Precision::Milliseconds), datetime!(1970-01-01 0:00:00.005 UTC)),
    ] {
        let mapping = Mapping { precision, ..mapping() };
        let payload = format!(r#"{{"id":"d","at":{at},"data":[1]}}"#);
        assert_eq!(mapping.readings(&payload, NOW).unwrap()[0].timestamp, Some(expected), "{at}");
    }
    let ahead = r#"{"id":"d","at":"2026-11-24T08:00:01Z","data":[1]}"#;
    assert_eq!(read(&mapping(), ahead).unwrap_err(), ["/at: is more than 24 hours ahead"]);
}

#[test]
fn payloads_for_which_no_condition_holds_have_no_readings() {
    let when = |pointer: &str, text: Option<&str>| Condition {
        pointer: pointer.parse().unwrap(),
        text: text.map(str::to_owned),
    };
    let either = Mapping {
        when: vec![when("/kind", Some("up")), when("/n", Some("1")), when("/data/t", None)],
        ..mapping()
    };
    for (payload, count) in [
        (r#"{"id":"d","at":null,"data":[1],"kind":"up"}"#, 1),
        (r#"{"id":"d","at":null,"data":[1],"n":1}"#, 1),
        (r#"{"id":"d","at":null,"data":{"t":false}}"#, 1),
        (r#"{"id":"d","at":null,"data":{"t":null,"u":1}}"#, 0),
        (r#"{"id":"d","at":null,"data":[1],"kind":"upper"}"#, 0),
        (r#"{"kind":"down"}"#, 0),
    ] {
        assert_eq!(read(&either, payload).unwrap().len(), count, "{payload}");
    }
}

#[test]
fn what_cannot_be_stored_is_refused_whole() {
    let deep = format!(r#"{{"id":"d","at":null,"data":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    for (payload, part) in [
        (deep.as_str(), "nested deeper"),
        (r#"{"id":"d","id":"e"}"#, "twice"),
        (r#"{"id":"d","at":null,"data":[1e400]}"#, "out of range"),
        (r#"{"id":"\u0000"}"#, "U+0000"),
        ("{", "EOF"),
        ("nonsense", "expected"),
    ] {
        let faults = read(&mapping(), payload).unwrap_err();
        assert!(faults[0].contains(part) && faults.len() == 1, "{payload}: {faults:?}");
    }
}

#[test]
fn metadata_that_many_numbers_share_is_bounded() {
    let payload =
        format!(r#"{{"id":"d","at":null,"room":"{}","data":[{}1]}}"#, "r".repeat(30_000), "1,".repeat(300));
    assert_eq!(read(&mapping(), &payload).unwrap_err(), ["too much"]);
    let payload = format!(r#"{{"id":"d","at":null,"data":[{}1]}}"#, "1,".repeat(MAX_LINE_READINGS));
    assert_eq!(read(&mapping(), &payload).unwrap_err(), ["too much"]);
}
