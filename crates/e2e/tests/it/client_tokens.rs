//! The TypeScript client in Node, whose tokens end while readings come, at a gateway that asks for them.

use e2e::{
    Driver, Plan, Stack,
    tokens::{self, Issuer},
};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

/// The life of the first token.
const SHORT_S: u64 = 8;

async fn guarded(issuer: &Issuer, folder: &std::path::Path) -> Stack {
    let issuers = tokens::write_issuers(folder, &[&[issuer]]).unwrap();
    let env = [
        ("ws-gateway:ROWCAST_AUTH__ENABLED", "true"),
        ("ws-gateway:ROWCAST_AUTH__ISSUERS_FILE", issuers.to_str().unwrap()),
    ];
    Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap()
}

/// A client of these addresses has every reading once, beyond the end of its first token.
async fn check_renewal(addresses: impl Fn(&Stack) -> Value) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("https://issuer.test", "one", Algorithm::ES256).unwrap();
    let stack = guarded(&issuer, folder.path()).await;
    let over = tokens::now() + SHORT_S;
    let token = |end: u64| {
        let mut claims = issuer.claims("reader", &["*"]);
        claims["exp"] = json!(end);
        issuer.token(&claims)
    };
    let tokens = [token(over), token(over + 600)];
    let mut library = Driver::start("client.mjs", &[]);
    library.call(json!({"cmd": "open", "addresses": addresses(&stack), "tokens": tokens}));
    library.call(json!({"cmd": "subscribe", "name": "all", "options": {}}));
    library.call(json!({"cmd": "wait_state", "state": "live"}));
    let mut ids = Vec::new();
    while tokens::now() <= over + 1 {
        let id = stack.psql("insert into sensor_readings (sensor_id, value) values ('s', 1) returning id");
        ids.push(id.lines().next().unwrap().parse::<i64>().unwrap());
        library.call(json!({"cmd": "wait_ids", "name": "all", "ids": ids}));
    }
    let received = library.call(json!({"cmd": "received", "name": "all"}));
    assert_eq!((&received["ids"], &received["doubles"]), (&json!(ids), &json!(0)));
    let states = library.call(json!({"cmd": "states"}));
    assert_eq!(states["states"], json!(["connecting", "catching-up", "live"]), "without a seam");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_renews_its_token_on_its_socket() {
    check_renewal(|stack| json!({"url": format!("ws://{}/ws/sensors/", stack.gateways[0].public())})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_renews_its_token_where_websockets_are_blocked() {
    let closed_port = testkit::postgres::free_port().unwrap();
    check_renewal(|stack| {
        json!({
            "url": format!("ws://127.0.0.1:{closed_port}/ws/sensors/"),
            "streamUrl": format!("http://{}/sse/sensors/", stack.gateways[0].public()),
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_library_says_that_it_is_not_authorized() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Issuer::new("https://issuer.test", "one", Algorithm::ES256).unwrap();
    let stack = guarded(&issuer, folder.path()).await;
    let url = format!("ws://{}/ws/sensors/", stack.gateways[0].public());
    let blind = issuer.token(&issuer.claims("reader", &[]));
    for token in ["no token", blind.as_str()] {
        let mut library = Driver::start("client.mjs", &[]);
        library.call(json!({"cmd": "open", "addresses": {"url": url}, "tokens": [token]}));
        library.call(json!({"cmd": "subscribe", "name": "all", "options": {}}));
        library.call(json!({"cmd": "wait_state", "state": "unauthorized"}));
    }
}
