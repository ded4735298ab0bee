use serde_json::{Value, json};

use crate::render::{DEV, EXTERNAL, Objects, list, notes, render, template, text};

const PUBLIC: [(&str, &str); 2] = [("ingest", "ingest"), ("ws-gateway", "gateway")];

/// A value of both public components.
fn both(value: &str) -> Vec<String> {
    PUBLIC.iter().map(|(_, values)| format!("{values}.http.{value}")).collect()
}

#[track_caller]
fn with(values: &[String]) -> Objects {
    render(DEV, &values.iter().map(String::as_str).collect::<Vec<_>>())
}

fn data(objects: &Objects, component: &str, name: &str) -> Value {
    objects.one("ConfigMap", &format!("rowcast-{component}"))["data"][format!("ROWCAST_HTTP__{name}")].clone()
}

#[test]
fn without_values_the_public_ports_are_plain_and_believe_nobody() {
    let objects = render(DEV, &[]);
    for (component, _) in PUBLIC {
        let map = objects.one("ConfigMap", &format!("rowcast-{component}"));
        let set: Vec<&String> = map["data"].as_object().unwrap().keys().collect();
        let http: Vec<_> = set.iter().filter(|key| key.starts_with("ROWCAST_HTTP__")).collect();
        assert_eq!(http, [&"ROWCAST_HTTP__ADDR"], "{component}");
        let service = objects.one("Service", &format!("rowcast-{component}"));
        assert_eq!(service["spec"]["ports"][0]["appProtocol"], "http", "{component}");
    }
}

#[test]
fn proxies_are_believed_as_the_values_say() {
    let values = [both("trustedProxies={10.0.0.0/8,fd00::/8}"), both("proxyProtocol=true")].concat();
    let objects = with(&values);
    for (component, _) in PUBLIC {
        assert_eq!(data(&objects, component, "TRUSTED_PROXIES"), "10.0.0.0/8,fd00::/8", "{component}");
        assert_eq!(data(&objects, component, "PROXY_PROTOCOL"), "true", "{component}");
    }
    assert_eq!(data(&objects, "notify-listener", "TRUSTED_PROXIES"), Value::Null);
}

#[test]
fn a_certificate_is_mounted_as_a_whole_folder_where_its_change_is_seen() {
    let values = [
        both("tls.secretName=site"),
        both("tls.keyKey=private.pem"),
        both("tls.clientCa.secretName=devices"),
    ];
    let objects = with(&values.concat());
    for (component, _) in PUBLIC {
        let pod = objects.pod(component);
        for (name, secret, items) in [
            (
                "CERTIFICATE",
                "site",
                json!([{"key": "tls.crt", "path": "tls.crt"}, {"key": "private.pem", "path": "tls.key"}]),
            ),
            ("CLIENT_CA", "devices", json!([{"key": "ca.crt", "path": "ca.pem"}])),
        ] {
            let path = data(&objects, component, &format!("TLS__{name}"));
            let mounts = list(&pod.container()["volumeMounts"]);
            let mount = mounts
                .iter()
                .find(|mount| text(&path).starts_with(&format!("{}/", text(&mount["mountPath"]))))
                .unwrap();
            assert!(mount["subPath"].is_null() && mount["readOnly"] == json!(true), "{component}: {mount}");
            let volumes = list(&pod.spec()["volumes"]);
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            assert_eq!(volume["secret"], json!({"secretName": secret, "items": items}), "{component}");
        }
        assert_eq!(data(&objects, component, "TLS__KEY"), "/etc/rowcast/http/tls.key", "{component}");
        let service = objects.one("Service", &format!("rowcast-{component}"));
        assert_eq!(service["spec"]["ports"][0]["appProtocol"], "https", "{component}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let request = &pod.container()[probe]["httpGet"];
            assert_eq!(
                (&request["port"], &request["scheme"]),
                (&json!("admin"), &Value::Null),
                "{component}"
            );
        }
    }
    let listener = objects.pod("notify-listener");
    let mounts = list(&listener.container()["volumeMounts"]);
    assert!(mounts.iter().all(|mount| !text(&mount["mountPath"]).contains("http")), "{mounts:?}");
}

#[test]
fn who_connects_inside_uses_the_scheme_and_trusts_the_authority() {
    let values = [
        "ingest.http.tls.secretName=site",
        "canary.enabled=true",
        "canary.ca.secretName=authority",
        "test.ca.secretName=authority",
    ];
    let objects = render(DEV, &values);
    let volume = json!({"name": "ca", "secret": {"secretName": "authority", "items": [{"key": "ca.crt", "path": "ca.pem"}]}});
    let mount = json!({"name": "ca", "mountPath": "/etc/rowcast/ca", "readOnly": true});
    let test = objects.only("Pod");
    let arguments = list(&test["spec"]["containers"][0]["args"]);
    for (what, spec) in [("canary", objects.pod("canary").spec().clone()), ("test", test["spec"].clone())] {
        assert_eq!(spec["volumes"], json!([volume]), "{what}");
        assert_eq!(spec["containers"][0]["volumeMounts"], json!([mount]), "{what}");
        let arguments = list(&spec["containers"][0]["args"]);
        assert!(
            arguments.ends_with(&[json!("--ca"), json!("/etc/rowcast/ca/ca.pem")]),
            "{what}: {arguments:?}"
        );
    }
    assert_eq!(arguments[1], "https://rowcast-ingest:8080");
    assert_eq!(arguments[3], "http://rowcast-ws-gateway:8080");
    let canary = objects.pod("canary");
    let env = list(&canary.container()["env"]);
    assert!(
        env.contains(&json!({"name": "ROWCAST_INGEST_URL", "value": "https://rowcast-ingest:8080"})),
        "{env:?}"
    );
    assert!(notes(&[DEV, &values].concat()).contains("curl --insecure -X POST https://localhost:8081"));
    assert!(notes(DEV).contains("curl -X POST http://localhost:8081"));
}

#[test]
fn nobody_inside_connects_where_only_the_balancer_or_a_certificate_gets_in() {
    for closed in [
        &["gateway.http.proxyProtocol=true", "gateway.http.trustedProxies={10.0.0.0/8}"][..],
        &["gateway.http.tls.secretName=site", "gateway.http.tls.clientCa.secretName=devices"],
    ] {
        assert!(render(DEV, closed).all("Pod").is_empty(), "{closed:?}");
        assert!(!notes(&[DEV, closed].concat()).contains("helm -n chart-facts test"), "{closed:?}");
        let values = [DEV, closed, &["canary.enabled=true"]].concat();
        let refusal = template(&[], &values, &[]).err().unwrap();
        assert!(
            refusal.contains("set canary.gatewayUrls") && !refusal.contains("canary.ingestUrl"),
            "{refusal}"
        );
        render(
            EXTERNAL,
            &[closed, &["canary.enabled=true", "canary.gatewayUrls={https://a.example}"]].concat(),
        );
    }
}

#[test]
fn what_is_of_no_use_alone_is_refused() {
    for (value, sentence) in [
        ("ingest.http.proxyProtocol=true", "set ingest.http.trustedProxies"),
        ("gateway.http.proxyProtocol=true", "set gateway.http.trustedProxies"),
        ("gateway.http.tls.clientCa.secretName=devices", "set gateway.http.tls.secretName"),
        ("ingest.settings.http\\.proxy_protocol=true", "'http.proxy_protocol' not allowed"),
    ] {
        let refusal = template(&[], &[DEV, &[value]].concat(), &[]).err().unwrap_or_default();
        assert!(refusal.contains(sentence), "{value}: {refusal}");
    }
}
