use time::macros::datetime;

use super::*;
use crate::times::Precision;

const NOW: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);

fn read(text: &str) -> Result<Lines, TooMuch> {
    let rule = "{measurement}/{tags}/{field}".parse().unwrap();
    let place = Place { rule: &rule, org: "", bucket: "" };
    Lines::read(text, place, Times { now: NOW, precision: Some(Precision::Nanoseconds) })
}

/// Sensor, value and metadata of each.
fn readings(text: &str) -> Vec<(String, f64, String)> {
    let lines = read(text).unwrap();
    assert_eq!((lines.dropped, lines.first), (0, None), "{text}");
    lines.readings.into_iter().map(|reading| (reading.sensor_id, reading.value, reading.metadata)).collect()
}

#[test]
fn each_number_of_a_line_is_a_reading_of_its_own_sensor() {
    let line = r#"weather,room=hall\ 1,floor=2 temperature=21.5,humidity=40i,count=7u,open=true,note="a\"b" 1795420800000000000"#;
    let metadata = r#"{"floor":"2","note":"a\"b","room":"hall 1"}"#.to_owned();
    let expected = [("temperature", 21.5), ("humidity", 40.0), ("count", 7.0), ("open", 1.0)];
    let expected =
        expected.map(|(field, value)| (format!("weather/2/hall 1/{field}"), value, metadata.clone()));
    assert_eq!(readings(line), expected);
    let at = read(line).unwrap().readings.iter().map(|reading| reading.timestamp).collect::<Vec<_>>();
    assert_eq!(at, [Some(NOW); 4]);
}

#[test]
fn comments_blank_lines_and_texts_alone_are_no_faults() {
    let text = "# a comment\n\nup value=1\n  \nuptime format=\"3 days\"\nup value=2\r\n";
    let expected = [1.0, 2.0].map(|value| ("up/value".to_owned(), value, "{}".to_owned()));
    assert_eq!(readings(text), expected);
    assert_eq!(read("up value=1").unwrap().readings[0].timestamp, None);
}

#[test]
fn what_is_wrong_with_one_line_keeps_no_other_out() {
    let long = "x".repeat(101);
    let huge = format!("up,a={} value=1", "x".repeat(OBJECT_BYTES));
    for (line, dropped, part) in [
        ("no fields", 1, ""),
        ("up value=", 1, ""),
        ("up value=1 tomorrow", 1, ""),
        ("up value=1 1795593600000000001", 1, "24 hours"),
        ("up,a=1,a=2 value=1", 1, "twice"),
        ("up value=1e999,other=-1e999", 2, "value: must be a finite number"),
        (&format!("{long} value=1"), 1, "at most 100"),
        ("up,a=x\u{1}y value=1", 1, "control"),
        (&huge, 1, "longer than"),
    ] {
        let lines = read(&format!("first value=1\n{line}\nlast value=2")).unwrap();
        let sensors: Vec<_> = lines.readings.iter().map(|reading| reading.sensor_id.as_str()).collect();
        assert_eq!(sensors, ["first/value", "last/value"], "{line}");
        let (number, why) = lines.first.unwrap();
        assert_eq!((lines.dropped, number), (dropped, 2), "{line}: {why}");
        assert!(why.contains(part), "{line}: {why}");
    }
}

#[test]
fn a_request_makes_so_many_readings_and_bytes_of_them_at_most() {
    let line = |fields: usize| {
        let fields: Vec<String> = (0..fields).map(|n| format!("f{n}=1")).collect();
        format!("up {}", fields.join(","))
    };
    assert_eq!(read(&vec![line(1_000); 10].join("\n")).unwrap().readings.len(), MAX_LINE_READINGS);
    assert_eq!(read(&vec![line(1_001); 10].join("\n")).unwrap_err(), TooMuch);
    // 60 kB of metadata for each of 1,000 numbers
    let wide = line(1_000).replacen("up", &format!("up,tag={}", "x".repeat(80)), 1);
    let wide = wide.replacen(' ', &format!(" text=\"{}\",", "y".repeat(50_000)), 1);
    assert_eq!(read(&wide).unwrap_err(), TooMuch);
}
