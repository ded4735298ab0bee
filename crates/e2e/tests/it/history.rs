//! History over HTTP: pages, buckets, forms, and the transition from history to live readings.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use e2e::{Plan, Stack, client, http};
use serde_json::Value;
use testkit::wait_for;

async fn stack() -> Stack {
    Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap()
}

async fn get(gateway: SocketAddr, path: &str, headers: &[(&str, &str)]) -> http::Answer {
    http::send(gateway, "GET", path, headers, b"").await.unwrap()
}

/// The body of an answer, which must be 200.
#[track_caller]
fn good(answer: http::Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

fn values(page: &Value) -> Vec<i64> {
    let readings = page["readings"].as_array().unwrap();
    readings.iter().map(|reading| reading["value"].as_f64().unwrap() as i64).collect()
}

/// 250 readings of five sensors, a second apart, from noon.
fn fill(stack: &Stack) {
    stack.psql(
        r#"insert into sensor_readings (sensor_id, value, "timestamp", metadata)
           select 's' || n % 5, n, timestamptz '2026-01-01 12:00:00+00' + n * interval '1 s', '{"a": [1, "x,\"y"]}'
             from generate_series(0, 249) n"#,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_end_and_hold_each_reading_once_while_others_are_inserted() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    fill(&stack);
    for (order, newer_than_what_is_read) in [("desc", "2026-02-01"), ("asc", "2025-12-01")] {
        let (mut received, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let path = format!("/api/readings?limit=40&order={order}&sensor=s*{cursor}");
            let answer = get(gateway, &path, &[]).await;
            let link = answer.header("link").map(str::to_owned);
            let page = good(answer);
            received.extend(values(&page));
            pages += 1;
            // before the page that is read: these rows belong to a later request
            stack.psql(&format!(
                r#"insert into sensor_readings (sensor_id, value, "timestamp")
                   select 's' || n % 5, -1, '{newer_than_what_is_read}' from generate_series(1, 7) n"#
            ));
            let Some(next) = page["next"].as_str() else {
                assert_eq!(link, None);
                break;
            };
            cursor = format!("&cursor={next}");
            assert!(link.unwrap().ends_with(&format!("cursor={next}>; rel=\"next\"")));
        }
        received.retain(|value| *value >= 0);
        let expected: Vec<i64> = if order == "asc" { (0..250).collect() } else { (0..250).rev().collect() };
        assert_eq!(received, expected, "{order}");
        assert!(pages >= 7);
        stack.psql("delete from sensor_readings where value = -1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_is_half_open_and_readings_have_the_same_bytes_everywhere() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    fill(&stack);
    let page = good(
        get(
            gateway,
            "/api/readings?order=asc&from=2026-01-01T12:00:10Z&to=2026-01-01T13:00:15%2B01:00&sensor=s0,s1",
            &[],
        )
        .await,
    );
    assert_eq!((values(&page), &page["next"]), (vec![10, 11], &Value::Null));
    let one = get(gateway, "/api/readings?sensor=s4&limit=1", &[]).await;
    let listed = http::get(stack.ingest.public(), "/api/sensors/?sensor_id=s4&limit=1").await.unwrap();
    let listed = listed.body.trim_matches(['[', ']']);
    assert!(one.body.contains(listed), "{} {listed}", one.body);
    assert!(values(&good(get(gateway, "/api/readings?sensor=nobody", &[]).await)).is_empty());
    assert_eq!(values(&good(get(gateway, "/api/readings?sensor=*&limit=5000", &[]).await)).len(), 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_as_computed_by_hand() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    fill(&stack);
    let query = "bucket=1m&order=asc&sensor=s*&from=2026-01-01T12:00:30Z&to=2026-01-01T12:03:00Z&limit=4";
    // by hand: sensor n % 5, from second 30 to before second 180
    let mut by_hand: BTreeMap<(i64, i64), Vec<f64>> = BTreeMap::new();
    for n in 30..180 {
        by_hand.entry((n / 60, n % 5)).or_default().push(n as f64);
    }
    let expected: Vec<String> = by_hand
        .iter()
        .map(|((minute, sensor), values)| {
            let (count, sum) = (values.len(), values.iter().sum::<f64>());
            let (min, max) = (values[0], values[count - 1]);
            format!(
                r#"{{"sensor_id":"s{sensor}","bucket":"2026-01-01T12:{minute:02}:00.000000Z","count":{count},"min":{min:?},"max":{max:?},"avg":{:?}}}"#,
                sum / count as f64
            )
        })
        .collect();
    let (mut received, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/readings?{query}{cursor}");
        let lines = get(gateway, &path, &[("accept", "application/x-ndjson")]).await;
        let page = good(get(gateway, &path, &[]).await);
        assert_eq!(lines.body.lines().count(), page["buckets"].as_array().unwrap().len());
        received.extend(lines.body.lines().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        assert!(lines.header("link").unwrap().contains(next));
        cursor = format!("&cursor={next}");
    }
    assert_eq!(received, expected);
    let table = get(
        gateway,
        "/api/readings?bucket=1d&sensor=s0&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
        &[("accept", "text/csv")],
    )
    .await;
    assert_eq!(
        table.body,
        "sensor_id,bucket,count,min,max,avg\r\ns0,2026-01-01T00:00:00.000000Z,50,0.0,245.0,122.5\r\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_chooses_the_format() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let body = r#"{"sensor_id":"a, \"b\"","value":1e-7,"timestamp":"2026-01-01T00:00:00Z","metadata":{"t": "x\ny, z"}}"#;
    let stored = http::post(stack.ingest.public(), "/api/sensors/", body).await.unwrap().json();
    let (id, at) = (stored["id"].as_i64().unwrap(), stored["created_at"].as_str().unwrap());
    let table = get(gateway, "/api/readings", &[("accept", "text/csv")]).await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(
        table.body,
        format!(
            "id,sensor_id,value,timestamp,metadata,created_at,updated_at\r\n\
             {id},\"a, \"\"b\"\"\",1e-7,2026-01-01T00:00:00.000000Z,\"{{\"\"t\"\":\"\"x\\ny, z\"\"}}\",{at},{at}\r\n"
        )
    );
    let lines = get(gateway, "/api/readings", &[("accept", "application/x-ndjson")]).await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let json = get(gateway, "/api/readings", &[]).await;
    assert_eq!(json.body, format!(r#"{{"readings":[{}],"next":null}}"#, lines.body.trim_end()));
    let refused = get(gateway, "/api/readings", &[("accept", "image/png")]).await;
    assert_eq!((refused.status, refused.header("content-type")), (406, Some("application/problem+json")));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_parameters_are_refused_and_every_fault_is_named() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    for (path, faults) in [
        ("/api/readings?form=2026-01-01T00:00:00Z", 1),
        ("/api/readings?limit=0&order=up&cursor=x&from=now", 4),
        ("/api/readings?sensor=a*b", 1),
        ("/api/readings?sensor=%00", 1),
        ("/api/readings?bucket=1m", 2),
        ("/api/readings?bucket=1s&sensor=a&from=2026-01-01T00:00:00Z", 1),
        ("/api/readings?bucket=1h&sensor=a&from=1999-01-01T00:00:00Z", 1),
        ("/api/latest?from=1.2.3&limit=-1", 2),
        ("/api/latest?cursor=cmVhZGluZyAxIDI", 1),
        ("/api/sensors/a?limit=1", 1),
    ] {
        let answer = get(gateway, path, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/problem+json")),
            "{path}"
        );
        let problem = answer.json();
        assert_eq!(problem["type"], "urn:rowcast:problem:bad-query", "{path}");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(faults), "{path}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], "", "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_continues_live_from_the_latest_without_loss_or_duplicates() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    let insert = |n: i64| {
        stack.psql(&format!("insert into sensor_readings (sensor_id, value) values ('s{}', {n})", n % 3));
    };
    (0..30).for_each(insert);
    let (mut socket, _) = client::subscribed(gateway, r#"{"from":{"last":"1h"}}"#).await;
    // the gateway has all of them: the last one may be in no tick yet when the subscription is live
    let is_last = |data: &str| data.contains(r#""value":29"#);
    client::messages_until(&mut socket, |message| {
        message.data.as_ref().is_some_and(|data| is_last(data.get()))
    })
    .await;
    // written while the pages are read, in part before and in part after their place
    let pages = async {
        let (mut newest, mut cursor, mut pos) = (BTreeMap::new(), String::new(), None);
        loop {
            let answer = get(gateway, &format!("/api/latest?limit=1{cursor}"), &[]).await;
            let named = answer.header("rowcast-position").map(str::to_owned);
            let page = good(answer);
            let own = page["pos"].as_str().unwrap().to_owned();
            assert_eq!(named.as_ref(), Some(&own));
            assert_eq!(pos.get_or_insert(own.clone()), &own, "all pages are as of one position");
            for reading in page["readings"].as_array().unwrap() {
                newest.insert(
                    reading["sensor_id"].as_str().unwrap().to_owned(),
                    reading["value"].as_f64().unwrap(),
                );
            }
            (30..33).for_each(insert);
            let Some(next) = page["next"].as_str() else { return (newest, pos.unwrap()) };
            cursor = format!("&cursor={next}");
        }
    };
    let (mut newest, pos) = pages.await;
    assert_eq!(newest.len(), 3);
    (60..63).for_each(insert);
    // from there, each sensor's readings follow its newest, and the end is the table's
    let (mut socket, _) = client::subscribed(gateway, &format!(r#"{{"from":"{pos}"}}"#)).await;
    let mut events = Vec::new();
    while !events.iter().any(|(_, value)| *value == 62.0) {
        for message in client::next_messages(&mut socket).await.unwrap() {
            if let Some(data) = message.data {
                let reading: Value = serde_json::from_str(data.get()).unwrap();
                events.push((
                    reading["sensor_id"].as_str().unwrap().to_owned(),
                    reading["value"].as_f64().unwrap(),
                ));
            }
        }
    }
    let newest_value = newest.values().map(|value| *value as i64).max().unwrap();
    let missing = stack.psql("select count(*) from sensor_readings where value >= 30");
    let before = stack
        .psql(&format!("select count(*) from sensor_readings where value >= 30 and value <= {newest_value}"));
    let known: i64 = if newest_value >= 30 { before.parse().unwrap() } else { 0 };
    assert_eq!(
        events.len() as i64,
        missing.parse::<i64>().unwrap() - known,
        "nothing is missed and nothing comes twice"
    );
    newest.extend(events);
    assert_eq!(newest.into_values().collect::<Vec<_>>(), [60.0, 61.0, 62.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_response_is_not_sent_again() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    fill(&stack);
    let (mut socket, _) = client::subscribed(gateway, r#"{"sensors":["end"]}"#).await;
    let mut end = 0;
    for path in ["/api/latest?sensor=s*", "/api/readings?sensor=s*,end", "/api/sensors/s1", "/openapi.json"] {
        // after the end, everything before it has been forwarded
        end += 1;
        stack.psql(&format!("insert into sensor_readings (sensor_id, value) values ('end', {end})"));
        client::messages_until(&mut socket, |message| message.data.is_some()).await;
        let first = get(gateway, path, &[]).await;
        let etag = first.header("etag").unwrap().to_owned();
        assert_eq!((first.status, first.header("cache-control")), (200, Some("no-cache")), "{path}");
        let again = get(gateway, path, &[("if-none-match", &etag)]).await;
        assert_eq!(
            (again.status, again.body.as_str(), again.header("etag")),
            (304, "", Some(etag.as_str())),
            "{path}"
        );
        assert_eq!(get(gateway, path, &[("if-none-match", "\"other\"")]).await.status, 200, "{path}");
        let table = get(gateway, path, &[("if-none-match", &etag), ("accept", "text/csv")]).await;
        let has_forms = path.starts_with("/api/latest") || path.starts_with("/api/readings");
        assert_eq!(table.status, if has_forms { 200 } else { 304 }, "{path}: another form is another answer");
        end += 1;
        stack.psql(&format!(
            "insert into sensor_readings (sensor_id, value) values ('s1', {end}), ('end', {end})"
        ));
        client::messages_until(&mut socket, |message| message.data.is_some()).await;
        let changed = get(gateway, path, &[("if-none-match", &etag)]).await;
        assert_eq!(changed.status, if path == "/openapi.json" { 304 } else { 200 }, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_has_its_newest_and_oldest_reading_or_is_unknown() {
    let stack = stack().await;
    let gateway = stack.gateways[0].public();
    fill(&stack);
    stack.psql("insert into sensor_readings (sensor_id, value) values ('a/b c*', 7)");
    let sensor = good(get(gateway, "/api/sensors/s2", &[]).await);
    assert_eq!(
        (&sensor["sensor_id"], &sensor["newest"]["value"], &sensor["oldest"]["value"]),
        (&"s2".into(), &247.0.into(), &2.0.into())
    );
    assert_eq!(good(get(gateway, "/api/sensors/a%2Fb%20c%2A", &[]).await)["newest"]["value"], 7.0);
    let long = format!("/api/sensors/{}", "x".repeat(101));
    for path in ["/api/sensors/nobody", "/api/sensors/%00", "/api/sensors/%FF", &long] {
        let answer = get(gateway, path, &[]).await;
        assert_eq!(
            (answer.status, &answer.json()["type"]),
            (404, &"urn:rowcast:problem:unknown-sensor".into()),
            "{path}"
        );
    }
    // the list of readings belongs to another service
    let list = get(gateway, "/api/sensors/", &[]).await;
    assert_eq!((list.status, &list.json()["type"]), (404, &"urn:rowcast:problem:not-found".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reading_methods_and_pages_that_may_read() {
    let env = [("ws-gateway:ROWCAST_GATEWAY__ORIGINS", "https://b.org")];
    let stack = Stack::start_with(Plan { gateways: 1, listeners: 1 }, &env).await.unwrap();
    let gateway = stack.gateways[0].public();
    fill(&stack);
    for path in ["/api/readings?limit=3", "/api/latest", "/api/sensors/s1", "/openapi.json", "/asyncapi.json"]
    {
        let (get, head) =
            (get(gateway, path, &[]).await, http::send(gateway, "HEAD", path, &[], b"").await.unwrap());
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = http::send(gateway, method, path, &[], b"").await.unwrap();
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
        let foreign = self::get(gateway, path, &[("origin", "https://a.org")]).await;
        assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, None), "{path}");
        let listed = self::get(gateway, path, &[("origin", "https://b.org")]).await;
        assert_eq!(
            (listed.status, listed.header("access-control-allow-origin")),
            (200, Some("https://b.org")),
            "{path}"
        );
    }
    // a refusal can be read by those pages too
    let refused = get(gateway, "/api/readings?x=1", &[("origin", "https://b.org")]).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, Some("https://b.org")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_timeout_is_reported_and_sockets_continue() {
    let stack = Arc::new(stack().await);
    let gateway = stack.gateways[0].public();
    let (mut socket, _) = client::subscribed(gateway, "{}").await;
    // every reader of the table waits for the lock
    let locker = stack.clone();
    let mut lock = tokio::task::JoinSet::new();
    lock.spawn_blocking(move || {
        locker.psql("begin; lock table sensor_readings in access exclusive mode; select pg_sleep(9); commit")
    });
    wait_for("the lock", Duration::from_secs(5), || async {
        let held = "select count(*) from pg_locks where granted and mode = 'AccessExclusiveLock'
                    and relation = 'sensor_readings'::regclass";
        if stack.psql(held) == "1" { Ok(()) } else { Err("nobody holds it") }
    })
    .await;
    let paths = [
        "readings",
        "latest",
        "sensors/a",
        "readings?bucket=1m&sensor=a&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
        "readings",
        "readings",
    ];
    let answers = futures_util::future::join_all(
        paths.map(async |path| get(gateway, &format!("/api/{path}"), &[]).await),
    )
    .await;
    lock.join_all().await;
    for answer in answers {
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    stack.psql("insert into sensor_readings (sensor_id, value) values ('a', 1)");
    client::messages_until(&mut socket, |message| message.data.is_some()).await;
    assert_eq!(values(&good(get(gateway, "/api/readings", &[]).await)), [1]);
}
