//! Issuers whose keys are files and servers. What a token's own claims do is in the matrix of doors (e2e).

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use parking_lot::Mutex;
use rcgen::{CertifiedKey, KeyPair, PKCS_ECDSA_P256_SHA256, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::*;

const NOW: UnixMicros = UnixMicros(1_000_000_000_000);
const AT_ONCE: Fresh = Fresh { file: Duration::ZERO, url: Duration::ZERO };

struct Signer {
    kid: &'static str,
    key: EncodingKey,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self { kid, key: EncodingKey::from_ec_der(&pair.serialize_der()) }
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(&self) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::ES256) };
        let claims = json!({ "iss": "i", "aud": ["x", "rowcast"], "sub": "s", "exp": 1_000_100, "rowcast_read": "a b/*" });
        encode(&header, &claims, &self.key).unwrap()
    }
}

fn set(keys: &[&Signer]) -> String {
    json!({ "keys": keys.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

fn issuers(folder: &TempDir, source: &str) -> Issuers {
    let path = folder.path().join("issuers.toml");
    fs::write(&path, format!("[[issuer]]\nissuer = \"i\"\naudience = [\"rowcast\"]\n{source}\n")).unwrap();
    Issuers::load(&path).unwrap()
}

fn judged(issuers: &Issuers, signer: &Signer) -> Option<Result<Verified, Denial>> {
    match issuers.check(&signer.token(), NOW) {
        Checked::Judged(judged) => Some(judged),
        Checked::UnknownKey => None,
    }
}

/// A server with a certificate of its own, which answers each request with what is in `answer`.
struct Server {
    addr: SocketAddr,
    answer: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
    certificate: String,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (answer, requests) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
        let (answers, counted) = (answer.clone(), requests.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut head = [0; 4_096];
                if stream.read(&mut head).await.is_err() {
                    continue;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = answers.lock().clone();
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { addr, answer, requests, certificate: cert.pem(), _serving: serving }
    }

    fn answer(&self, status: &str, body: &str) {
        let length = body.len();
        *self.answer.lock() =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    }

    fn source(&self, folder: &TempDir) -> String {
        let ca = folder.path().join("ca.pem");
        fs::write(&ca, &self.certificate).unwrap();
        format!("jwks_url = \"https://localhost:{}/keys\"\nca_file = {ca:?}", self.addr.port())
    }
}

#[tokio::test]
async fn a_file_of_keys_may_be_replaced_and_the_last_one_that_was_read_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let path = folder.path().join("keys.json");
    let issuers = issuers(&folder, &format!("jwks_file = {path:?}"));
    issuers.refresh(AT_ONCE).await;
    assert_eq!((issuers.missing(), judged(&issuers, &old)), (Some("i"), None));
    fs::write(&path, set(&[&old])).unwrap();
    issuers.refresh(AT_ONCE).await;
    assert_eq!(issuers.missing(), None);
    let verified = judged(&issuers, &old).unwrap().unwrap();
    assert!(verified.read.contains("a") && verified.read.contains("b/1") && verified.write.is_none());
    assert_eq!(verified.expires_at, UnixMicros(1_000_110_000_000), "with the leeway");
    fs::write(&path, set(&[&new])).unwrap();
    issuers.refresh(AT_ONCE).await;
    assert!(judged(&issuers, &old).is_none() && judged(&issuers, &new).unwrap().is_ok());
    for broken in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}"] {
        fs::write(&path, broken).unwrap();
        issuers.refresh(AT_ONCE).await;
        assert!(judged(&issuers, &new).unwrap().is_ok(), "{broken}");
    }
}

#[tokio::test]
async fn a_server_is_asked_again_for_an_unknown_key_but_not_for_each() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuers = issuers(&folder, &server.source(&folder));
    server.answer("200 OK", &set(&[&old]));
    issuers.refresh(MISSING).await;
    assert!(judged(&issuers, &old).unwrap().is_ok());
    server.answer("200 OK", &set(&[&old, &new]));
    for _ in 0..100 {
        assert!(judged(&issuers, &new).is_none());
        issuers.refresh(UNKNOWN_KEY).await;
    }
    assert_eq!(server.requests.load(Ordering::Relaxed), 1, "it was asked less than 30 s ago");
    issuers.refresh(AT_ONCE).await;
    assert!(judged(&issuers, &new).unwrap().is_ok());
}

#[tokio::test]
async fn only_the_server_itself_is_believed() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let signer = Signer::new("k");
    let good = set(&[&signer]);
    let issuers = issuers(&folder, &server.source(&folder));
    let elsewhere = format!("302 Found\r\nlocation: https://localhost:{}/other", server.addr.port());
    let large = format!("{good}{}", " ".repeat(jwks::MAX_BYTES));
    for (status, body) in [(elsewhere.as_str(), good.as_str()), ("500 No", &good), ("200 OK", &large)] {
        server.answer(status, body);
        issuers.refresh(AT_ONCE).await;
        assert_eq!(issuers.missing(), Some("i"), "{status}");
    }
    assert_eq!(server.requests.load(Ordering::Relaxed), 3, "no redirection is followed");
    server.answer("200 OK", &good);
    issuers.refresh(AT_ONCE).await;
    assert!(judged(&issuers, &signer).unwrap().is_ok());
}

#[test]
fn the_example_of_the_document_is_a_file_of_issuers() {
    let document = include_str!("../../../../docs/ACCESS.md");
    let example = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (folder, _) =
        (tempfile::tempdir().unwrap(), rustls::crypto::aws_lc_rs::default_provider().install_default());
    let path = folder.path().join("issuers.toml");
    fs::write(&path, example).unwrap();
    let issuers = Issuers::load(&path).unwrap();
    assert_eq!(issuers.missing(), Some("https://login.example.org/"));
}
