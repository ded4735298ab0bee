/// Invalid queries.
pub(super) fn all() -> Vec<(String, &'static [u16])> {
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
