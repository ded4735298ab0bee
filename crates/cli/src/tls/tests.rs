//! `tail` and `send` against servers with a certificate of their own.

use super::*;
use std::{ops::ControlFlow, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};
use wire::Start;

use crate::{
    args::Trust,
    live::{
        Live, Received,
        connection::{Update, follow},
    },
    send::post::{Answer, Poster},
};

const DEADLINE: Duration = Duration::from_secs(20);

/// A server for `localhost` with a new certificate, and the file with it.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ca: tempfile::NamedTempFile,
}

impl Server {
    async fn start() -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), signed.cert.pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)), ca }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.listener.local_addr().unwrap().port())
    }

    async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let (stream, _) = self.listener.accept().await?;
        self.acceptor.accept(stream).await
    }
}

/// Follows until the first event; gives its data, or why the first connection failed.
fn trust(ca: Option<&Path>) -> Trust {
    Trust { ca: ca.map(Path::to_owned), credential: None }
}

async fn first_event(url: String, ca: Option<&Path>) -> String {
    let notify = |update: Update<'_>| match update {
        Update::Received(Received::Reading { data, .. }) => ControlFlow::Break(data.get().to_owned()),
        Update::Disconnected(why, _) => ControlFlow::Break(why.to_string()),
        _ => ControlFlow::Continue(()),
    };
    let trust = trust(ca);
    let following = follow(&url, &trust, Live::new(Vec::new(), Start::Now), notify);
    tokio::time::timeout(DEADLINE, following).await.unwrap().unwrap()
}

#[tokio::test]
async fn tail_follows_over_wss_and_https_with_a_trusted_certificate() {
    for scheme in ["wss", "https"] {
        let server = Server::start().await;
        let serve = async {
            let stream = server.accept().await.unwrap();
            #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
            let choose = |_: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
                response.headers_mut().insert("sec-websocket-protocol", wire::SUBPROTOCOL.parse().unwrap());
                Ok(response)
            };
            let mut socket = accept_hdr_async(stream, choose).await.unwrap();
            socket.next().await.unwrap().unwrap();
            let event = r#"{"sub":1,"pos":"1.5.1","data":{"id":1}}"#;
            socket.send(Message::text(event)).await.unwrap();
            socket
        };
        let (event, _socket) = tokio::join!(first_event(server.url(scheme), Some(server.ca.path())), serve);
        assert_eq!(event, r#"{"id":1}"#, "{scheme}");
    }
}

#[tokio::test]
async fn send_posts_over_https_with_a_trusted_certificate() {
    let server = Server::start().await;
    let serve = async {
        let mut stream = server.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{}") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        assert!(request.starts_with(b"POST /api/sensors/ HTTP/1.1\r\n"));
        let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let poster = Poster::new(&server.url("https"), &trust(Some(server.ca.path()))).unwrap();
    let (answer, ()) = tokio::join!(poster.post("{}".to_owned()), serve);
    assert!(matches!(answer, Ok(Answer::Stored(body)) if body == "ok"));
}

#[tokio::test]
async fn an_untrusted_server_gets_nothing() {
    let (server, other) = (Server::start().await, Server::start().await);
    let refused = async { server.accept().await.is_err() };
    let (why, refused) = tokio::join!(first_event(server.url("wss"), Some(other.ca.path())), refused);
    assert!(refused && why.contains("certificate"), "{why}");
    let poster = Poster::new(&server.url("https"), &trust(Some(other.ca.path()))).unwrap();
    let (answer, refused) =
        tokio::join!(poster.post("{}".to_owned()), async { server.accept().await.is_err() });
    assert!(refused && answer.is_err());
}

#[test]
fn a_file_without_a_certificate_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no PEM").unwrap();
    let error = config(true, Some(file.path())).unwrap_err().to_string();
    assert!(error.contains(&file.path().display().to_string()), "{error}");
    assert!(config(true, Some(Path::new("/nowhere/ca.pem"))).is_err());
    assert!(config(false, None).is_ok());
}
