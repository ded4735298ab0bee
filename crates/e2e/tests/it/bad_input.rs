//! Bad input gets a clear error and changes nothing; a slow or broken peer does not affect others.

use std::{net::SocketAddr, time::Duration};

use e2e::{Plan, Stack, http};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

/// Sends these bytes and returns the status of the answer, which must be a problem.
async fn status(addr: SocketAddr, request: &[u8]) -> u16 {
    let answer = http::exchange(addr, request).await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.head);
    assert_eq!(answer.json()["status"], answer.status);
    answer.status
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_body_is_refused_and_stores_nothing() {
    let stack = stack().await;
    let ingest = stack.ingest.public();
    let post = async |body: &[u8]| {
        let answer =
            http::send(ingest, "POST", "/api/sensors/", &[("content-type", "application/json")], body);
        answer.await.unwrap()
    };
    let deep =
        format!(r#"{{"sensor_id":"a","value":1,"metadata":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let reading = r#"{"sensor_id":"a","value":1}"#;
    for (body, status) in [
        (deep.into_bytes(), 400),
        (br#"{"sensor_id":"a","value":1,"value":2}"#.to_vec(), 400),
        (br#"{"sensor_id":"a","value":1,"metadata":{"x":1,"x":2}}"#.to_vec(), 400),
        (b"{\"sensor_id\":\"a\xff\",\"value\":1}".to_vec(), 400),
        (br#"{"sensor_id":"\ud800","value":1}"#.to_vec(), 400),
        (br#"{"sensor_id":{},"value":[]}"#.to_vec(), 400),
        (b"[]".to_vec(), 400),
        (format!("[{reading},{{\"sensor_id\":\"a\"}}]").into_bytes(), 400),
        (format!("[{}]", vec![reading; 1001].join(",")).into_bytes(), 413),
        (format!(r#"{{"sensor_id":"a","value":1,"metadata":"{}"}}"#, "x".repeat(65_536)).into_bytes(), 413),
        (vec![b' '; (1 << 20) + 1], 413),
    ] {
        let answer = post(&body).await;
        assert_eq!(answer.status, status, "{:.60}: {}", String::from_utf8_lossy(&body), answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let faults = post(br#"[{"sensor_id":"a","value":1},{"sensor_id":"","value":"x"}]"#).await.json();
    assert_eq!(faults["errors"][0]["pointer"], "/1/sensor_id");
    assert_eq!(faults["errors"][1]["pointer"], "/1/value");
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "0");
    assert_eq!(post(reading.as_bytes()).await.status, 201, "the process is alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_too_large_by_chunks_is_refused() {
    let stack = stack().await;
    let mut request = b"POST /api/sensors/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        request.extend_from_slice(b"10000\r\n");
        request.extend_from_slice(&vec![b' '; 0x10000]);
        request.extend_from_slice(b"\r\n");
    }
    assert_eq!(status(stack.ingest.public(), &request).await, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_accepted_and_bombs_are_not() {
    let stack = stack().await;
    let send = async |encoding: &str, body: Vec<u8>| {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        http::send(stack.ingest.public(), "POST", "/api/sensors/", &headers, &body).await.unwrap()
    };
    let pack = |program: &str, body: &[u8]| {
        use std::{
            io::Write,
            process::{Command, Stdio},
        };
        let mut child =
            Command::new(program).args(["-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let body = body.to_vec();
        let feed = std::thread::spawn(move || stdin.write_all(&body).unwrap());
        let packed = child.wait_with_output().unwrap().stdout;
        feed.join().unwrap();
        packed
    };
    let reading = br#"{"sensor_id":"a","value":1}"#;
    assert_eq!(send("gzip", pack("gzip", reading)).await.status, 201);
    let bomb = pack("gzip", &vec![b' '; 30 << 20]);
    assert!(bomb.len() < 64 << 10, "it is a bomb");
    assert_eq!(send("gzip", bomb).await.status, 413);
    assert_eq!(send("gzip", b"not gzip".to_vec()).await.status, 400);
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_heads_are_refused() {
    let stack = stack().await;
    for addr in [stack.ingest.public(), stack.gateways[0].public()] {
        assert_eq!(
            status(addr, b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n").await,
            400
        );
        assert_eq!(status(addr, b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await, 400);
        let many = (0..65).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{many}\r\n");
        assert_eq!(status(addr, request.as_bytes()).await, 431);
    }
}

/// Slow heads and bodies are closed after 10 s, and others are served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn slow_peers_are_closed_and_others_are_served() {
    let stack = stack().await;
    let ingest = stack.ingest.public();
    let slow = async |head: &str| {
        let began = Instant::now();
        let mut stream = TcpStream::connect(ingest).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it is cut").unwrap();
        assert!(began.elapsed() > Duration::from_secs(5), "not before its time");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (_, body, quick) = tokio::join!(
        slow("POST /api/sensors/ HTTP/1.1\r\nhost: x\r\n"),
        slow(
            "POST /api/sensors/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"
        ),
        http::post(ingest, "/api/sensors/", r#"{"sensor_id":"a","value":1}"#),
    );
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert_eq!(quick.unwrap().status, 201);
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "1");
}
