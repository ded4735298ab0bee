//! Everything that somebody may present.

use std::{path::Path, process::Command, time::Duration};

use e2e::{
    Stack, http, stack,
    tokens::{self, Issuer},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use testkit::wait_for;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is refused with this status.
    Refused(u16),
    /// It is answered.
    Granted,
    /// It is answered as if what it asks for did not exist.
    Elsewhere,
}

use Verdict::{Elsewhere, Granted, Refused};

/// A credential, and what it may do.
pub(super) struct Credential {
    pub(super) name: &'static str,
    pub(super) header: Option<(&'static str, String)>,
    /// The same for a subprotocol and for `auth`.
    pub(super) bearer: Option<String>,
    pub(super) write: Verdict,
    pub(super) read: Verdict,
}

/// The issuers of the tokens.
pub(super) struct Credentials {
    first: Issuer,
    ed: Issuer,
    rsa: Issuer,
    /// Another issuer, whose key has the name of the first one's.
    second: Issuer,
    /// One that is not listed.
    foreign: Issuer,
    file: String,
}

fn bearer(name: &'static str, text: String, write: Verdict, read: Verdict) -> Credential {
    let header = Some(("authorization", format!("Bearer {text}")));
    Credential { name, header, bearer: Some(text), write, read }
}

fn refused(name: &'static str, text: String) -> Credential {
    bearer(name, text, Refused(401), Refused(401))
}

impl Credentials {
    pub(super) fn new(folder: &Path) -> Self {
        let issuer = |name, kid, algorithm| Issuer::new(name, kid, algorithm).unwrap();
        let first = issuer("https://first.example", "k1", Algorithm::ES256);
        let ed = issuer("https://first.example", "k2", Algorithm::EdDSA);
        let rsa = issuer("https://first.example", "k3", Algorithm::RS256);
        let second = issuer("https://second.example", "k1", Algorithm::ES256);
        let foreign = issuer("https://first.example", "k1", Algorithm::ES256);
        let file = tokens::write_issuers(folder, &[&[&first, &ed, &rsa], &[&second]]).unwrap();
        Self { first, ed, rsa, second, foreign, file: file.to_str().unwrap().to_owned() }
    }

    /// The file of issuers.
    pub(super) fn issuers(&self) -> &str {
        &self.file
    }

    /// The first issuer.
    pub(super) fn issuer(&self) -> &Issuer {
        &self.first
    }

    /// All of them, made and known to the services.
    pub(super) async fn table(&self, stack: &Stack) -> Vec<Credential> {
        let (expired, revoked) = (key(stack, &["--write", "acme/*"]), key(stack, &["--write", "acme/*"]));
        stack.psql(&format!("update rowcast.api_key set expires_at = now() where id = '{}'", id(&expired)));
        run(stack, &["keys", "revoke", id(&revoked)]);
        for by in [["--jti", "revoked-token"], ["--subject", "revoked-subject"]] {
            let issuer = ["tokens", "revoke", "--issuer", &self.first.name, "--for", "1h"];
            run(stack, &[&issuer[..], &by[..]].concat());
        }
        let reader = key(stack, &["--read", "acme/*"]);
        let writer = key(stack, &["--write", "acme/*"]);
        await_known(stack, &writer).await;
        let mut table = self.keys(&writer, &reader);
        table.extend([refused("expired key", expired), refused("revoked key", revoked)]);
        table.extend(self.tokens());
        table.extend(self.forged(&writer));
        table
    }

    fn keys(&self, writer: &str, reader: &str) -> Vec<Credential> {
        let secret = writer.splitn(3, '_').nth(2).unwrap();
        let basic = base64(&format!("{}:{secret}", id(writer)));
        let other = |header: (&'static str, String), name| Credential {
            name,
            header: Some(header),
            bearer: None,
            write: Granted,
            read: Refused(403),
        };
        let unknown = format!("rck_000000000000_{secret}");
        let wrong = reader.splitn(3, '_').nth(2).unwrap();
        let none =
            Credential { name: "none", header: None, bearer: None, write: Refused(401), read: Refused(401) };
        vec![
            none,
            bearer("writer", writer.to_owned(), Granted, Refused(403)),
            other(("authorization", format!("Token {writer}")), "writer as Token"),
            other(("authorization", format!("Basic {basic}")), "writer as Basic"),
            other(("x-api-key", writer.to_owned()), "writer as X-API-Key"),
            bearer("reader", reader.to_owned(), Refused(403), Granted),
            refused("unknown key", unknown),
            refused("wrong secret", format!("rck_{}_{wrong}", id(writer))),
            refused("malformed", "rck_x".to_owned()),
        ]
    }

    fn tokens(&self) -> Vec<Credential> {
        let Self { first, ed, rsa, second, .. } = self;
        let claims = |read: &[&str]| first.claims("viewer", read);
        let with = |name: &str, value: Value| {
            let mut claims = claims(&["acme/*"]);
            claims[name] = value;
            first.token(&claims)
        };
        let valid = |name, token| bearer(name, token, Refused(403), Granted);
        vec![
            valid("token", first.token(&claims(&["acme/*"]))),
            valid("EdDSA token", ed.token(&claims(&["acme/*"]))),
            valid("RS256 token", rsa.token(&claims(&["*"]))),
            valid("second issuer's token", second.token(&second.claims("viewer", &["acme/1"]))),
            valid("token with one text of patterns", with("rowcast_read", json!("other/* acme/1"))),
            bearer("token of another tenant", first.token(&claims(&["other/*"])), Refused(403), Elsewhere),
            bearer("token of nothing", first.token(&claims(&[])), Refused(403), Refused(403)),
            refused("expired token", with("exp", json!(tokens::now() - 1))),
            refused("early token", with("nbf", json!(tokens::now() + 600))),
            refused("revoked token", with("jti", json!("revoked-token"))),
            refused("revoked subject", with("sub", json!("revoked-subject"))),
            refused("wrong aud", with("aud", json!("another"))),
            refused("no aud", with("aud", Value::Null)),
            refused("wrong iss", with("iss", json!("https://third.example"))),
            refused("list as iss", with("iss", json!([first.name]))),
            refused("no sub", with("sub", json!(""))),
            refused("bad pattern", with("rowcast_read", json!(["a*b"]))),
            refused("number as patterns", with("rowcast_read", json!(7))),
            refused("endless exp", with("exp", json!(1e300))),
        ]
    }

    /// Tokens that nobody has issued.
    fn forged(&self, writer: &str) -> Vec<Credential> {
        let claims = self.first.claims("viewer", &["*"]);
        let parts = |header: Value, signature: &str| {
            format!("{}.{}.{signature}", base64url(&header), base64url(&claims))
        };
        let genuine = self.first.token(&self.first.claims("viewer", &["other/*"]));
        let signature = genuine.rsplit('.').next().unwrap().to_owned();
        let public = self.first.jwk().unwrap();
        let as_secret = EncodingKey::from_secret(public.to_string().as_bytes());
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
        let confused = encode(&header, &claims, &as_secret).unwrap();
        let embedded = Header {
            kid: Some("k9".to_owned()),
            jku: Some("https://evil.example/keys".to_owned()),
            jwk: serde_json::from_value(self.foreign.jwk().unwrap()).ok(),
            ..Header::new(Algorithm::ES256)
        };
        let embedded = encode(&embedded, &claims, &self.foreign.key).unwrap();
        let critical = Header {
            kid: Some("k1".to_owned()),
            crit: Some(vec!["x".to_owned()]),
            ..Header::new(Algorithm::ES256)
        };
        let critical = encode(&critical, &claims, &self.first.key).unwrap();
        vec![
            refused("foreign key of the same kid", self.foreign.token(&claims)),
            refused("second issuer in the first one's name", self.second.token(&claims)),
            refused("alg none", parts(json!({"alg":"none"}), "AA")),
            refused("alg none, signed", parts(json!({"alg":"none","kid":"k1"}), &signature)),
            refused("another token's signature", parts(json!({"alg":"ES256","kid":"k1"}), &signature)),
            refused("public key as secret", confused),
            refused("key in the header", embedded),
            refused("critical extension", critical),
            refused("key as signature", parts(json!({"alg":"ES256"}), writer.splitn(3, '_').nth(2).unwrap())),
            Credential {
                name: "two credentials",
                header: Some(("authorization", format!("Bearer {genuine}\r\nx-api-key: {writer}"))),
                bearer: None,
                write: Refused(400),
                read: Refused(400),
            },
        ]
    }
}

/// A new key.
pub(crate) fn key(stack: &Stack, arguments: &[&str]) -> String {
    let made = run(stack, &[&["keys", "create", "--name", "test", "-o", "json"], arguments].concat());
    let made: Value = serde_json::from_str(&made).unwrap();
    made["key"].as_str().unwrap().to_owned()
}

/// Runs `rowcast` with these arguments.
pub(super) fn run(stack: &Stack, arguments: &[&str]) -> String {
    let mut command = Command::new(stack::binary("rowcast").unwrap());
    let url = stack.database_url("rowcast");
    let ended = command.args(arguments).env("ROWCAST_DATABASE__URL", url).output().unwrap();
    let error = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{arguments:?}: {error}");
    String::from_utf8(ended.stdout).unwrap()
}

/// The id in a key.
pub(super) fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

/// Waits until ingest and the gateway know the newest key.
pub(crate) async fn await_known(stack: &Stack, writer: &str) {
    let header = [("x-api-key", writer)];
    for (service, path) in
        [(stack.ingest.public(), "/api/sensors/"), (stack.gateways[0].public(), "/api/readings")]
    {
        wait_for("the keys are known", Duration::from_secs(5), async || {
            // it may write, but not read
            match http::send(service, "GET", path, &header, b"").await.map(|answer| answer.status) {
                Ok(403) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

fn base64(text: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    BASE64_STANDARD.encode(text)
}

fn base64url(json: &Value) -> String {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}
