//! Every door with every kind of credential: one table of doors, one of credentials. A path that is documented and not among the
//! doors fails.

mod attacks;
pub(crate) mod credentials;
mod live;
mod probes;
mod rates;
mod tickets;
mod viewers;

use std::collections::BTreeSet;

use e2e::{Plan, Stack, http};

use self::{
    credentials::{Credential, Credentials, Verdict},
    probes::{DOORS, Door, PUBLIC, Seen},
};

/// What is read in this test, before the first credential is tried.
const READING: &str = r#"{"sensor_id":"acme/1","value":1}"#;

async fn stack(issuers: &str, gateways: usize) -> Stack {
    let env = [
        ("ingest:ROWCAST_AUTH__ENABLED", "true"),
        ("ingest:ROWCAST_AUTH__ISSUERS_FILE", issuers),
        ("ingest:ROWCAST_HOOKS__TEST__SENSOR", "{/device}"),
        ("ingest:ROWCAST_HOOKS__TEST__VALUE", "/number"),
        ("ws-gateway:ROWCAST_AUTH__ENABLED", "true"),
        ("ws-gateway:ROWCAST_AUTH__ISSUERS_FILE", issuers),
    ];
    Stack::start_with(Plan { gateways, listeners: 1 }, &env).await.unwrap()
}

#[test]
fn every_documented_path_is_a_door_or_public() {
    let doors = DOORS.iter().map(|door| door.path).chain(PUBLIC).map(str::to_owned);
    let documented = documents::paths(documents::INGEST).into_iter();
    let documented: BTreeSet<String> = documented.chain(documents::paths(documents::GATEWAY)).collect();
    assert_eq!(doors.collect::<BTreeSet<_>>(), documented);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_asks_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = Credentials::new(folder.path());
    let stack = stack(credentials.issuers(), 1).await;
    let table = credentials.table(&stack).await;
    let writer = table.iter().find(|credential| credential.name == "writer").unwrap();
    let since = probes::position(&stack, &table).await;
    let header = writer.header.as_ref().map(|(name, value)| (*name, value.as_str())).unwrap();
    let headers = [header, ("content-type", "application/json")];
    let stored =
        http::send(stack.ingest.public(), "POST", "/api/sensors/", &headers, READING.as_bytes()).await;
    assert_eq!(stored.unwrap().status, 201);
    probes::await_latest(&stack, &table).await;
    let mut stored = 1;
    for door in DOORS {
        for credential in &table {
            for (how, seen) in door.probe(&stack, credential, &since).await {
                check(door, credential, &how, &seen);
                stored += usize::from(seen.stored);
            }
        }
    }
    let count: usize = stack.psql("select count(*) from sensor_readings").parse().unwrap();
    assert_eq!(count, stored, "what is refused is not stored");
}

#[track_caller]
fn check(door: &Door, credential: &Credential, how: &str, seen: &Seen) {
    let verdict = if door.writes { credential.write } else { credential.read };
    let what = format!("{} {} ({how}) with {}: {seen:?}", door.method, door.path, credential.name);
    let head = seen.head.to_ascii_lowercase();
    let is_cached = !head.contains("cache-control: no-store") && !head.contains("cache-control: private");
    assert!(door.writes || seen.status != 200 || !is_cached, "{what}");
    match verdict {
        Verdict::Refused(status) => {
            assert_eq!((seen.status, seen.shows), (status, false), "{what}");
            let challenged = head.contains("www-authenticate: bearer");
            assert!(how == "verb" || challenged == (status == 401), "{what}");
        }
        Verdict::Granted if door.writes => assert!(seen.status / 100 == 2, "{what}"),
        // what a demo client is shown comes later
        Verdict::Granted | Verdict::Elsewhere if how.starts_with("demo") => {
            assert_eq!(seen.status, 101, "{what}")
        }
        Verdict::Granted => assert_eq!((seen.status / 100 <= 2, seen.shows), (true, door.shows), "{what}"),
        Verdict::Elsewhere => {
            let status = if door.is_sensor { 404 } else { 200 };
            let status = if matches!(seen.status, 101 | 201) { seen.status } else { status };
            assert_eq!((seen.status, seen.shows), (status, false), "{what}");
        }
    }
}
