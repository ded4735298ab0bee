//! A port with TLS, and peers that stop within the handshake, or behind it within a record.

use std::time::Duration;

use e2e::{
    client::{self, Socket},
    http,
    stack::borrowed,
    tls::Certificates,
};
use futures_util::future::join_all;
use testkit::{cost, hostile::Peer, wait_for};
use tokio::{
    io::AsyncWriteExt,
    net::TcpSocket,
    time::{interval, timeout},
};
use tokio_tungstenite::MaybeTlsStream;

use crate::{idle, site::Site};

/// A handshake must be complete within 10 s.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// Peers of each kind that stop.
const EACH: usize = 100;

/// Handshakes that are begun and left.
const FLOOD: usize = 2_000;

/// How long a client may take to connect and subscribe meanwhile.
const SERVED_WITHIN: Duration = Duration::from_secs(5);

/// Clients of the same kind that are measured together, and how many connect at once.
const CLIENTS: usize = 2_000;
const AT_ONCE: usize = 50;

/// The bounds for each of them: at rest, what an incomplete record adds, and when all have left.
const IDLE_BYTES: u64 = 15_000;
const RECORD_BYTES: u64 = 24_000;
const LEFT_EACH: u64 = 3_000;

/// The head of a record of 16 KiB of application data, which is never sent whole.
const RECORD: &[u8] = b"\x17\x03\x03\x40\x00";

async fn site(certificates: &Certificates, more: &[(&str, &str)]) -> Site {
    let env = certificates.env(&["ws-gateway"]);
    Site::start(&[&borrowed(&env)[..], more].concat()).await
}

async fn check_served(site: &Site, certificates: &Certificates) {
    let served = async {
        let socket = certificates.connect_v1(site.gateway().public()).await.unwrap();
        client::subscribe(socket, "{}").await
    };
    let (_, first) = timeout(SERVED_WITHIN, served).await.expect("others are served");
    assert!(first.ok.is_some());
    for service in site.stack.services() {
        assert_eq!(http::get(service.admin, "/livez").await.unwrap().status, 200);
        let panics = service.metric("rowcast_panics_total").await.unwrap();
        assert!(panics == 0.0 && service.process.is_running(), "{}", service.process.tail());
    }
}

async fn wait_for_none(site: &Site) {
    wait_for("no open connection", Duration::from_secs(30), || async {
        match site.gateway().metric("rowcast_http_connections_open").await.unwrap() {
            0.0 => Ok(()),
            open => Err(open),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_stop_within_the_handshake_are_closed_and_others_are_served_meanwhile() {
    let certificates = Certificates::until(2040).unwrap();
    let site = site(&certificates, &[]).await;
    let gateway = site.gateway().public();
    let hello = certificates.client_hello().unwrap();
    // of 40,000 bytes, of which 9,000 arrive
    let mut large = b"\x16\x03\x01\x3e\x80\x01\0\x9c\x40".to_vec();
    large.resize(9_000, 0);
    let mut peers = Vec::new();
    for bytes in [b"".as_slice(), &hello[..1], &hello[..hello.len() / 2], &hello, &large] {
        for _ in 0..EACH {
            peers.push((bytes.len(), Peer::sending(gateway, bytes).await.unwrap()));
        }
    }
    check_served(&site, &certificates).await;
    let ended = join_all(
        peers
            .iter_mut()
            .map(|(length, peer)| async move { (*length, peer.read_to_end(CLOSED_WITHIN).await.is_some()) }),
    );
    for (length, ended) in ended.await {
        assert!(ended, "one that sent {length} bytes is kept");
    }
    drop(peers);
    wait_for_none(&site).await;
    let overdue = r#"rowcast_http_connections_overdue_total{deadline="head"}"#;
    assert_eq!(site.gateway().metric(overdue).await.unwrap(), (5 * EACH) as f64);
    site.check_idle().await;
    check_served(&site, &certificates).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_handshakes_that_are_left_keeps_nothing_busy_and_nobody_out() {
    let certificates = Certificates::until(2040).unwrap();
    let site = site(&certificates, &[]).await;
    let gateway = site.gateway().public();
    let hello = certificates.client_hello().unwrap();
    for _ in 0..FLOOD / EACH {
        let hellos = (0..EACH).map(|_| async {
            let mut peer = Peer::sending(gateway, &hello).await?;
            // the answer has begun
            peer.read_until("\x16").await?;
            peer.reset()
        });
        for left in join_all(hellos).await {
            left.unwrap();
        }
        check_served(&site, &certificates).await;
    }
    wait_for_none(&site).await;
    site.check_idle().await;
    check_served(&site, &certificates).await;
}

/// A connection whose receive buffer is small, so that unread data waits in the service.
async fn connect(site: &Site, certificates: &Certificates) -> Socket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let stream = socket.connect(site.gateway().public()).await.unwrap();
    certificates.connect_over(stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_never_read_or_never_end_a_record_cost_no_cpu_and_are_closed() {
    let certificates = Certificates::until(2040).unwrap();
    let timers = [("ws-gateway:ROWCAST_PING__EVERY", "4s"), ("ws-gateway:ROWCAST_PING__DEADLINE", "4s")];
    let site = site(&certificates, &timers).await;
    let (deaf, _) = client::subscribe(connect(&site, &certificates).await, "{}").await;
    let (endless, _) = client::subscribe(connect(&site, &certificates).await, "{}").await;
    let (mut reader, _) = client::subscribe(connect(&site, &certificates).await, "{}").await;
    site.sessions(3).await;
    let MaybeTlsStream::Rustls(mut endless) = endless.into_inner() else { panic!("no TLS") };
    endless.get_mut().0.write_all(RECORD).await.unwrap();
    let mut pace = interval(Duration::from_millis(100));
    let drips = async {
        // until the gateway closes it
        while endless.get_mut().0.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    };
    let others = async {
        for _ in 0..5 {
            site.write(2_000, 500);
        }
        client::messages_until(&mut reader, |message| {
            message.data.as_ref().is_some_and(|data| data.get().contains("\"s2000\""))
        })
        .await;
        drop(reader);
        site.check_idle().await;
    };
    tokio::join!(drips, others);
    site.sessions(0).await;
    let closed = site.gateway().metric(r#"rowcast_gateway_closes_total{reason="no-pong"}"#).await;
    assert_eq!(closed.unwrap(), 2.0);
    drop(deaf);
    wait_for_none(&site).await;
    check_served(&site, &certificates).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_and_incomplete_records_take_a_bounded_memory_and_leave_nothing() {
    idle::raise_descriptors();
    let certificates = Certificates::until(2040).unwrap();
    let site = site(&certificates, &[]).await;
    let (pid, gateway) = (site.gateway().process.id(), site.gateway().public());
    // allocations at the first clients are not those of each client
    drop(join_all((0..AT_ONCE).map(|_| certificates.connect_v1(gateway))).await);
    site.sessions(0).await;
    let before = cost::resident(pid).unwrap();
    let each = || cost::resident(pid).unwrap().saturating_sub(before) / CLIENTS as u64;
    let mut clients = Vec::new();
    while clients.len() < CLIENTS {
        clients.extend(join_all((0..AT_ONCE).map(|_| certificates.connect_v1(gateway))).await);
    }
    site.sessions(CLIENTS).await;
    assert!(each() < IDLE_BYTES, "{} bytes each", each());
    let record = [RECORD, &[0; 16_000]].concat();
    for client in &mut clients {
        let MaybeTlsStream::Rustls(tls) = client.as_mut().unwrap().get_mut() else { panic!("no TLS") };
        tls.get_mut().0.write_all(&record).await.unwrap();
    }
    site.check_idle().await;
    assert!((16_000..IDLE_BYTES + RECORD_BYTES).contains(&each()), "{} bytes each", each());
    drop(clients);
    site.sessions(0).await;
    wait_for("memory to be released", Duration::from_secs(60), || async {
        if each() < LEFT_EACH { Ok(()) } else { Err(format!("{} bytes each are left", each())) }
    })
    .await;
}
