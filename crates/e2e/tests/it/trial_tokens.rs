//! Trial tokens, as docs/ACCESS.md has them.

use std::{path::Path, process::Command, time::Duration};

use e2e::{Plan, Stack, http, stack};
use serde_json::Value;
use testkit::wait_for;

/// The first block of the page that makes a token.
fn documented() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ACCESS.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains("rowcast token")).unwrap().to_owned()
}

/// What a script prints in a folder, with `rowcast` on its path.
fn shell(folder: &Path, script: &str) -> String {
    let own = stack::binary("rowcast").unwrap();
    let path = format!("{}:{}", own.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let ran =
        Command::new("sh").args(["-euc", script]).current_dir(folder).env("PATH", path).output().unwrap();
    assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_token_is_taken_for_its_sensors_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let token = shell(folder.path(), &format!("{}\nprintf %s \"$TOKEN\"", documented()));
    let file = folder.path().join("issuers.toml").display().to_string();
    let env = ["ingest", "ws-gateway"].map(|name| {
        [
            (format!("{name}:ROWCAST_AUTH__ENABLED"), "true".to_owned()),
            (format!("{name}:ROWCAST_AUTH__ISSUERS_FILE"), file.clone()),
        ]
    });
    let plan = Plan { gateways: 1, listeners: 1 };
    let stack = Stack::start_with(plan, &stack::borrowed(env.as_flattened())).await.unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (sensor, status) in [("acme/1", 201), ("other/1", 403)] {
        let body = format!(r#"{{"sensor_id":"{sensor}","value":21.5}}"#);
        let path = "/api/sensors/";
        let answer =
            http::send(stack.ingest.public(), "POST", path, &headers, body.as_bytes()).await.unwrap();
        assert_eq!(answer.status, status, "{sensor}: {}", answer.body);
    }
    let read = async |authorization: &str| {
        let headers = [("authorization", authorization)];
        http::send(stack.gateways[0].public(), "GET", "/api/latest", &headers, b"").await.unwrap()
    };
    assert_eq!(read(&bearer).await.status, 200);
    // one whose own name is printed, which ends it
    let made =
        shell(folder.path(), "rowcast token --issuers-file issuers.toml --subject bob --read '*' -o json");
    let made: Value = serde_json::from_str(&made).unwrap();
    let (token, jti) = (made["token"].as_str().unwrap(), made["jti"].as_str().unwrap());
    let bearer = format!("Bearer {token}");
    assert_eq!(read(&bearer).await.status, 200);
    let revoke = ["tokens", "revoke", "--issuer", "trial", "--jti", jti, "--for", "1h"];
    let mut command = Command::new(stack::binary("rowcast").unwrap());
    let url = stack.database_url("rowcast");
    assert!(command.args(revoke).env("ROWCAST_DATABASE__URL", url).output().unwrap().status.success());
    wait_for("the revocation", Duration::from_secs(10), async || match read(&bearer).await.status {
        401 => Ok(()),
        other => Err(other),
    })
    .await;
}
