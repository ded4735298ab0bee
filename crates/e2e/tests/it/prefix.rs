//! Everything below a path of a host that others share, as a proxy that rewrites nothing passes it on.

use std::net::SocketAddr;

use e2e::{Plan, Stack, http};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const READING: &str = r#"{"sensor_id":"kitchen","value":21.5}"#;

/// Reads until the response contains all of these, or panics with it.
async fn check_response(addr: SocketAddr, request: &str, expected: &[&str]) {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&received);
            if expected.iter().all(|part| text.contains(part)) {
                return;
            }
            assert!(
                stream.read_buf(&mut received).await.unwrap() > 0,
                "{}",
                String::from_utf8_lossy(&received)
            );
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(10), read).await.is_ok();
    assert!(in_time, "no {expected:?} in {}", String::from_utf8_lossy(&received));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_served_with_the_prefix_and_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let document = r#"<script src="/assets/a.js"></script><script>c = {"basename":"/"}</script>"#;
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    std::fs::write(folder.path().join("index.html"), document).unwrap();
    std::fs::write(folder.path().join("assets/a.js"), "go()").unwrap();
    let page = folder.path().display().to_string();
    let env = [
        ("ingest:ROWCAST_HTTP__PREFIX", "/a/rowcast"),
        ("ws-gateway:ROWCAST_HTTP__PREFIX", "/a/rowcast"),
        ("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str()),
    ];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let (ingest, gateway) = (stack.ingest.public(), stack.gateways[0].public());
    for prefix in ["/a/rowcast", ""] {
        let post = http::post(ingest, &format!("{prefix}/api/sensors/"), READING).await.unwrap();
        assert_eq!(post.status, 201, "{}", post.body);
        let listed = http::get(ingest, &format!("{prefix}/api/sensors/?limit=1")).await.unwrap();
        assert_eq!(listed.json()[0]["id"], post.json()["id"]);
        let id = format!(r#""id":{}"#, post.json()["id"]);
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let socket = format!(
            "GET {prefix}/ws/sensors/?v=1&sensor=kitchen&from=latest HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"
        );
        check_response(gateway, &socket, &["HTTP/1.1 101", &id]).await;
        let events =
            format!("GET {prefix}/sse/sensors/?sensor=kitchen&from=latest HTTP/1.1\r\nHost: x\r\n\r\n");
        check_response(gateway, &events, &["HTTP/1.1 200", &id]).await;
        let shown = http::get(gateway, &format!("{prefix}/docs")).await.unwrap();
        assert_eq!(
            shown.body,
            r#"<script src="/a/rowcast/assets/a.js"></script><script>c = {"basename":"/a/rowcast"}</script>"#
        );
        assert_eq!(http::get(gateway, &format!("{prefix}/assets/a.js")).await.unwrap().body, "go()");
    }
    let first = http::get(gateway, "/a/rowcast/api/readings?limit=1").await.unwrap();
    let link = first.header("link").unwrap().to_owned();
    let next = link.strip_prefix('<').and_then(|link| link.split_once('>')).unwrap().0;
    assert!(next.starts_with("/a/rowcast/api/readings?limit=1&cursor="), "{link}");
    assert_eq!(http::get(gateway, next).await.unwrap().json()["readings"].as_array().unwrap().len(), 1);
    let openapi: Value = http::get(gateway, "/a/rowcast/openapi.json").await.unwrap().json();
    assert_eq!(openapi["servers"][0]["url"], "/a/rowcast");
    for path in ["/a", "/a/rowcasts/api/readings", "/a/rowcast/a/rowcast/api/readings", "/b/api/readings"] {
        assert_eq!(http::get(gateway, path).await.unwrap().status, 404, "{path}");
        assert_eq!(http::get(ingest, path).await.unwrap().status, 404, "{path}");
    }
}
