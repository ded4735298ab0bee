//! Who gets through the handshake, and what it speaks then.

use super::*;

fn rejected(reason: &str, count: usize) -> String {
    format!("rowcast_http_connections_rejected_total{{reason=\"{reason}\"}} {count}")
}

#[tokio::test]
async fn requests_are_answered_over_every_version() {
    let pair = Pair::new();
    let whole = Router::new().route(
        "/seen",
        get(|Extension(client): Extension<crate::Client>| async move {
            format!("{} {}", client.address(), client.scheme())
        }),
    );
    let rig = Folder::with(&pair).rig(whole.merge(hello()), Limits::default()).await;
    let request = b"GET /seen HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for versions in
        [rustls::ALL_VERSIONS.to_vec(), vec![&rustls::version::TLS12], vec![&rustls::version::TLS13]]
    {
        for protocols in [&[][..], &["http/1.1"], &["http/1.1", "x"]] {
            let client = Client { versions: versions.clone(), ..pair.client().speaking(protocols) };
            let answer = client.request(&rig, request).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1 https"), "{answer}");
        }
    }
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    let expiry = rig.rotation.as_ref().map(|_| rig.metrics()).unwrap();
    // rcgen's certificates are valid up to the year 4096
    assert!(expiry.contains("rowcast_http_certificate_expiry_timestamp_seconds 67090118400"), "{expiry}");
}

#[tokio::test]
async fn http2_is_agreed_on_as_long_as_there_are_permits_for_it() {
    const SETTINGS: u8 = 4;
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(hello(), Limits { head: LONG * 6, ..Limits::default() }).await;
    let client = pair.client().speaking(&["h2", "http/1.1"]);
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut stream = client.connect(&rig).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        open.push(stream);
    }
    let mut frame = [0; 9];
    timeout(LONG, open[0].read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!(frame[3], SETTINGS);
    let mut stream = client.connect(&rig).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(REQUEST).await.unwrap();
    assert!(to_end(&mut stream).await.ends_with("hello"));
    // one that knows nothing else is told so
    let refused = pair.client().speaking(&["h2"]).connect(&rig).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    rig.wait_for_metric(&rejected("handshake", 1)).await;
    drop(open);
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    let stream = client.connect(&rig).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn a_request_without_tls_is_told_so() {
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(hello(), Limits::default()).await;
    let plain = rig.exchange(&String::from_utf8_lossy(REQUEST)).await;
    assert_problem(&plain, StatusCode::BAD_REQUEST, "tls-required");
    assert!(!plain.contains("retry-after"), "{plain}");
    for other in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0", "\x15\x03\x01"] {
        assert!(rig.exchange(other).await.starts_with("HTTP/1.1 400"), "{other:?}");
    }
    rig.wait_for_metric(&rejected("plaintext", 4)).await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    // a balancer that checks the port
    rig.connect().await;
    rig.wait_for_metric("rowcast_http_connections_accepted_total 5").await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    rig.wait_for_metric(&rejected("plaintext", 4)).await;
    rig.wait_for_metric(&rejected("handshake", 0)).await;
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_and_one_that_sends_nonsense_are_counted() {
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(hello(), Limits::default()).await;
    Pair::new().client().connect(&rig).await.unwrap_err();
    rig.wait_for_metric(&rejected("handshake", 1)).await;
    rig.exchange("\x16\x03\x01\0\x05hello").await;
    rig.wait_for_metric(&rejected("handshake", 2)).await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn a_slow_handshake_has_the_time_of_a_head() {
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(hello(), Limits { head: SHORT, ..Limits::default() }).await;
    for bytes in ["", "\x16", "\x16\x03\x01\x02\0\x01\0\x01"] {
        assert_eq!(rig.exchange(bytes).await, "");
    }
    rig.wait_for_metric("rowcast_http_connections_overdue_total{deadline=\"head\"} 3").await;
    // and the first request after it another one
    let mut silent = pair.client().connect(&rig).await.unwrap();
    assert_eq!(to_end(&mut silent).await, "");
    rig.wait_for_metric("rowcast_http_connections_overdue_total{deadline=\"head\"} 4").await;
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

/// Incomplete messages of a handshake wait in memory, up to 64 KiB for each connection.
#[tokio::test]
async fn large_handshakes_are_limited() {
    let pair = Pair::new();
    let rig = Folder::with(&pair).rig(hello(), Limits { head: LONG * 6, ..Limits::default() }).await;
    // a ClientHello of 40,000 bytes, of which 9,000 arrive
    let mut hello = b"\x16\x03\x01\x3e\x80\x01\0\x9c\x40".to_vec();
    hello.resize(9_000, 0);
    let mut clients = Vec::new();
    for _ in 0..1_034 {
        let mut client = rig.connect().await;
        // the excess connection may be closed while it sends
        let _ = client.write_all(&hello).await;
        clients.push(client);
    }
    rig.wait_for_metric(&rejected("handshake", 10)).await;
    rig.wait_for_metric("rowcast_http_connections_open 1024").await;
    assert!(pair.client().request(&rig, REQUEST).await.ends_with("hello"), "small ones pass");
    drop(clients);
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

#[tokio::test]
async fn with_an_authority_only_its_clients_get_in() {
    let (pair, authority) = (Pair::new(), Authority::new());
    let folder = Folder::with(&pair);
    std::fs::write(folder.path("ca.crt"), &authority.certificate).unwrap();
    let mut config = folder.config();
    config.tls.client_ca = Some(folder.path("ca.crt"));
    let rig = Rig::configured(hello(), &config, Limits::default()).await;
    let own = |pair| Client { own: pair, ..pair_client(&folder) };
    assert!(own(Some(authority.sign())).request(&rig, REQUEST).await.ends_with("hello"));
    for (foreign, count) in [(None, 1), (Some(Authority::new().sign()), 2)] {
        // in TLS 1.3 the client has finished before the server refuses it
        if let Ok(mut stream) = own(foreign).connect(&rig).await {
            let _ = stream.write_all(REQUEST).await;
            stream.read_u8().await.unwrap_err();
        }
        rig.wait_for_metric(&rejected("handshake", count)).await;
    }
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
}

fn pair_client(folder: &Folder) -> Client {
    let trusts = std::fs::read_to_string(folder.path("tls.crt")).unwrap();
    Pair { certificate: trusts, key: String::new() }.client()
}

#[tokio::test]
async fn a_connection_past_the_cap_is_closed() {
    let pair = Pair::new();
    let folder = Folder::with(&pair);
    let config = HttpConfig { max_connections: 1, ..folder.config() };
    let rig = Rig::configured(hello(), &config, Limits::default()).await;
    let first = pair.client().connect(&rig).await.unwrap();
    assert_eq!(rig.exchange("").await, "");
    rig.wait_for_metric("rowcast_http_connections_refused_total 1").await;
    drop(first);
    rig.wait_for_metric("rowcast_http_connections_open 0").await;
    assert!(pair.client().request(&rig, REQUEST).await.ends_with("hello"));
}

#[tokio::test]
async fn a_header_of_the_proxy_protocol_comes_before_the_handshake() {
    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x67\x01\xbb";
    let pair = Pair::new();
    let folder = Folder::with(&pair);
    let config =
        HttpConfig { trusted_proxies: vec!["127.0.0.1".to_owned()], proxy_protocol: true, ..folder.config() };
    let rig = Rig::configured(hello(), &config, Limits::default()).await;
    let mut bare = rig.connect().await;
    bare.write_all(HEADER).await.unwrap();
    let connector = TlsConnector::from(Arc::new(pair.client().config()));
    let mut stream = connector.connect("localhost".try_into().unwrap(), bare).await.unwrap();
    stream.write_all(b"GET /client HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(to_end(&mut stream).await.ends_with("192.0.2.7"));
}
