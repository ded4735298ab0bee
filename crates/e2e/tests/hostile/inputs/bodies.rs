/// Neither a number nor a name.
const NEITHER: [&str; 6] = ["", "null", "true", "{}", "[]", "\"\""];

/// Bodies that are not readings.
pub(super) fn all() -> Vec<(String, &'static [u16])> {
    let mut inputs: Vec<(String, &'static [u16])> = Vec::new();
    let values = [
        "\"abc\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-inf\"",
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        "0x10",
        "1,5",
        "\"1,5\"",
        "\"1e400\"",
        "+1",
        ".5",
        "1.",
        "--1",
        "\"\\ud800\"",
    ];
    for value in NEITHER.iter().chain(&values) {
        inputs.push((format!(r#"{{"sensor_id":"a","value":{value}}}"#), &[400]));
        inputs.push((
            format!(r#"[{{"sensor_id":"a","value":1}},{{"sensor_id":"a","value":{value}}}]"#),
            &[400],
        ));
    }
    let long = format!("\"{}\"", "x".repeat(101));
    let ids = [
        "\" \"",
        "\"\\u0000\"",
        "\"a\\u0000\"",
        "\"\\n\"",
        "\"\\u001f\"",
        "\"\\u007f\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\x\"",
        "\"a",
        &long,
        "'a'",
        "a",
        "\"\\u0085\"",
    ];
    for id in NEITHER.iter().chain(&ids) {
        inputs.push((format!(r#"{{"sensor_id":{id},"value":1}}"#), &[400]));
        inputs.push((format!(r#"[{{"sensor_id":{id},"value":1}}]"#), &[400]));
    }
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let metadata = [
        "",
        "null",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1,\"a\":2}",
        "[1,]",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
        "\"\\ud800\"",
        "1e400",
        "NaN",
        "{a:1}",
        "/**/1",
        "01",
        &deep,
    ];
    for metadata in metadata {
        inputs.push((format!(r#"{{"sensor_id":"a","value":1,"metadata":{metadata}}}"#), &[400]));
    }
    let times = [
        "1e300",
        "-1e18",
        "[1]",
        "true",
        "{}",
        "\"\"",
        "\"now\"",
        "\"2026-02-30T00:00:00Z\"",
        "\"2026-01-01\"",
        "\"2026-01-01T25:00:00Z\"",
        "\"9999-01-01T00:00:00Z\"",
        "\"0000-01-01T00:00:00Z\"",
        "\"2026-01-01T00:00:00\"",
        "\"2026-01-01T00:00:00+99:00\"",
    ];
    for time in times {
        inputs.push((format!(r#"{{"sensor_id":"a","value":1,"timestamp":{time}}}"#), &[400]));
    }
    for body in [
        "",
        " ",
        "null",
        "1",
        "\"a\"",
        "[",
        "[]",
        "[1]",
        "[null]",
        "[[]]",
        "{",
        "{}",
        "}",
        "{\"sensor_id\":\"a\"}",
        "{\"value\":1}",
        "{\"sensor_id\":\"a\",\"value\":1,\"value\":2}",
        "{\"sensor_id\":\"a\",\"value\":1}{",
        "{\"sensor_id\":\"a\",\"value\":1}\n{\"sensor_id\":\"a\",\"value\":1}",
        "<xml/>",
        "sensor_id=a&value=1",
        "\u{feff}{\"sensor_id\":\"a\",\"value\":1}",
    ] {
        inputs.push((body.to_owned(), &[400]));
    }
    let reading = r#"{"sensor_id":"a","value":1}"#;
    inputs.push((format!("[{}]", vec![reading; 1_001].join(",")), &[413]));
    inputs.push((format!(r#"{{"sensor_id":"a","value":1,"metadata":"{}"}}"#, "x".repeat(65_536)), &[413]));
    inputs
}
