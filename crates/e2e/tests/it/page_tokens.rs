//! The page at a gateway that asks who its clients are, in a real Chromium.

use e2e::{
    Browser, Plan, Stack, http,
    tokens::{self, Issuer},
};
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::page::built_page;

const READER: &str = "reader";

/// The life of a token that ends within the test, and of no test before.
const SHORT_S: u64 = 12;

struct Fixture {
    stack: Stack,
    issuer: Issuer,
    browser: Browser,
    /// Every reading, in its order.
    ids: Vec<i64>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With additional environment variables of the services.
    async fn with(more: &[(&str, &str)]) -> Self {
        let (page, folder) = (built_page(), tempfile::tempdir().unwrap());
        let issuer = Issuer::new("https://issuer.test", "one", Algorithm::ES256).unwrap();
        let issuers = tokens::write_issuers(folder.path(), &[&[&issuer]]).unwrap();
        let env = [
            ("ws-gateway:ROWCAST_GATEWAY__PAGE", page.as_str()),
            ("ws-gateway:ROWCAST_AUTH__ENABLED", "true"),
            ("ws-gateway:ROWCAST_AUTH__ISSUERS_FILE", issuers.to_str().unwrap()),
        ];
        let env = [&env, more].concat();
        let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
        let browser = Browser::start(&format!("http://{}/", stack.gateways[0].public()));
        Self { stack, issuer, browser, ids: Vec::new(), _folder: folder }
    }

    fn token(&self, seconds: u64, read: &[&str]) -> String {
        let mut claims = self.issuer.claims(READER, read);
        claims["exp"] = json!(tokens::now() + seconds);
        self.issuer.token(&claims)
    }

    #[track_caller]
    fn give(&mut self, token: &str) {
        self.browser.call(json!({"cmd": "give_token", "token": token}));
    }

    #[track_caller]
    fn wait_asked(&mut self, reason: &str) {
        self.browser
            .call(json!({"cmd": "wait_text", "testid": "token", "text": reason, "timeout_ms": 20_000}));
    }

    async fn post(&mut self) {
        let body = format!(r#"{{"sensor_id":"kitchen","value":{}}}"#, self.ids.len());
        let answer = http::post(self.stack.ingest.public(), "/api/sensors/", &body).await.unwrap();
        self.ids.push(answer.json()["id"].as_i64().unwrap());
    }

    #[track_caller]
    fn sockets(&mut self) -> u64 {
        self.browser.call(json!({"cmd": "sockets"}))["count"].as_u64().unwrap()
    }

    /// It has everything once, in the one order.
    #[track_caller]
    fn check_complete(&mut self) {
        self.browser.wait_ids(&self.ids);
        assert_eq!(self.browser.call(json!({"cmd": "ids"}))["ids"], json!(self.ids));
        let counters = self.browser.call(json!({"cmd": "counters"}));
        assert_eq!((&counters["duplicates"], &counters["gaps"]), (&json!(0), &json!(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_a_token_says_when_it_is_refused_and_keeps_it_in_memory() {
    let mut fixture = Fixture::new().await;
    fixture.browser.call(json!({"cmd": "open"}));
    fixture.browser.wait_status("Not authorized");
    fixture.wait_asked("only to those it knows");
    for scheme in ["light", "dark"] {
        fixture.browser.call(json!({"cmd": "scheme", "scheme": scheme}));
        assert_eq!(fixture.browser.call(json!({"cmd": "axe"}))["violations"], json!([]), "{scheme}");
    }
    if let Ok(folder) = std::env::var("ROWCAST_SCREENSHOTS") {
        fixture.browser.call(json!({"cmd": "screenshot", "path": format!("{folder}/token.png")}));
    }

    let stranger = Issuer::new("https://issuer.test", "one", Algorithm::ES256).unwrap();
    fixture.give(&stranger.token(&stranger.claims(READER, &["*"])));
    fixture.wait_asked("refused this token");
    let blind = fixture.token(600, &[]);
    fixture.give(&blind);
    fixture.wait_asked("may not read");
    fixture.browser.wait_status("Not authorized");
    assert_eq!(fixture.browser.call(json!({"cmd": "axe"}))["violations"], json!([]));

    let good = fixture.token(600, &["*"]);
    fixture.give(&good);
    fixture.browser.wait_status("Connected");
    fixture.browser.call(json!({"cmd": "wait_gone", "testid": "token"}));
    fixture.post().await;
    fixture.browser.call(json!({"cmd": "wait_value", "sensor": "kitchen", "value": "0"}));

    let kept = fixture.browser.call(json!({"cmd": "kept"}));
    assert_eq!((&kept["cookies"], &kept["stored"]), (&json!(0), &json!([])));
    let address = kept["address"].as_str().unwrap();
    let urls = fixture.browser.call(json!({"cmd": "sockets"}))["urls"].to_string();
    assert!(!address.contains(&good) && !urls.contains(&good), "{address} {urls}");
    assert_eq!(fixture.browser.call(json!({"cmd": "console_errors"}))["errors"], json!([]));
    fixture.browser.call(json!({"cmd": "open"}));
    fixture.wait_asked("only to those it knows");
    fixture.browser.call(json!({"cmd": "quit"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_renewed_without_missing_or_doubling_a_reading() {
    let mut fixture = Fixture::new().await;
    fixture.browser.call(json!({"cmd": "open"}));
    fixture.wait_asked("only to those it knows");
    let short = fixture.token(SHORT_S, &["*"]);
    let over = tokens::now() + SHORT_S;
    fixture.give(&short);
    fixture.browser.wait_status("Connected");
    let sockets = fixture.sockets();
    fixture.post().await;
    fixture.check_complete();

    fixture.wait_asked("ends soon");
    fixture.browser.wait_status("Connected");
    assert_eq!(fixture.browser.call(json!({"cmd": "axe"}))["violations"], json!([]));
    // a slip is told at once, and changes nothing
    fixture.give("a slip");
    fixture.wait_asked("refused this token");
    fixture.browser.wait_status("Connected");
    let next = fixture.token(600, &["*"]);
    fixture.give(&next);
    while tokens::now() <= over + 1 {
        fixture.post().await;
        fixture.check_complete();
    }
    fixture.browser.wait_status("Connected");
    assert_eq!(fixture.sockets(), sockets, "the same connection");
    fixture.browser.call(json!({"cmd": "quit"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_ended_is_asked_for_and_the_page_continues_where_it_was() {
    let mut fixture = Fixture::new().await;
    fixture.browser.call(json!({"cmd": "open"}));
    fixture.wait_asked("only to those it knows");
    let short = fixture.token(SHORT_S, &["*"]);
    fixture.give(&short);
    fixture.browser.wait_status("Connected");
    fixture.post().await;
    fixture.check_complete();

    fixture.wait_asked("has ended");
    fixture.browser.wait_status("Not authorized");
    fixture.post().await;
    let next = fixture.token(600, &["*"]);
    fixture.give(&next);
    fixture.browser.wait_status("Connected");
    fixture.post().await;
    fixture.check_complete();
    fixture.browser.call(json!({"cmd": "quit"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_some_sensors_are_public_the_page_asks_if_its_address_says_so() {
    let mut fixture = Fixture::with(&[("ws-gateway:ROWCAST_AUTH__ANONYMOUS_READ", "public")]).await;
    fixture.browser.call(json!({"cmd": "open"}));
    fixture.browser.wait_status("Connected");
    fixture.browser.call(json!({"cmd": "wait_gone", "testid": "token"}));

    fixture.browser.call(json!({"cmd": "open", "path": "?token"}));
    fixture.wait_asked("what everybody may see");
    assert_eq!(fixture.browser.call(json!({"cmd": "axe"}))["violations"], json!([]));
    let token = fixture.token(600, &["*"]);
    fixture.give(&token);
    fixture.browser.wait_status("Connected");
    fixture.post().await;
    fixture.check_complete();
    fixture.browser.call(json!({"cmd": "quit"}));
}
