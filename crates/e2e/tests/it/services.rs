//! Each service by itself: configuration, readiness, shutdown, and its behaviour while a dependency is unreachable.

use std::time::{Duration, Instant};

use e2e::{Plan, Stack, client, http, stack, users};
use nix::sys::signal::Signal;
use testkit::{Postgres, Process, Proxy, process::Program, proxy::LinkState, wait_for};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drains_and_ends_with_zero() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let mut demo = client::connect_demo(stack.gateways[0].public(), "/ws/sensors/").await.unwrap();
    let mut v1 = client::connect_v1(stack.gateways[0].public()).await.unwrap();
    client::next_messages(&mut v1).await.unwrap();
    for service in stack.services() {
        service.process.signal(Signal::SIGTERM).unwrap();
    }
    let bye = client::next_messages(&mut v1).await.unwrap().remove(0).bye.unwrap();
    assert_eq!((bye.code, bye.resume), (1012, true));
    assert!(bye.after_ms.is_some(), "clients get the time to reconnect");
    let ended = client::next_text(&mut demo).await.unwrap_err().to_string();
    assert!(
        ended.contains("1012") || ended.contains("Restart"),
        "never 1000, after which the demo's page does not reconnect: {ended}"
    );
    let Stack { ingest, gateways, listeners, .. } = stack;
    for service in [ingest].into_iter().chain(gateways).chain(listeners) {
        assert_eq!(service.process.wait(SOON).unwrap(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_is_reported_within_three_seconds_and_stores_nothing_in_part() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let ingest = stack.ingest.public();
    let body = r#"[{"sensor_id":"a","value":1},{"sensor_id":"a","value":2}]"#;
    for state in [LinkState::Frozen, LinkState::Cut] {
        stack.ingest.to_postgres.set(state);
        let began = Instant::now();
        let answer = http::post(ingest, "/api/sensors/", body).await.unwrap();
        assert_eq!(answer.status, 503, "{state:?}: {}", answer.body);
        assert!(answer.header("retry-after").is_some());
        assert!(began.elapsed() < Duration::from_secs(3), "{state:?}: {:?}", began.elapsed());
        // all replicas would answer the same, so none is taken out of service
        stack.ingest.await_degraded("database").await;
        assert_eq!(stack.ingest.metric("rowcast_degraded{condition=\"database\"}").await.unwrap(), 1.0);
        stack.ingest.to_postgres.set(LinkState::Open);
        stack.ingest.await_healthy().await;
        assert_eq!(http::post(ingest, "/api/sensors/", body).await.unwrap().status, 201);
    }
    // what was refused while the connection was frozen reached the server late, and stored nothing
    assert_eq!(stack.psql("select count(*) from sensor_readings"), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_does_not_store_what_its_client_was_refused() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let ingest = stack.ingest.public();
    let body = |n: i32| format!(r#"{{"sensor_id":"a","value":{n}}}"#);
    assert_eq!(http::post(ingest, "/api/sensors/", &body(1)).await.unwrap().status, 201);
    let backends = stack.psql("select pid from pg_stat_activity where application_name = 'rowcast ingest'");
    assert!(!backends.is_empty(), "ingest is connected");
    let each = |signal: Signal| {
        for pid in backends.lines() {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse().unwrap()), signal).unwrap();
        }
    };
    each(Signal::SIGSTOP);
    let answer = http::post(ingest, "/api/sensors/", &body(2)).await.unwrap();
    each(Signal::SIGCONT);
    assert_eq!(answer.status, 503);
    assert_eq!(http::post(ingest, "/api/sensors/", &body(3)).await.unwrap().status, 201);
    assert_eq!(stack.psql("select string_agg(value::text, ' ' order by id) from sensor_readings"), "1 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_wait_unready_for_the_schema() {
    let postgres = Postgres::start().unwrap();
    users::create(&postgres).unwrap();
    let logs = tempfile::tempdir().unwrap();
    let admin = std::net::SocketAddr::from(([127, 0, 0, 1], testkit::postgres::free_port().unwrap()));
    let program = Program::new(stack::binary("ingest").unwrap(), logs.path().join("ingest.log"))
        .env("ROWCAST_DATABASE__URL", users::url(&postgres.url(stack::DATABASE), "ingest"))
        .env("ROWCAST_HTTP__ADDR", "127.0.0.1:0")
        .env("ROWCAST_ADMIN__ADDR", admin.to_string());
    let ingest = Process::start(program).unwrap();
    let readiness = async || http::get(admin, "/readyz").await.map(|answer| (answer.status, answer.body));
    wait_for("the schema's absence", SOON, async || match readiness().await {
        Ok((503, body)) if body.contains("version 0") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(http::get(admin, "/livez").await.unwrap().status, 200, "unready is not dead");
    stack::migrate(&postgres, stack::DATABASE, logs.path()).unwrap();
    wait_for("readiness", SOON, async || match readiness().await {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(ingest.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_waits_for_the_database_and_can_be_killed_and_run_again() {
    let postgres = Postgres::start().unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await.unwrap();
    proxy.set(LinkState::Cut);
    let logs = tempfile::tempdir().unwrap();
    let url = format!("postgres://postgres@{}/{}", proxy.addr(), stack::DATABASE);
    let start = || {
        let log = logs.path().join("migrate.log");
        Process::start(
            Program::new(stack::binary("migrate").unwrap(), log).env("ROWCAST_DATABASE__URL", &url),
        )
        .unwrap()
    };
    let waiting = start();
    wait_for("its log line that it waits", SOON, async || {
        if waiting.output().contains("waiting for the database") { Ok(()) } else { Err(waiting.output()) }
    })
    .await;
    proxy.set(LinkState::Open);
    // killed as soon as it has begun, it leaves complete migrations or nothing
    wait_for("its first table", SOON, async || {
        match postgres.psql(stack::DATABASE, "select to_regclass('rowcast._sqlx_migrations') is not null") {
            Ok(there) if there == "t" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    waiting.kill().unwrap();
    let (mut one, two) = (start(), start());
    wait_for("both ends", SOON, async || if one.is_running() || two.is_running() { Err(()) } else { Ok(()) })
        .await;
    for run in [&one, &two] {
        assert!(run.output().contains("the schema is current"), "{}", run.output());
    }
    one.restart().unwrap();
    wait_for("a third end", SOON, async || if one.is_running() { Err(()) } else { Ok(()) }).await;
    assert!(one.output().contains(r#""applied":0"#), "nothing is left to do: {}", one.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_redis_stops_ticks_and_not_posts() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let mut socket = client::connect_demo(stack.gateways[0].public(), "/ws/sensors/").await.unwrap();
    stack.redis.process().signal(Signal::SIGSTOP).unwrap();
    for value in 0..50 {
        let body = format!(r#"{{"sensor_id":"a","value":{value}}}"#);
        assert_eq!(http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().status, 201);
    }
    stack.redis.process().signal(Signal::SIGCONT).unwrap();
    for value in 0..50 {
        let frame: serde_json::Value =
            serde_json::from_str(&client::next_text(&mut socket).await.unwrap()).unwrap();
        assert_eq!(frame["data"]["value"], f64::from(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_redis_takes_no_gateway_out_of_service() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    let gateway = stack.gateways[0].public();
    let (mut before, _) = client::subscribed(gateway, "{}").await;
    let all = |state: LinkState| {
        for service in stack.gateways.iter().chain(&stack.listeners) {
            service.to_redis.as_ref().unwrap().set(state);
        }
    };
    all(LinkState::Cut);
    for gateway in &stack.gateways {
        gateway.await_degraded("feed").await;
    }
    let stale = |message: &wire::ServerMessage| message.mark.is_some_and(|mark| mark.stale);
    client::messages_until(&mut before, stale).await;
    let (mut meanwhile, ok) = client::subscribed(gateway, "{}").await;
    assert!(ok.ok.is_some(), "new clients are accepted");
    client::messages_until(&mut meanwhile, stale).await;
    for value in 0..5 {
        let body = format!(r#"{{"sensor_id":"a","value":{value}}}"#);
        assert_eq!(http::post(stack.ingest.public(), "/api/sensors/", &body).await.unwrap().status, 201);
    }
    all(LinkState::Open);
    for socket in [&mut before, &mut meanwhile] {
        client::messages_until(socket, |message| {
            message.data.as_ref().is_some_and(|data| data.get().contains(r#""value":4.0"#))
        })
        .await;
    }
    for gateway in &stack.gateways {
        gateway.await_healthy().await;
        wait_for("the log line at the end of the outage", SOON, async || {
            let output = gateway.process.output();
            let lines = |text: &str| output.lines().filter(|line| line.contains(text)).count();
            let failed = lines("the feed failed");
            assert!(failed <= 3, "{failed} lines for one outage: {output}");
            if lines("the feed recovered") == 1 { Ok(()) } else { Err(output) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_alone_is_cut_off_from_redis_is_taken_out_of_service() {
    let stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    let link = stack.gateways[0].to_redis.as_ref().unwrap();
    link.set(LinkState::Cut);
    stack.gateways[0].await_degraded("feed").await;
    let (mut other, _) = client::subscribed(stack.gateways[1].public(), "{}").await;
    // the log grows, so there is a stream for others
    for value in 0..4 {
        stack.psql(&format!("insert into sensor_readings (sensor_id, value) values ('a', {value})"));
        client::messages_until(&mut other, |message| message.data.is_some()).await;
    }
    stack.gateways[0].await_unready().await;
    let refused = http::get(stack.gateways[0].public(), "/sse/sensors/").await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("2")));
    stack.gateways[1].await_healthy().await;
    link.set(LinkState::Open);
    stack.gateways[0].await_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_postgres_takes_no_gateway_out_of_service() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let gateway = &stack.gateways[0];
    let (mut socket, _) = client::subscribed(gateway.public(), "{}").await;
    stack.psql("insert into sensor_readings (sensor_id, value) values ('a', 1)");
    let event = client::messages_until(&mut socket, |message| message.data.is_some()).await.pop().unwrap();
    let resume = format!(r#"{{"from":"{}"}}"#, event.pos.unwrap());
    for state in [LinkState::Cut, LinkState::Frozen] {
        gateway.to_postgres.set(state);
        gateway.await_degraded("schema").await;
        // what it has in memory, it serves
        let (mut resumed, ok) = client::subscribed(gateway.public(), &resume).await;
        assert_eq!(ok.ok.unwrap().resumed, Some(true));
        stack.psql("insert into sensor_readings (sensor_id, value) values ('a', 2)");
        for socket in [&mut socket, &mut resumed] {
            client::messages_until(socket, |message| message.data.is_some()).await;
        }
        gateway.to_postgres.set(LinkState::Open);
        gateway.await_healthy().await;
    }
}
