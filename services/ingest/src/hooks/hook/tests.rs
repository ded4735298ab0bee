use chassis::{Faults, from_environment};
use time::macros::datetime;

use super::*;
use crate::Config;

const NOW: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);

const DATABASE: (&str, &str) = ("ROWCAST_DATABASE__URL", "postgres://a@127.0.0.1/x");

/// The hook `h` of these variables.
fn hook(variables: &[(&str, &str)]) -> Hook {
    let config: Config = from_environment(&[&[DATABASE], variables].concat()).unwrap();
    config.hooks["h"].hook("h", &mut Faults::default()).unwrap()
}

fn plain() -> Hook {
    hook(&[("ROWCAST_HOOKS__H__SENSOR", "{/id}"), ("ROWCAST_HOOKS__H__VALUE", "/v")])
}

fn ids(readings: Result<Vec<NewReading>, Problem>) -> Result<Vec<String>, String> {
    let readings = readings.map_err(|problem| problem.detail().to_owned())?;
    Ok(readings.into_iter().map(|reading| format!("{}={}", reading.sensor_id, reading.value)).collect())
}

#[test]
fn an_array_is_as_many_payloads_and_all_or_none_are_taken() {
    let body = br#"[{"id":"a","v":1},{"id":"b","v":null},{"id":"c","v":3}]"#;
    assert_eq!(ids(plain().readings(body, NOW)).unwrap(), ["a=1", "c=3"]);
    assert_eq!(ids(plain().readings(b"[]", NOW)).unwrap(), [""; 0]);
    let faults = ids(plain().readings(br#"[{"id":"a","v":1},{"v":2}]"#, NOW)).unwrap_err();
    assert_eq!(faults, "1/id: is missing");
}

#[test]
fn bodies_are_bounded_and_utf_8() {
    let long = format!(r#"{{"id":"a","v":1,"x":"{}"}}"#, "x".repeat(OBJECT_BYTES));
    for (body, part) in [
        (long.clone().into_bytes(), "at most 65536 bytes"),
        (format!("[{long}]").into_bytes(), "at most 65536 bytes"),
        (format!("[{}1]", "1,".repeat(MAX_READINGS)).into_bytes(), "at most 1000 readings"),
        (b" ".to_vec(), "the body is empty"),
        (vec![0xff], "not UTF-8"),
        (b"[1".to_vec(), "not JSON"),
    ] {
        let fault = ids(plain().readings(&body, NOW)).unwrap_err();
        assert!(fault.contains(part), "{part}: {fault}");
    }
}

#[test]
fn a_query_is_a_payload_of_text() {
    let shelly = hook(&[("ROWCAST_HOOKS__H__PRESET", "shelly")]);
    assert!(shelly.takes_query() && !plain().takes_query());
    let readings = ids(shelly.of_query("hum=54&temp=26.62&id=shellyht-F3A4D7", NOW)).unwrap();
    assert_eq!(readings, ["shellyht-F3A4D7/hum=54", "shellyht-F3A4D7/temp=26.62"]);
    for (query, part) in [
        ("", "id: is missing"),
        ("temp=1", "id: is missing"),
        ("id=a&temp=1&temp=2", "names the key \"temp\" twice"),
        ("id=a%00&temp=1", "U+0000"),
        ("id=a%0A&temp=1%22&x=2", ""),
    ] {
        match ids(shelly.of_query(query, NOW)) {
            Ok(readings) => assert_eq!(readings, ["a/x=2"], "{query}"),
            Err(fault) => assert!(!part.is_empty() && fault.contains(part), "{query}: {fault}"),
        }
    }
}

#[test]
fn a_signed_hook_takes_only_what_is_signed() {
    let signed = hook(&[
        ("ROWCAST_HOOKS__H__SENSOR", "a"),
        ("ROWCAST_HOOKS__H__VALUE", "/v"),
        ("ROWCAST_HOOKS__H__SIGNATURE__HEADER", "X-Signature"),
        ("ROWCAST_HOOKS__H__SIGNATURE__SECRET", "Jefe"),
    ]);
    let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let headers = HeaderMap::from_iter([("x-signature".parse().unwrap(), signature.parse().unwrap())]);
    let body = b"what do ya want for nothing?";
    signed.check(&headers, body).unwrap();
    assert_eq!(signed.check(&headers, b"").unwrap_err().status(), 403);
    assert_eq!(signed.check(&HeaderMap::new(), body).unwrap_err().status(), 403);
    plain().check(&HeaderMap::new(), body).unwrap();
}
