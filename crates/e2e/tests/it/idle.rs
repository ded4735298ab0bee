//! A database that closes idle connections, as many are configured to do: no request fails.

use std::time::Duration;

use e2e::{Plan, Stack, client, http};
use testkit::{Postgres, wait_for};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_post_after_the_server_ended_idle_connections_is_stored() {
    let postgres = Postgres::start_with(&["idle_session_timeout=1s"]).unwrap();
    let stack = Stack::start_on(postgres, None, Plan { gateways: 1, listeners: 1 }, &[]).await.unwrap();
    let (mut socket, _) = client::subscribed(stack.gateways[0].public(), "{}").await;
    for value in 0..4 {
        // a lane keeps its connection for as long as it works
        wait_for("the end of ingest's idle connections", Duration::from_secs(30), async || {
            let left = stack.psql(
                "select count(*) from pg_stat_activity where application_name = 'rowcast ingest' and query ilike '%insert%'",
            );
            if left == "0" { Ok(()) } else { Err(left) }
        })
        .await;
        let body = format!(r#"{{"sensor_id":"a","value":{value}}}"#);
        let posted = http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap();
        assert_eq!(posted.status, 201, "round {value}: {posted:?}");
        let listed = http::get(stack.ingest.public(), "/api/sensors/").await.unwrap();
        assert_eq!((listed.status, listed.json().as_array().map(Vec::len)), (200, Some(value + 1)));
        let latest = http::get(stack.gateways[0].public(), "/api/latest").await.unwrap();
        assert_eq!(latest.status, 200, "{latest:?}");
        client::messages_until(&mut socket, |message| message.data.is_some()).await;
    }
    for service in stack.services() {
        service.await_healthy().await;
    }
}
