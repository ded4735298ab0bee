//! The public ports under TLS, as stock clients use them, and through a change of the certificate.

use std::{process::Command, time::Duration};

use e2e::{
    Plan, Stack, client, http,
    stack::{Running, borrowed},
    tls::Certificates,
};
use serde_json::{Value, json};
use testkit::wait_for;

use crate::stock_clients::{Lines, PYTHON, value};

/// The services look at the files every 5 s.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

const EXPIRY: &str = "rowcast_http_certificate_expiry_timestamp_seconds";

/// The beginning of 2040 and of 2045, in seconds since 1970.
const IN_2040: f64 = 2_208_988_800.0;
const IN_2045: f64 = 2_366_841_600.0;

async fn stack(certificates: &Certificates) -> Stack {
    let env = certificates.env(&["ingest", "ws-gateway"]);
    Stack::start_with(Plan { gateways: 1, listeners: 1 }, &borrowed(&env)).await.unwrap()
}

/// curl, which trusts the authority, with these arguments for a path of the service.
fn curl(certificates: &Certificates, service: &Running, path: &str, args: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--no-buffer", "--cacert"]).arg(certificates.authority());
    curl.args(args).arg(format!("https://localhost:{}{path}", service.public().port()));
    curl
}

/// The same to its end: what it prints.
#[track_caller]
fn answer(mut curl: Command) -> String {
    let ran = curl.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn post(certificates: &Certificates, stack: &Stack, number: i64, args: &[&str]) {
    let body = json!({"sensor_id": "stock", "value": number}).to_string();
    let sent = ["--json", &body, "--output", "/dev/null", "--write-out", "%{http_code} %{http_version}"];
    let answered = answer(curl(certificates, &stack.ingest, "/api/sensors/", &[&sent[..], args].concat()));
    let version = if args.contains(&"--http1.1") { "1.1" } else { "2" };
    assert_eq!(answered, format!("201 {version}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_python_s_websockets_work_over_tls_and_a_plain_request_is_told() {
    let certificates = Certificates::until(2040).unwrap();
    let stack = stack(&certificates).await;
    let gateway = &stack.gateways[0];
    let url = format!("wss://localhost:{}/ws/sensors/", gateway.public().port());
    let mut python =
        Lines::of(Command::new("/usr/bin/python3").args(["-c", PYTHON, &url]).arg(certificates.authority()));
    python.until(|line| line.contains(r#""ok""#).then_some(()));
    let mut streams = Vec::new();
    for version in ["--http1.1", "--http2"] {
        let mut stream = Lines::of(&mut curl(&certificates, gateway, "/sse/sensors/", &[version]));
        stream.until(|line| line.contains("event: live").then_some(()));
        streams.push(stream);
    }
    for (number, args) in [(7, &["--http1.1"][..]), (8, &["--http2"]), (9, &["--tls-max", "1.2"])] {
        post(&certificates, &stack, number, args);
        assert_eq!(python.until(value), number as f64);
        for stream in &mut streams {
            let read = stream.until(|line| {
                serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok()?["value"].as_f64()
            });
            assert_eq!(read, number as f64);
        }
    }
    for service in [&stack.ingest, gateway] {
        let plain = http::get(service.public(), "/api/sensors/").await.unwrap();
        assert_eq!(
            (plain.status, plain.json()["type"].as_str()),
            (400, Some("urn:rowcast:problem:tls-required"))
        );
        assert_eq!(service.metric(EXPIRY).await.unwrap(), IN_2040);
        assert_eq!(
            http::get(service.admin, "/livez").await.unwrap().status,
            200,
            "the admin port stays plain"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_for_new_connections_and_a_bad_one_is_for_none() {
    let certificates = Certificates::until(2040).unwrap();
    let stack = stack(&certificates).await;
    let gateway = &stack.gateways[0];
    let socket = certificates.connect_v1(gateway.public()).await.unwrap();
    let (mut socket, _) = client::subscribe(socket, "{}").await;
    let mut last = 0;
    let mut receives = async |what: &str| {
        last += 1;
        post(&certificates, &stack, last, &[]);
        let messages = client::messages_until(&mut socket, |message| message.data.is_some()).await;
        let data = messages.into_iter().find_map(|message| message.data).unwrap();
        assert!(data.get().contains(&format!("\"value\":{last}")), "{what}: {data}");
    };
    receives("before").await;
    let key = std::fs::read(certificates.key()).unwrap();
    std::fs::write(certificates.key(), "not yet complete").unwrap();
    gateway.await_degraded("certificate").await;
    receives("while the key is not one").await;
    let certificate = answer(curl(&certificates, gateway, "/openapi.json", &["--head"]));
    assert!(certificate.starts_with("HTTP/2 200"), "the old one serves: {certificate}");
    std::fs::write(certificates.key(), key).unwrap();
    gateway.await_healthy().await;
    certificates.renew(2045).unwrap();
    for service in [&stack.ingest, gateway] {
        wait_for("the new certificate", NOTICED_WITHIN, async || match service.metric(EXPIRY).await {
            Ok(IN_2045) => Ok(()),
            other => Err(other.map_err(|error| error.to_string())),
        })
        .await;
    }
    let shown = curl(&certificates, gateway, "/openapi.json", &["--head", "--write-out", "%{certs}"]);
    assert!(answer(shown).contains("Expire date:Jan  1 00:00:00 2045 GMT"));
    receives("after the change").await;
    let log = gateway.process.output();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let count = |is: &dyn Fn(&Value) -> bool| lines.iter().filter(|line| is(line)).count();
    assert_eq!(count(&|line| line["message"] == "certificate replaced"), 1, "{log}");
    let warned = |line: &Value| line["message"] == "condition fails" && line["condition"] == "certificate";
    assert_eq!(count(&warned), 1, "{log}");
}
