use crate::render::{DEV, EXTERNAL, NAMESPACE, Objects, each_set, list, render, selects, template_of, text};

/// The longest release name that Helm takes.
const LONG: &str = "fullnameOverride=a-name-that-is-as-long-as-a-name-may-be1";

#[test]
fn every_selector_finds_pods_of_its_component_only() {
    each_set(|set, objects| {
        for object in &objects.0 {
            let (kind, spec) = (text(&object["kind"]), &object["spec"]);
            let selector = match kind {
                "Deployment" | "StatefulSet" | "PodDisruptionBudget" => &spec["selector"]["matchLabels"],
                "Service" => &spec["selector"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                _ => continue,
            };
            let found: Vec<String> = objects
                .pods()
                .into_iter()
                .filter(|pod| selects(selector, &pod.template["metadata"]["labels"]))
                .map(|pod| pod.component)
                .collect();
            let own = text(&object["metadata"]["labels"]["app.kubernetes.io/component"]);
            assert_eq!(found, [own], "{set}: {kind} {}", object["metadata"]["name"]);
        }
    });
}

/// A selector cannot be changed, so nothing that an upgrade changes may be in it.
#[test]
fn a_selector_has_three_labels() {
    let selector = |objects: &Objects| {
        objects.all("Deployment").iter().map(|one| one["spec"]["selector"].clone()).collect::<Vec<_>>()
    };
    let (one, other) = (render(DEV, &[]), render(DEV, &["image.tag=next", "commonLabels.team=data"]));
    assert_eq!(selector(&one), selector(&other));
    for selector in selector(&one) {
        assert_eq!(selector["matchLabels"].as_object().unwrap().len(), 3);
    }
}

#[test]
fn every_object_has_the_recommended_labels_and_its_namespace() {
    each_set(|set, objects| {
        for object in &objects.0 {
            let name = text(&object["metadata"]["name"]);
            if ["rowcast-more", "rowcast-text"].contains(&name) {
                continue;
            }
            assert_eq!(object["metadata"]["namespace"], NAMESPACE, "{set}: {name}");
            for label in ["name", "instance", "component", "version", "part-of", "managed-by"] {
                let label = format!("app.kubernetes.io/{label}");
                assert!(object["metadata"]["labels"][&label].is_string(), "{set}: {name}: {label}");
            }
        }
    });
}

#[test]
fn names_fit_whatever_the_release_is_called() {
    for object in &render(DEV, &[LONG, "ingress.enabled=true"]).0 {
        let name = text(&object["metadata"]["name"]);
        // a pod's own suffix follows a Job's name
        assert!(name.len() <= 57, "{name}");
    }
}

#[track_caller]
fn job(objects: &Objects) -> String {
    text(&objects.only("Job")["metadata"]["name"]).to_owned()
}

#[test]
fn another_migration_is_another_job() {
    let usual = job(&render(EXTERNAL, &[]));
    assert_eq!(job(&render(EXTERNAL, &[])), usual);
    assert_eq!(job(&render(EXTERNAL, &["gateway.replicas=5"])), usual);
    for change in [
        "image.tag=next",
        "image.digest=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "postgres.external.url=postgres://u:p@other/rowcast",
        "migrate.settings.database\\.wait=5m",
        "migrate.resources.limits.memory=256Mi",
        "migrate.databaseSecret.name=owner",
    ] {
        assert_ne!(job(&render(EXTERNAL, &[change])), usual, "{change}");
    }
    // a password that is generated in each rendering without a cluster is not part of it
    assert_eq!(job(&render(DEV, &[])), job(&render(DEV, &[])));
}

#[test]
fn a_migration_has_a_deadline_and_each_attempt_keeps_its_log() {
    let objects = render(EXTERNAL, &[]);
    assert_eq!(objects.pod("migrate").spec()["restartPolicy"], "Never");
    assert_eq!(objects.only("Job")["spec"]["activeDeadlineSeconds"], 3600);
    assert_eq!(objects.only("Job")["spec"]["backoffLimit"], 10);
    let never = render(EXTERNAL, &["migrate.activeDeadlineSeconds=null"]);
    assert!(never.only("Job")["spec"]["activeDeadlineSeconds"].is_null());
}

#[test]
fn pods_are_replaced_when_what_they_read_has_changed() {
    let checksums = |objects: &Objects, component: &str| {
        let annotations = objects.pod(component).template["metadata"]["annotations"].clone();
        ["config", "postgres", "redis"].map(|what| annotations[format!("checksum/{what}")].clone())
    };
    let usual = render(EXTERNAL, &[]);
    for (change, changed) in [
        ("gateway.settings.ping\\.every=10s", &["ws-gateway"][..]),
        ("redis.external.url=redis://other", &["ws-gateway", "notify-listener"]),
        ("postgres.external.url=postgres://u:p@other/rowcast", &["ingest", "ws-gateway", "notify-listener"]),
        ("log.format=text", &["ingest", "ws-gateway", "notify-listener"]),
        // running pods read it again
        ("log.level=debug", &[]),
    ] {
        let objects = render(EXTERNAL, &[change]);
        for component in ["ingest", "ws-gateway", "notify-listener"] {
            let differs = checksums(&usual, component) != checksums(&objects, component);
            assert_eq!(differs, changed.contains(&component), "{change}: {component}");
        }
    }
}

#[test]
fn the_role_is_for_one_lease_and_the_listener_alone() {
    let objects = render(DEV, &[]);
    let role = objects.only("Role");
    let leases = &list(&role["rules"])[0];
    assert_eq!(leases["resources"], serde_json::json!(["leases"]));
    assert_eq!(leases["resourceNames"], serde_json::json!(["rowcast-notify-listener"]));
    assert_eq!(leases["verbs"], serde_json::json!(["get", "list", "watch", "create", "update"]));
    assert_eq!(list(&role["rules"])[1]["resources"], serde_json::json!(["events"]));
    assert_eq!(list(&role["rules"]).len(), 2);
    let binding = objects.only("RoleBinding");
    let account = objects.pod("notify-listener").spec()["serviceAccountName"].clone();
    assert_eq!(list(&binding["subjects"]).len(), 1);
    assert_eq!(binding["subjects"][0]["name"], account);
    let data = &objects.one("ConfigMap", "rowcast-notify-listener")["data"];
    assert_eq!(data["ROWCAST_LEASE__NAME"], "rowcast-notify-listener");
}

#[test]
fn the_chart_is_of_the_version_of_the_programs() {
    let chart = std::fs::read_to_string(crate::render::chart().join("Chart.yaml")).unwrap();
    let chart: serde_json::Value = serde_saphyr::from_str(&chart).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    for (values, image) in [
        (&[][..], concat!("localhost/rowcast:", env!("CARGO_PKG_VERSION"))),
        (&["image.registry=ghcr.io/", "image.tag=t"], "ghcr.io/rowcast:t"),
        (&["image.registry=ghcr.io/", "image.repository=a/b", "image.tag=t"], "ghcr.io/a/b:t"),
        (&["image.repository=ghcr.io/a/b", "image.tag=t"], "ghcr.io/a/b:t"),
    ] {
        for component in ["ingest", "ws-gateway", "notify-listener", "migrate", "test"] {
            assert_eq!(render(DEV, values).pod(component).container()["image"], image);
        }
    }
}

/// The clients of a gateway's pod that is replaced have to reconnect.
#[test]
fn an_upgrade_of_the_chart_alone_replaces_no_pod() {
    let next = tempfile::tempdir().unwrap();
    let copied =
        std::process::Command::new("cp").arg("-r").arg(crate::render::chart()).arg(next.path()).status();
    assert!(copied.unwrap().success());
    let about = next.path().join("rowcast/Chart.yaml");
    let text = std::fs::read_to_string(&about).unwrap();
    std::fs::write(&about, text.replace("\nversion: ", "\nversion: 9")).unwrap();
    let values = ["image.tag=t", "redis.dev.password=a", "postgres.dev.password=a"];
    let sets = [DEV, &values].concat();
    let (before, after) =
        (render(DEV, &values), template_of(&next.path().join("rowcast"), &[], &sets, &[]).unwrap());
    assert_ne!(before.only("Job")["metadata"]["labels"], after.only("Job")["metadata"]["labels"]);
    // a hook's pod is created on request
    for pod in before.pods().iter().filter(|pod| pod.component != "test") {
        assert_eq!(pod.template, after.pod(&pod.component).template, "{}", pod.owner);
    }
}
