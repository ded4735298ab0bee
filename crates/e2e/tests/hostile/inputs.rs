//! More than a thousand bad inputs, made from tables: each has its specified answer, and none leaves anything behind.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use testkit::hostile::{Peer, TEXT, TEXT_BEGIN, TEXT_END, frame, text};

use crate::site::Site;

/// No answer to a bad input takes longer, except where a deadline is the answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Inputs under way at once.
const AT_ONCE: usize = 50;

/// What a service says to bytes on a connection of their own: the status of its first answer; 0, it hangs up without one.
async fn status(addr: SocketAddr, said: &[u8]) -> u16 {
    let Ok(mut peer) = Peer::saying(addr, said).await else { return 0 };
    let head = tokio::time::timeout(ANSWERED_WITHIN, peer.read_head()).await.expect("an answer in time");
    let head = head.unwrap_or_default();
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Sends all of it, some at a time, and says which answers were not as specified.
async fn check(inputs: Vec<(SocketAddr, Vec<u8>, &'static [u16])>) -> usize {
    let count = inputs.len();
    let mut inputs = inputs.into_iter().peekable();
    while inputs.peek().is_some() {
        let some: Vec<_> = inputs.by_ref().take(AT_ONCE).collect();
        let answers = join_all(some.iter().map(|(addr, said, _)| status(*addr, said))).await;
        for ((_, said, expected), status) in some.iter().zip(answers) {
            let said = String::from_utf8_lossy(&said[..said.len().min(300)]).into_owned();
            assert!(expected.contains(&status), "{status} and not {expected:?} to {said:?}");
        }
    }
    count
}

/// Heads that are no HTTP, or that two servers could read differently, for any port.
fn framing(path: &str) -> Vec<(Vec<u8>, &'static [u16])> {
    let mut inputs: Vec<(Vec<u8>, &'static [u16])> = Vec::new();
    let head = |line: &str, headers: &str| format!("{line}\r\n{headers}\r\n").into_bytes();
    for line in [
        "GET",
        "GET /",
        "GET / HTTP",
        "GET / HTTP/9.9",
        "GET / HTTP/1.1 x",
        " GET / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "G\0T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET / http/1.1",
        "<script>",
        "\u{16}\u{3}\u{1}\0\u{1}",
        "SSH-2.0-x",
        "GET http:// HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "* * *",
    ] {
        inputs.push((head(line, "host: a\r\n"), &[400, 0]));
    }
    let line = format!("GET {path} HTTP/1.1");
    for headers in [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nhost: b\r\n",
        "host\r\n",
        "host : a\r\n",
        ": a\r\n",
        "host: a\r\n x: y\r\n",
        "host: a\r\nx y: z\r\n",
        "host: a\r\nx\0y: z\r\n",
        "host: a\r\nx: \0\r\n",
        "host: a\r\ncontent-length: -1\r\n",
        "host: a\r\ncontent-length: x\r\n",
        "host: a\r\ncontent-length: +1\r\n",
        "host: a\r\ncontent-length: 99999999999999999999\r\n",
        "host: a\r\ncontent-length: 1, 2\r\n",
        "host: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n",
        "host: a\r\ntransfer-encoding: chunked, chunked\r\n",
        "host: a\r\ntransfer-encoding: gzip\r\n",
        "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
    ] {
        inputs.push((head(&line, headers), &[400, 0]));
    }
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    for headers in [many(64), many(127), many(1_000), format!("x: {}\r\n", "y".repeat(17 << 10))] {
        inputs.push((head(&line, &format!("host: a\r\n{headers}")), &[431]));
    }
    inputs.push((head(&line, "host: http://a\r\norigin: https://b\r\n"), &[200, 400, 403, 404, 426]));
    inputs.push((head(&format!("GET http://b{path} HTTP/1.1"), "host: a\r\n"), &[400]));
    inputs
}

/// Bodies that are not readings.
fn bodies() -> Vec<(String, &'static [u16])> {
    let mut inputs: Vec<(String, &'static [u16])> = Vec::new();
    let values = [
        "",
        "null",
        "true",
        "{}",
        "[]",
        "\"\"",
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
    for value in values {
        inputs.push((format!(r#"{{"sensor_id":"a","value":{value}}}"#), &[400]));
        inputs.push((
            format!(r#"[{{"sensor_id":"a","value":1}},{{"sensor_id":"a","value":{value}}}]"#),
            &[400],
        ));
    }
    let long = format!("\"{}\"", "x".repeat(101));
    let ids = [
        "",
        "null",
        "true",
        "{}",
        "[]",
        "\"\"",
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
    for id in ids {
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
        "1",
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

/// Queries that mean nothing.
fn queries() -> Vec<(String, &'static [u16])> {
    let mut inputs: Vec<(String, &'static [u16])> = Vec::new();
    let positions = [
        "x",
        "1",
        "1.2.3.4.5",
        "-1.1.1",
        "1..1",
        "1.1.1%00",
        "99999999999999999999.1.1",
        "%F0%9F%8C%A1",
        &"1".repeat(65),
    ];
    for position in positions {
        inputs.push((format!("/sse/sensors/?from={position}"), &[400]));
        inputs.push((format!("/api/changes?since={position}"), &[400]));
    }
    let long = "x".repeat(101);
    let patterns = ["", "a*b", "**", "a**", "*a", "%00", "%0A", "a%1F", ",", "a,,b", &long];
    for pattern in patterns {
        for path in ["/sse/sensors/", "/api/changes", "/api/readings", "/api/latest"] {
            inputs.push((format!("{path}?sensor={pattern}"), &[400]));
        }
    }
    let many = vec!["a"; 300].join(",");
    for path in ["/sse/sensors/", "/api/changes", "/api/readings", "/api/latest"] {
        inputs.push((format!("{path}?sensor={many}"), &[400]));
    }
    for limit in ["x", "-1", "1.5", "1e3", "", "%00", "0x10"] {
        for path in ["/api/changes", "/api/readings", "/api/latest"] {
            inputs.push((format!("{path}?limit={limit}"), &[400]));
        }
    }
    for wait in ["x", "-1s", "1", "", "1y2", "99999999999999999999s"] {
        inputs.push((format!("/api/changes?wait={wait}"), &[400]));
    }
    for (name, values) in [
        ("mode", &["x", "", "ALL", "latest,all"][..]),
        ("max_rate", &["x", "0", "-1", "1e9", "NaN", "inf", ""]),
        ("last", &["x", "-1s", "", "1", "15 mins ago"]),
    ] {
        for value in values {
            inputs.push((format!("/sse/sensors/?{name}={value}"), &[400]));
        }
    }
    for (name, values) in [
        ("from", &["x", "2026-01-01", "", "1", "2026-02-30T00:00:00Z"][..]),
        ("to", &["x", "2026-01-01", "", "-1"]),
        ("order", &["x", "", "ASC", "asc,desc"]),
        ("bucket", &["x", "0s", "-1s", "", "1ms", "999d"]),
        ("cursor", &["x", "", "%00", "1.2"]),
        ("unknown", &["x", ""]),
        ("sensor_id", &["a"]),
    ] {
        for value in values {
            inputs.push((format!("/api/readings?{name}={value}"), &[400]));
        }
    }
    for path in [
        "/nothing",
        "/api",
        "/api/",
        "/ws",
        "/..",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//",
        "/sse",
        "/api/sensors/%00x",
    ] {
        inputs.push((path.to_owned(), &[400, 404]));
    }
    inputs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bad_requests_are_answered_as_specified_and_change_nothing() {
    let site = Site::start(&[]).await;
    let (ingest, gateway) = (site.stack.ingest.public(), site.gateway().public());
    let mut inputs = Vec::new();
    for service in site.stack.services() {
        for (addr, path) in [(service.http, "/api/sensors/"), (Some(service.admin), "/livez")] {
            let Some(addr) = addr else { continue };
            inputs.extend(framing(path).into_iter().map(|(said, expected)| (addr, said, expected)));
        }
    }
    let post = |body: &[u8], headers: &str| {
        let head = format!(
            "POST /api/sensors/ HTTP/1.1\r\nhost: a\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    for (body, expected) in bodies() {
        for media in
            ["", "content-type: application/json\r\n", "content-type: application/json; charset=utf-8\r\n"]
        {
            inputs.push((ingest, post(body.as_bytes(), media), expected));
        }
        // what is not packed as it says
        for coding in ["gzip", "zstd"] {
            inputs.push((
                ingest,
                post(body.as_bytes(), &format!("content-encoding: {coding}\r\n")),
                &[400, 413],
            ));
        }
        inputs.push((ingest, post(body.as_bytes(), "content-type: text/plain\r\n"), &[415]));
        inputs.push((ingest, post(body.as_bytes(), "content-encoding: br\r\n"), &[415]));
    }
    for (path, expected) in queries() {
        inputs.push((gateway, format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes(), expected));
    }
    let count = check(inputs).await;
    assert!(count > 1_000, "{count}");
    assert_eq!(site.stack.psql("select count(*) from sensor_readings"), "0");
    site.sessions(0).await;
    site.serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_frames_and_commands_are_answered_as_specified_and_leave_nothing_behind() {
    let site = Site::start(&[]).await;
    let gateway = site.gateway().public();
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
    for said in [
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
        closes.push((text(said), 4400));
    }
    // each waits a moment for the peer's own close
    join_all(closes.iter().map(|(said, code)| async move {
        let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
        peer.say(said).await.unwrap();
        let bye = peer.read_until(&format!(r#""bye":{{"code":{code},"#)).await;
        bye.unwrap_or_else(|error| panic!("{said:x?}: {error}"));
        assert!(peer.read_to_end(ANSWERED_WITHIN).await.is_some(), "{said:x?}");
    }))
    .await;
    let mut errors: Vec<(String, &str)> = Vec::new();
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
    let mut peer = Peer::socket(gateway, "/ws/sensors/?v=1").await.unwrap();
    for (said, code) in &errors {
        peer.say(&text(said)).await.unwrap();
        let answer = peer.read_until(r#""retry":"#).await.unwrap_or_else(|error| panic!("{said}: {error}"));
        assert!(answer.contains(&format!(r#"{{"id":1,"error":{{"code":"{code}""#)), "{said}: {answer}");
    }
    assert!(closes.len() + errors.len() > 80);
    drop(peer);
    site.sessions(0).await;
    site.serves().await;
}
