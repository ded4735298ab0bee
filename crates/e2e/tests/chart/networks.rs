use serde_json::{Value, json};

use crate::render::{DEV, EXTERNAL, Objects, list, notes, render};

/// The ports that a component may reach beside DNS.
fn reached(objects: &Objects, component: &str) -> Vec<u64> {
    let policy = objects.one("NetworkPolicy", &format!("rowcast-{component}"));
    let rules = list(&policy["spec"]["egress"]);
    let ports = rules.iter().flat_map(|rule| list(&rule["ports"]));
    ports.filter(|port| port["protocol"].is_null()).map(|port| port["port"].as_u64().unwrap()).collect()
}

#[track_caller]
fn check_ports(base: &[&str], values: &[&str], expected: &[u64]) {
    let base = [base, &["networkPolicy.enabled=true"]].concat();
    assert_eq!(reached(&render(&base, values), "ws-gateway"), expected, "{values:?}");
}

#[test]
fn a_database_s_port_is_allowed_wherever_it_is_configured() {
    check_ports(DEV, &[], &[5432, 6379]);
    check_ports(EXTERNAL, &[], &[5432, 6379]);
    let others =
        ["postgres.external.url=postgres://u:p@db:6432/x", "redis.external.url=redis://:p@cache:6380/0"];
    check_ports(EXTERNAL, &others, &[6432, 6380]);
    let direct = ["postgres.external.url=postgres://u:p:6@pool:6432/x?sslmode=require"];
    check_ports(
        EXTERNAL,
        &[direct[0], "postgres.external.directUrl=postgres://[fd00::5]/x"],
        &[6432, 5432, 6379],
    );
    let sets = |set: &str| set.replace(',', "\\,");
    for (url, ports) in [
        ("postgres://u:p@a:5433,b:5434/x", &[5433, 5434, 6379][..]),
        ("postgres://u:p@a,b:5434/x", &[5432, 5434, 6379]),
        ("postgres://u:p@/x?host=a,b&port=5433,5434", &[5433, 5434, 6379]),
        ("postgres://u:p@/x?port=5433%2C5434&host=a%2Cb&sslmode=require", &[5433, 5434, 6379]),
        ("postgres://u:p@a,b/x?port=6432", &[6432, 6379]),
        ("postgres://u:p@/x?host=a,b", &[5432, 6379]),
    ] {
        check_ports(EXTERNAL, &[&sets(&format!("postgres.external.url={url}"))], ports);
    }
    let sentinels = ["redis.external.sentinel.hosts={a:26380,b:26381}", "redis.external.sentinel.master=m"];
    check_ports(EXTERNAL, &sentinels, &[5432, 6379, 26380, 26381]);
    check_ports(EXTERNAL, &["networkPolicy.redisPorts={7000}"], &[5432, 7000]);
    let parts = ["postgres.external.host=db", "postgres.external.port=25060", "redis.mode=dev"];
    check_ports(&[], &parts, &[25060, 6379]);
    let secrets = ["postgres.external.existingSecret.name=s", "redis.external.existingSecret.name=s"];
    check_ports(&[], &secrets, &[5432, 6379]);
}

#[test]
fn a_port_that_only_a_secret_has_is_named_in_the_notes() {
    let named = |values: &[&str]| {
        let notes = notes(&[&["networkPolicy.enabled=true"], values].concat());
        [("5432", "postgresPorts"), ("6379", "redisPorts")]
            .map(|(port, key)| notes.contains(port) && notes.contains(&format!("networkPolicy.{key}")))
    };
    let secrets = ["postgres.external.existingSecret.name=s", "redis.external.existingSecret.name=s"];
    assert_eq!(named(&secrets), [true, true]);
    assert_eq!(named(EXTERNAL), [false, false]);
    assert_eq!(named(&[EXTERNAL, &["ingest.databaseSecret.name=s"]].concat()), [true, false]);
    assert_eq!(named(DEV), [false, false]);
    let parts = ["postgres.external.host=db", "ingest.databaseSecret.name=s", "redis.mode=dev"];
    assert_eq!(named(&parts), [false, false]);
    let given = ["networkPolicy.postgresPorts={6432}", "networkPolicy.redisPorts={6380}"];
    assert_eq!(named(&[secrets, given].concat()), [false, false]);
    let open = [&secrets[..], &["networkPolicy.enabled=false"]].concat();
    assert_eq!(named(&open), [false, false]);
}

#[test]
fn dns_is_allowed_at_the_ports_of_every_platform() {
    let objects = render(DEV, &["networkPolicy.enabled=true"]);
    for component in ["ingest", "ws-gateway", "notify-listener", "migrate"] {
        let policy = objects.one("NetworkPolicy", &format!("rowcast-{component}"));
        let ports = json!([
            {"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"},
            {"port": 5353, "protocol": "UDP"}, {"port": 5353, "protocol": "TCP"},
        ]);
        assert_eq!(policy["spec"]["egress"][0], json!({"ports": ports}), "{component}");
    }
}

#[test]
fn load_balancers_that_check_readiness_themselves_are_allowed() {
    let values = [
        "networkPolicy.enabled=true",
        "networkPolicy.metrics[0].ipBlock.cidr=10.0.0.0/8",
        "networkPolicy.healthChecks[0].ipBlock.cidr=35.191.0.0/16",
    ];
    let objects = render(DEV, &values);
    let admin = |component: &str| {
        let policy = objects.one("NetworkPolicy", &format!("rowcast-{component}"));
        let rules = list(&policy["spec"]["ingress"]);
        rules.iter().find(|rule| rule["ports"] == json!([{"port": "admin"}])).unwrap()["from"].clone()
    };
    let (metrics, checks) =
        (json!({"ipBlock": {"cidr": "10.0.0.0/8"}}), json!({"ipBlock": {"cidr": "35.191.0.0/16"}}));
    assert_eq!(admin("ingest"), json!([metrics, checks]));
    assert_eq!(admin("ws-gateway"), json!([metrics, checks]));
    assert_eq!(admin("notify-listener"), json!([metrics]));
}

#[test]
fn pods_and_services_are_of_both_families() {
    let values = ["network.ipFamilyPolicy=PreferDualStack", "network.ipFamilies={IPv6,IPv4}"];
    let objects = render(DEV, &values);
    assert_eq!(objects.all("Service").len(), 4);
    for service in objects.all("Service") {
        assert_eq!(service["spec"]["ipFamilyPolicy"], "PreferDualStack");
        assert_eq!(service["spec"]["ipFamilies"], json!(["IPv6", "IPv4"]));
    }
    for component in ["ingest", "ws-gateway", "notify-listener"] {
        let data = &objects.one("ConfigMap", &format!("rowcast-{component}"))["data"];
        assert_eq!(data["ROWCAST_ADMIN__ADDR"], "[::]:9090", "{component}");
        let public = if component == "notify-listener" { Value::Null } else { json!("[::]:8080") };
        assert_eq!(data["ROWCAST_HTTP__ADDR"], public, "{component}");
    }
    let redis = objects.pod("redis").container()["args"].clone();
    assert_eq!(redis[1], "* -::*", "an address that does not exist is skipped");
    for service in render(DEV, &[]).all("Service") {
        assert!(service["spec"]["ipFamilyPolicy"].is_null(), "the cluster's");
    }
}
