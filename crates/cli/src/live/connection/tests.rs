//! Against a real WebSocket server.

use super::*;
use tokio::net::TcpListener;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use wire::Start;

const DEADLINE: Duration = Duration::from_secs(20);

/// Accepts a connection as a v1 gateway does and gives its first command.
async fn accept(listener: &TcpListener) -> (WebSocketStream<TcpStream>, String) {
    let (stream, _) = listener.accept().await.unwrap();
    #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
    let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        assert_eq!(request.uri().path(), "/ws/sensors/");
        let protocol = request.headers()[SEC_WEBSOCKET_PROTOCOL].clone();
        assert_eq!(protocol, SUBPROTOCOL);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, choose).await.unwrap();
    let first = socket.next().await.unwrap().unwrap();
    (socket, first.to_text().unwrap().to_owned())
}

async fn send(socket: &mut WebSocketStream<TcpStream>, texts: &[&str]) {
    for text in texts {
        socket.send(Message::text(*text)).await.unwrap();
    }
}

const HELLO: &str = r#"{"hello":{"v":1,"session":"s","pos":"1.1","idle_ms":IDLE,"limits":{"message_bytes":1,"subscriptions":1,"patterns":1,"fragments":1,"commands_per_s":1}}}"#;

/// The data of `n` events.
async fn follow_events(gateway: String, n: usize) -> anyhow::Result<Vec<String>> {
    let mut seen = Vec::new();
    let notify = |update: Update<'_>| {
        if let Update::Received(Received::Reading { data, .. }) = update {
            seen.push(data.get().to_owned());
        }
        if seen.len() == n { ControlFlow::Break(seen.clone()) } else { ControlFlow::Continue(()) }
    };
    time::timeout(DEADLINE, follow(&gateway, &Trust::default(), Live::new(Vec::new(), Start::Now), notify))
        .await?
}

#[tokio::test]
async fn a_cut_connection_is_resumed_from_its_last_position() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = format!("http://{}/", listener.local_addr().unwrap());
    let server = async {
        let (mut socket, sent) = accept(&listener).await;
        assert_eq!(sent, r#"{"id":1,"subscribe":{"from":"now"}}"#);
        send(
            &mut socket,
            &[
                &HELLO.replace("IDLE", "15000"),
                r#"{"id":1,"ok":{"sub":1,"pos":"1.4"}}"#,
                r#"[{"sub":1,"pos":"1.5.1","data":{"id":1}},{"sub":1,"pos":"1.5.2","data":{"id":2}}]"#,
            ],
        )
        .await;
        drop(socket);
        let (mut socket, sent) = accept(&listener).await;
        assert_eq!(sent, r#"{"id":1,"subscribe":{"from":"1.5.2"}}"#);
        send(
            &mut socket,
            &[
                r#"{"id":1,"ok":{"sub":1,"pos":"1.5.2","resumed":true}}"#,
                r#"{"sub":1,"pos":"1.6.3","data":{"id":3}}"#,
            ],
        )
        .await;
        socket
    };
    let (events, _socket) = tokio::join!(follow_events(gateway, 3), server);
    assert_eq!(events.unwrap(), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]);
}

#[tokio::test]
async fn a_silent_connection_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = format!("ws://{}", listener.local_addr().unwrap());
    let server = async {
        let (mut silent, _) = accept(&listener).await;
        // in one frame, so that the watchdog's short timeout begins with both
        let hello = HELLO.replace("IDLE", "20");
        send(&mut silent, &[&format!(r#"[{hello},{{"id":1,"ok":{{"sub":1,"pos":"1.4"}}}}]"#)]).await;
        let (mut socket, sent) = accept(&listener).await;
        assert_eq!(sent, r#"{"id":1,"subscribe":{"from":"1.4"}}"#);
        send(&mut socket, &[r#"{"sub":1,"pos":"1.6.3","data":{"id":3}}"#]).await;
        (silent, socket)
    };
    let (events, _sockets) = tokio::join!(follow_events(gateway, 1), server);
    assert_eq!(events.unwrap(), [r#"{"id":3}"#]);
}

#[tokio::test]
async fn a_refused_subscription_is_not_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = format!("http://{}", listener.local_addr().unwrap());
    let server = async {
        let (mut socket, _) = accept(&listener).await;
        send(&mut socket, &[r#"{"id":1,"error":{"code":"bad-sensor","message":"no","retry":false}}"#]).await;
        socket
    };
    let (events, _socket) = tokio::join!(follow_events(gateway, 1), server);
    assert_eq!(events.unwrap_err().to_string(), "the gateway refuses the subscription: bad-sensor: no");
}

#[tokio::test]
async fn a_wrong_url_is_an_error_and_not_a_loop() {
    let notify = |_: Update<'_>| ControlFlow::<()>::Continue(());
    let error =
        follow("ftp://x", &Trust::default(), Live::new(Vec::new(), Start::Now), notify).await.unwrap_err();
    assert!(error.to_string().contains("must begin with http://"), "{error}");
}
