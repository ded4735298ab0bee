use serde_json::{Value, json};

use crate::render::{DEV, list, render, template, text};

const INGEST: &str = "rowcast-ingest";
const GATEWAY: &str = "rowcast-ws-gateway";

/// The Service of each path on the one host.
const TABLE: &[(&str, &str)] = &[
    ("/api/sensors", INGEST),
    ("/api/sensors/", INGEST),
    ("/api/v1/sensors-readings", INGEST),
    ("/api/v1/sensors-readings/", INGEST),
    ("/api/sensors/kitchen", GATEWAY),
    ("/api/readings", GATEWAY),
    ("/api/latest", GATEWAY),
    ("/ws/sensors/", GATEWAY),
    ("/sse/sensors/", GATEWAY),
    ("/openapi.json", GATEWAY),
    ("/", GATEWAY),
];

/// A rule for paths: whether it is exact, the path, the Service.
type Rule<'a> = (bool, &'a str, &'a str);

fn route<'a>(rules: &[Rule<'a>], path: &str) -> Option<&'a str> {
    let exact = rules.iter().find(|(exact, own, _)| *exact && *own == path);
    let prefix = rules.iter().find(|(exact, own, _)| !exact && path.starts_with(own));
    exact.or(prefix).map(|(_, _, service)| *service)
}

#[track_caller]
fn check(rules: &[Rule<'_>]) {
    for (path, service) in TABLE {
        assert_eq!(route(rules, path), Some(*service), "{path}");
    }
    for (tag, service) in [(documents::INGEST, INGEST), (documents::GATEWAY, GATEWAY)] {
        for path in documents::paths(tag) {
            let path = path.replace("{name}", "ttn").replace("{sensor_id}", "kitchen");
            assert_eq!(route(rules, &path), Some(service), "{path}");
        }
    }
}

#[test]
fn an_ingress_sends_posts_to_ingest_and_all_else_to_the_gateway() {
    let objects = render(DEV, &["ingress.enabled=true", "ingress.hosts={a.example,b.example}"]);
    let ingress = objects.only("Ingress");
    let hosts: Vec<&str> = list(&ingress["spec"]["rules"]).iter().map(|rule| text(&rule["host"])).collect();
    assert_eq!(hosts, ["a.example", "b.example"]);
    for rule in list(&ingress["spec"]["rules"]) {
        let rules: Vec<Rule<'_>> = list(&rule["http"]["paths"])
            .iter()
            .map(|path| {
                let service = &path["backend"]["service"];
                assert_eq!(service["port"], json!({"name": "http"}));
                (path["pathType"] == "Exact", text(&path["path"]), text(&service["name"]))
            })
            .collect();
        check(&rules);
    }
}

#[test]
fn an_ingress_keeps_idle_sockets_and_accepts_the_largest_body() {
    let annotations =
        |values: &[&str]| render(DEV, values).only("Ingress")["metadata"]["annotations"].clone();
    let usual = annotations(&["ingress.enabled=true"]);
    assert_eq!(usual["nginx.ingress.kubernetes.io/proxy-read-timeout"], "3600");
    assert_eq!(usual["nginx.ingress.kubernetes.io/proxy-send-timeout"], "3600");
    assert_eq!(usual["nginx.ingress.kubernetes.io/proxy-body-size"], "2m");
    let size = "ingress.annotations.nginx\\.ingress\\.kubernetes\\.io/proxy-body-size";
    let without = annotations(&["ingress.enabled=true", &format!("{size}=null")]);
    assert_eq!(without["nginx.ingress.kubernetes.io/proxy-body-size"], Value::Null);
}

#[test]
fn a_route_of_the_gateway_api_does_the_same() {
    let objects = render(DEV, &["httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public"]);
    let mut rules = Vec::new();
    for rule in list(&objects.only("HTTPRoute")["spec"]["rules"]) {
        let backend = &list(&rule["backendRefs"])[0];
        assert_eq!(
            objects.one("Service", text(&backend["name"]))["spec"]["ports"][0]["port"],
            backend["port"]
        );
        for found in list(&rule["matches"]) {
            let path = &found["path"];
            rules.push((path["type"] == "Exact", text(&path["value"]), text(&backend["name"])));
        }
    }
    check(&rules);
}

#[test]
fn below_a_prefix_the_same_paths_lead_to_the_same_services() {
    let values = [
        "ingress.enabled=true",
        "httpRoute.enabled=true",
        "httpRoute.parentRefs[0].name=public",
        "ingress.prefix=/a/rowcast",
    ];
    let objects = render(DEV, &values);
    let under = |path: &str| path.strip_prefix("/a/rowcast").unwrap().to_owned();
    let root = |path: String| if path.is_empty() { "/".to_owned() } else { path };
    let ingress = objects.only("Ingress");
    let mut rules: Vec<(bool, String, &str)> = list(&ingress["spec"]["rules"][0]["http"]["paths"])
        .iter()
        .map(|path| {
            let service = text(&path["backend"]["service"]["name"]);
            (path["pathType"] == "Exact", root(under(text(&path["path"]))), service)
        })
        .collect();
    check(&rules.iter().map(|(exact, path, service)| (*exact, path.as_str(), *service)).collect::<Vec<_>>());
    rules.clear();
    for rule in list(&objects.only("HTTPRoute")["spec"]["rules"]) {
        let matches = list(&rule["matches"]);
        for found in matches {
            let path = &found["path"];
            let service = text(&rule["backendRefs"][0]["name"]);
            rules.push((path["type"] == "Exact", root(under(text(&path["value"]))), service));
        }
        // the API takes this filter only beside one match by prefix; the others are stripped by the service
        let is_prefix = matches[0]["path"]["type"] == "PathPrefix";
        let rewrite = json!({"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}});
        assert_eq!(rule["filters"], if is_prefix { json!([rewrite]) } else { Value::Null });
    }
    check(&rules.iter().map(|(exact, path, service)| (*exact, path.as_str(), *service)).collect::<Vec<_>>());
    for component in [INGEST, GATEWAY] {
        let config = objects.one("ConfigMap", component);
        assert_eq!(config["data"]["ROWCAST_HTTP__PREFIX"], "/a/rowcast");
    }
    let unset = render(DEV, &["ingress.enabled=true"]);
    assert_eq!(unset.one("ConfigMap", GATEWAY)["data"]["ROWCAST_HTTP__PREFIX"], Value::Null);
}

#[test]
fn a_prefix_is_a_path_that_is_not_served_itself() {
    for (prefix, expected) in
        [("rowcast", "prefix"), ("/rowcast/", "prefix"), ("/a?b", "prefix"), ("/api/x", "begin with /api")]
    {
        let set = format!("ingress.prefix={prefix}");
        let Err(refusal) = template(&[], &[DEV, &[set.as_str()]].concat(), &[]) else {
            panic!("{prefix} is accepted")
        };
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn both_may_be_enabled() {
    let both = ["ingress.enabled=true", "httpRoute.enabled=true", "httpRoute.parentRefs[0].name=public"];
    let objects = render(DEV, &both);
    assert_eq!((objects.all("Ingress").len(), objects.all("HTTPRoute").len()), (1, 1));
}

/// Routers that know only prefixes send everything below a path to one Service.
#[test]
fn by_prefixes_alone_history_stays_with_the_gateway() {
    let objects =
        render(DEV, &["ingress.enabled=true", "ingress.pathType=Prefix", "ingress.deviceHosts={in.example}"]);
    let rules = list(&objects.only("Ingress")["spec"]["rules"]);
    let of = |rule: &Value, path: &str| {
        let paths = list(&rule["http"]["paths"]);
        assert!(paths.iter().all(|path| path["pathType"] == "Prefix"));
        let longest = paths
            .iter()
            .filter(|own| path.starts_with(text(&own["path"])))
            .max_by_key(|own| text(&own["path"]).len());
        text(&longest.unwrap()["backend"]["service"]["name"]).to_owned()
    };
    for (path, service) in TABLE {
        let expected = if path.starts_with("/api/sensors") { GATEWAY } else { service };
        assert_eq!(of(&rules[0], path), expected, "{path}");
        assert_eq!(of(&rules[1], path), INGEST, "{path} at the devices' host");
    }
    assert_eq!(rules[1]["host"], "in.example");
}

#[test]
fn devices_may_have_a_host_of_their_own() {
    let values = [
        "httpRoute.enabled=true",
        "httpRoute.parentRefs[0].name=public",
        "httpRoute.deviceHostnames={in.example}",
    ];
    let objects = render(DEV, &values);
    let route = objects.one("HTTPRoute", "rowcast-devices");
    assert_eq!(route["spec"]["hostnames"], json!(["in.example"]));
    assert_eq!(route["spec"]["rules"][0]["backendRefs"][0]["name"], INGEST);
}
