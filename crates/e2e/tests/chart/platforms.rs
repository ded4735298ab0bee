use serde_json::{Value, json};

use crate::render::{DEV, Objects, list, render, template};

const COMPONENTS: [(&str, &str); 4] = [
    ("ingest", "ingest"),
    ("gateway", "ws-gateway"),
    ("listener", "notify-listener"),
    ("migrate", "migrate"),
];

#[test]
fn a_component_takes_further_containers_and_a_pod_s_further_fields() {
    for (values, component) in COMPONENTS {
        let mut sets = vec![
            format!("{values}.initContainers[0].name=proxy"),
            format!("{values}.initContainers[0].restartPolicy=Always"),
            format!("{values}.podSpec.runtimeClassName=gvisor"),
            format!("{values}.podSpec.hostAliases[0].ip=10.0.0.1"),
            format!("{values}.podSpec.dnsConfig.options[0].name=ndots"),
        ];
        if component != "migrate" {
            sets.push(format!("{values}.sidecars[0].name=beside"));
            sets.push(format!("{values}.probes.liveness.timeoutSeconds=30"));
        }
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let pod = render(DEV, &sets).pod(component);
        let spec = pod.spec();
        assert_eq!(
            spec["initContainers"],
            json!([{"name": "proxy", "restartPolicy": "Always"}]),
            "{component}"
        );
        assert_eq!(spec["runtimeClassName"], "gvisor", "{component}");
        assert_eq!(spec["hostAliases"], json!([{"ip": "10.0.0.1"}]), "{component}");
        assert_eq!(spec["dnsConfig"]["options"][0]["name"], "ndots", "{component}");
        assert_eq!(spec["enableServiceLinks"], json!(false), "{component}: other fields are kept");
        if component != "migrate" {
            assert_eq!(spec["containers"][1]["name"], "beside", "{component}");
            let probe = &pod.container()["livenessProbe"];
            assert_eq!((&probe["timeoutSeconds"], &probe["httpGet"]["path"]), (&json!(30), &json!("/livez")));
        }
    }
}

#[test]
fn a_service_takes_further_fields_for_its_platform() {
    let values = [
        "gateway.service.type=LoadBalancer",
        "gateway.service.spec.loadBalancerClass=service.k8s.aws/nlb",
        "gateway.service.spec.externalTrafficPolicy=Local",
    ];
    let objects = render(DEV, &values);
    let spec = &objects.one("Service", "rowcast-ws-gateway")["spec"];
    assert_eq!(spec["loadBalancerClass"], "service.k8s.aws/nlb");
    assert_eq!(spec["externalTrafficPolicy"], "Local");
    assert_eq!(spec["ports"][0]["port"], 8080);
}

#[test]
fn without_a_lease_there_is_never_a_second_listener() {
    let strategy = |values: &[&str]| {
        render(DEV, values).one("Deployment", "rowcast-notify-listener")["spec"]["strategy"].clone()
    };
    assert_eq!(strategy(&["listener.lease=off", "listener.replicas=1"]), json!({"type": "Recreate"}));
    assert_eq!(strategy(&[])["type"], "RollingUpdate");
}

#[test]
fn the_test_pod_is_scheduled_where_it_may_be() {
    let values = ["test.nodeSelector.pool=apps", "test.tolerations[0].key=apps"];
    let pod = render(DEV, &values).pod("test");
    assert_eq!(pod.spec()["nodeSelector"], json!({"pool": "apps"}));
    assert_eq!(pod.spec()["tolerations"], json!([{"key": "apps"}]));
}

#[test]
fn a_platform_can_assign_all_users() {
    let users =
        ["podSecurity.runAsUser", "podSecurity.runAsGroup", "postgres.dev.runAsUser", "redis.dev.runAsUser"];
    let sets: Vec<String> = users.iter().map(|user| format!("{user}=null")).collect();
    for pod in render(DEV, &sets.iter().map(String::as_str).collect::<Vec<_>>()).pods() {
        for key in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert!(pod.spec()["securityContext"][key].is_null(), "{}: {key}", pod.owner);
        }
        assert_eq!(pod.spec()["securityContext"]["runAsNonRoot"], json!(true), "{}", pod.owner);
    }
}

fn data(objects: &Objects, component: &str, name: &str) -> Value {
    objects.one("ConfigMap", &format!("rowcast-{component}"))["data"][name].clone()
}

#[test]
fn hooks_are_settings_of_ingest_by_their_names() {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let text = "ingest: {hooks: {ttn: {preset: the-things-stack}, meter: {sensor: 'm/{/id}', value: /v, query: true, \
                metadata: [a=/a, b=/b], signature: {header: X-Signature}}}}\n";
    std::fs::write(file.path(), text).unwrap();
    let objects = template(&[file.path().to_owned()], DEV, &[]).unwrap();
    for (name, value) in [
        ("TTN__PRESET", "the-things-stack"),
        ("METER__SENSOR", "m/{/id}"),
        ("METER__QUERY", "true"),
        ("METER__METADATA", "a=/a,b=/b"),
        ("METER__SIGNATURE__HEADER", "X-Signature"),
    ] {
        assert_eq!(data(&objects, "ingest", &format!("ROWCAST_HOOKS__{name}")), value, "{name}");
        assert_eq!(data(&objects, "ws-gateway", &format!("ROWCAST_HOOKS__{name}")), Value::Null, "{name}");
    }
}

#[test]
fn settings_are_dotted_or_nested_and_a_large_number_is_written_out() {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let text = "gateway: {settings: {gateway: {window_bytes: 134217728, origins: [https://a.example, https://b.example]}, ping.every: 10s}}\n\
                ingest: {settings: {ingest: {origins: https://a.example}, http.idle_timeout: 2m 30s}}\n";
    std::fs::write(file.path(), text).unwrap();
    let objects = template(&[file.path().to_owned()], DEV, &[]).unwrap();
    assert_eq!(data(&objects, "ws-gateway", "ROWCAST_GATEWAY__WINDOW_BYTES"), "134217728");
    assert_eq!(
        data(&objects, "ws-gateway", "ROWCAST_GATEWAY__ORIGINS"),
        "https://a.example,https://b.example"
    );
    assert_eq!(data(&objects, "ws-gateway", "ROWCAST_PING__EVERY"), "10s");
    assert_eq!(data(&objects, "ingest", "ROWCAST_INGEST__ORIGINS"), "https://a.example");
    assert_eq!(data(&objects, "ingest", "ROWCAST_HTTP__IDLE_TIMEOUT"), "2m 30s");
}

/// The page's example POSTs to the host that the page came from, unless nothing there leads to ingest.
#[test]
fn the_page_s_example_has_an_address_that_works() {
    let address = |values: &[&str]| data(&render(DEV, values), "ws-gateway", "ROWCAST_GATEWAY__INGEST_URL");
    assert_eq!(address(&[]), "http://localhost:8081");
    assert_eq!(address(&["ingress.enabled=true"]), Value::Null);
    assert_eq!(address(&["gateway.settings.gateway\\.ingest_url=https://in.example"]), "https://in.example");
    let notes = std::fs::read_to_string(crate::render::chart().join("templates/NOTES.txt")).unwrap();
    assert!(notes.contains("-ingest 8081:"), "the notes forward that port");
}

#[test]
fn a_gateway_is_created_only_on_request() {
    let values = [
        "httpRoute.enabled=true",
        "httpRoute.gateway.enabled=true",
        "httpRoute.gateway.className=envoy",
        "httpRoute.gateway.listeners[0].name=http",
    ];
    let objects = render(DEV, &values);
    assert_eq!(objects.only("Gateway")["spec"]["gatewayClassName"], "envoy");
    let name = objects.only("Gateway")["metadata"]["name"].clone();
    assert_eq!(list(&objects.only("HTTPRoute")["spec"]["parentRefs"]), [json!({"name": name})]);
}
