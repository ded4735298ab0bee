use std::collections::BTreeSet;

use serde_json::Value;

use crate::render::{DEV, OLDEST, chart, each_set, run, sets, template};

#[test]
fn every_value_set_renders_and_passes_lint() {
    assert!(sets().len() >= 12);
    each_set(|set, objects| assert!(objects.pods().len() >= 4, "{set}"));
    for (name, files) in sets() {
        let mut args: Vec<String> = ["lint", "--strict", OLDEST].map(str::to_owned).to_vec();
        args.push(chart().display().to_string());
        args.extend(files.iter().map(|file| format!("--values={}", file.display())));
        run("helm", &args, "").unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn no_two_objects_have_one_name_and_no_variable_is_set_twice() {
    each_set(|set, objects| {
        let mut seen = BTreeSet::new();
        for object in &objects.0 {
            let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
            assert!(seen.insert(name.clone()), "{set}: {name}");
        }
        for pod in objects.pods() {
            let mut seen = BTreeSet::new();
            for env in crate::render::list(&pod.container()["env"]) {
                assert!(seen.insert(env["name"].to_string()), "{set}: {}: {}", pod.owner, env["name"]);
            }
        }
    });
}

#[test]
fn every_ingress_and_every_example_renders() {
    let folder = chart().join("../../k8s");
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("ingress")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let objects =
            template(std::slice::from_ref(&file), DEV, &[]).unwrap_or_else(|error| panic!("{error}"));
        let (ingresses, routes) = (objects.all("Ingress"), objects.all("HTTPRoute"));
        assert_eq!(ingresses.len() + routes.len(), 1, "{}", file.display());
        let notes = ingresses.first().map(|ingress| ingress["metadata"]["annotations"].to_string());
        let is_nginx = notes.is_some_and(|notes| notes.contains("nginx.ingress.kubernetes.io"));
        assert_eq!(is_nginx, file.ends_with("ingress-nginx.yaml"), "{}", file.display());
        count += 1;
    }
    assert!(count >= 7, "{count} files");
    for example in ["cnpg", "keda"] {
        let file = folder.join(format!("examples/{example}.yaml"));
        template(&[file], &[], &[]).unwrap_or_else(|error| panic!("{example}: {error}"));
    }
}

/// Complete values for clouds: nothing is missing, and their policies allow their databases.
#[test]
fn every_cloud_renders() {
    let mut clouds = 0;
    for entry in std::fs::read_dir(chart().join("../../k8s/databases")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "yaml") {
            let objects = template(&[file], &["networkPolicy.enabled=true"], &[]);
            objects.unwrap_or_else(|error| panic!("{error}"));
            clouds += 1;
        }
    }
    assert_eq!(clouds, 4);
}

#[test]
fn a_proxy_that_pools_by_transaction_is_configured_as_one() {
    let file = chart().join("../../k8s/databases/memorydb.yaml");
    let objects = template(std::slice::from_ref(&file), &[], &[]).unwrap();
    for component in ["ingest", "ws-gateway"] {
        let data = &objects.one("ConfigMap", &format!("rowcast-{component}"))["data"];
        assert_eq!(data["ROWCAST_DATABASE__POOLER"], "transaction", "{component}");
        assert!(data["ROWCAST_DATABASE__HOST"].as_str().unwrap().contains(".proxy-"), "{component}");
    }
    let listener = &objects.one("ConfigMap", "rowcast-notify-listener")["data"];
    assert_eq!(listener["ROWCAST_DATABASE__POOLER"], Value::Null);
    assert!(!listener["ROWCAST_DATABASE__HOST"].as_str().unwrap().contains(".proxy-"));
    let values = std::fs::read_to_string(file).unwrap();
    let url = values.lines().find(|line| line.trim_start().starts_with("url: ")).unwrap();
    assert!(!url.contains("clustercfg"), "a replica may answer there: {url}");
}

/// The Secret that INSTALL.md creates has the keys that the examples use.
#[test]
fn the_examples_use_keys_that_exist() {
    let read = |file: &str| std::fs::read_to_string(chart().join("../..").join(file)).unwrap();
    let install = read("docs/INSTALL.md");
    let made: BTreeSet<&str> =
        install.split("--from-literal=").skip(1).filter_map(|rest| rest.split('=').next()).collect();
    assert!(made.len() >= 3, "{made:?}");
    for example in ["argocd", "flux", "keda", "cnpg"] {
        let text = read(&format!("k8s/examples/{example}.yaml"));
        for secret in text.split("existingSecret: {name: rowcast-urls").skip(1) {
            let keys = secret.split('}').next().unwrap().split(", ").filter_map(|pair| pair.split_once(": "));
            for (name, key) in keys {
                assert!(made.contains(key), "{example}: {name} is {key}, of {made:?}");
            }
        }
    }
}

/// The documented commands find the image.
#[test]
fn the_image_is_called_the_same_everywhere() {
    let read = |file: &str| std::fs::read_to_string(chart().join("../..").join(file)).unwrap();
    let archive = format!(".rowcast/image/rowcast-{}.tar", env!("CARGO_PKG_VERSION"));
    for page in ["README.md", "docs/INSTALL.md", "charts/rowcast/README.md"] {
        let text = read(page);
        let load = format!("kind load image-archive --name rowcast {archive}");
        assert!(text.contains("cargo xtask image") && text.contains(&load), "{page}");
    }
    let made = read("xtask/src/image.rs");
    assert!(made.contains("default_value = \"localhost/rowcast\""));
    let values: Value = serde_saphyr::from_str(&read("charts/rowcast/values.yaml")).unwrap();
    assert_eq!(values["image"]["repository"], "localhost/rowcast");
}

/// Keys that the chart sets itself, or does not offer.
const OWN: [&str; 43] = [
    "database.url",
    "database.host",
    "database.port",
    "database.name",
    "database.user",
    "database.password",
    "database.sslmode",
    "database.ca",
    "database.certificate",
    "database.key",
    "database.pooler",
    "redis.user",
    "redis.password",
    "redis.certificate",
    "redis.key",
    "redis.url",
    "redis.prefix",
    "redis.sentinels",
    "redis.master",
    "redis.sentinel_user",
    "redis.sentinel_password",
    "redis.ca",
    "auth.enabled",
    "auth.anonymous_read",
    "auth.anonymous_write",
    "auth.issuers_file",
    "http.addr",
    "http.prefix",
    "http.trusted_proxies",
    "http.proxy_protocol",
    "http.tls.certificate",
    "http.tls.key",
    "http.tls.client_ca",
    "admin.addr",
    "log.format",
    "log.level",
    "log.level_file",
    "gateway.page",
    "lease.mode",
    "lease.name",
    "lease.namespace",
    "lease.pod",
    "lease.pod_uid",
];

#[test]
fn a_components_settings_are_those_of_the_page() {
    let page = std::fs::read_to_string(chart().join("../../docs/CONFIGURATION.md")).unwrap();
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    for (component, values) in [
        ("ingest", "ingest"),
        ("ws-gateway", "gateway"),
        ("notify-listener", "listener"),
        ("migrate", "migrate"),
    ] {
        let settings = &schema["properties"][values]["properties"]["settings"]["properties"];
        // the sections are there too, for nested settings
        let known = settings.as_object().unwrap().keys().filter(|key| key.contains('.'));
        let known: BTreeSet<String> = known.cloned().collect();
        assert_eq!(known, documented(&page, component), "{component}");
    }
}

/// The keys that the page's table has for a service.
fn documented(page: &str, service: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut meant = String::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells[2] != "the same" {
            meant = cells[2].to_owned();
        }
        let is_for = match meant.as_str() {
            "all" => true,
            "all but migrate" => service != "migrate",
            names => names.split(", ").any(|name| name == service),
        };
        let names = cells[1].split(", ").map(|name| name.trim_matches('`').to_owned());
        // those of hooks are set by `ingest.hooks`
        let is_own = |name: &str| OWN.contains(&name) || name.starts_with("hooks.");
        let further = |name: &String| !is_own(name) && name.contains('.');
        keys.extend(names.filter(|name| is_for && further(name)));
    }
    keys
}
