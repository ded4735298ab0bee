use serde_json::{Value, json};

use crate::render::{DEV, EXTERNAL, Pod, chart, each_set, list, render, text};

/// From SIGTERM to the process' end.
const DRAIN_SECONDS: u64 = 25;

#[test]
fn every_pod_is_restricted() {
    each_set(|set, objects| {
        for pod in objects.pods() {
            check_restricted(set, &pod);
        }
    });
}

#[track_caller]
pub(crate) fn check_restricted(set: &str, pod: &Pod) {
    let what = format!("{set}: {}", pod.owner);
    let security = &pod.spec()["securityContext"];
    assert_eq!(security["runAsNonRoot"], json!(true), "{what}");
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{what}");
    assert_ne!(security["runAsUser"], json!(0), "{what}");
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod.spec()[key].is_null(), "{what}: {key}");
    }
    assert!(list(&pod.spec()["volumes"]).iter().all(|volume| volume["hostPath"].is_null()), "{what}");
    for container in list(&pod.spec()["containers"]).iter().chain(list(&pod.spec()["initContainers"])) {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], json!(false), "{what}");
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{what}");
        assert_eq!(security["readOnlyRootFilesystem"], json!(true), "{what}");
    }
}

#[test]
fn the_job_of_devices_is_restricted() {
    let file = chart().join("../../k8s/examples/devices.yaml");
    let job: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let template = job["spec"]["template"].clone();
    let pod = Pod { owner: "Job devices".to_owned(), component: "devices".to_owned(), template };
    check_restricted("examples", &pod);
    let image = format!("localhost/rowcast:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(pod.container()["image"], image);
}

#[test]
fn only_the_listener_has_a_token() {
    each_set(|set, objects| {
        let leased = set != "everything-else";
        for pod in objects.pods() {
            let expected = leased && pod.component == "notify-listener";
            assert_eq!(pod.spec()["automountServiceAccountToken"], json!(expected), "{set}: {}", pod.owner);
        }
        for account in objects.all("ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], json!(false), "{set}");
        }
        assert_eq!(objects.all("Role").len(), usize::from(leased), "{set}");
    });
}

/// For a Service called `rowcast-ingest` pods would have variables such as `ROWCAST_INGEST_PORT`, which look like settings.
#[test]
fn no_pod_has_variables_of_services() {
    each_set(|set, objects| {
        for pod in objects.pods() {
            assert_eq!(pod.spec()["enableServiceLinks"], json!(false), "{set}: {}", pod.owner);
        }
    });
}

#[test]
fn a_pod_has_the_time_that_its_end_takes() {
    let objects = render(DEV, &["gateway.preStopSeconds=40"]);
    for (component, pre_stop) in [("ingest", 5), ("ws-gateway", 40), ("notify-listener", 0)] {
        let pod = objects.pod(component);
        let grace = pod.spec()["terminationGracePeriodSeconds"].as_u64().unwrap();
        let sleep = pod.container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or_default();
        assert_eq!(sleep, pre_stop, "{component}");
        assert!(grace > sleep + DRAIN_SECONDS, "{component}: {grace} s");
    }
}

#[test]
fn probes_use_the_admin_port() {
    let objects = render(DEV, &[]);
    for component in ["ingest", "ws-gateway", "notify-listener"] {
        let pod = objects.pod(component);
        let container = pod.container();
        for (probe, path) in
            [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
        {
            let expected = json!({"path": path, "port": "admin"});
            assert_eq!(container[probe]["httpGet"], expected, "{component}: {probe}");
        }
        let ports: Vec<(&str, u64)> = list(&container["ports"])
            .iter()
            .map(|port| (text(&port["name"]), port["containerPort"].as_u64().unwrap()))
            .collect();
        let public = component != "notify-listener";
        let expected: &[(&str, u64)] =
            if public { &[("http", 8080), ("admin", 9090)] } else { &[("admin", 9090)] };
        assert_eq!(ports, expected, "{component}");
    }
}

#[test]
fn every_pod_states_what_it_needs_and_none_is_throttled() {
    each_set(|set, objects| {
        for pod in objects.pods() {
            check_resources(set, &pod);
        }
    });
}

#[track_caller]
pub(crate) fn check_resources(set: &str, pod: &Pod) {
    let resources = &pod.container()["resources"];
    for (kind, what) in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")] {
        assert!(resources[kind][what].is_string(), "{set}: {}: {kind} {what}", pod.owner);
    }
    assert!(resources["limits"]["cpu"].is_null(), "{set}: {}", pod.owner);
}

/// The pods of a drained node must be scheduled, if necessary beside others of their kind.
#[test]
fn no_spread_keeps_a_pod_pending() {
    each_set(|set, objects| {
        for pod in objects.pods() {
            for spread in list(&pod.spec()["topologySpreadConstraints"]) {
                assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway", "{set}: {}", pod.owner);
                assert_eq!(spread["nodeTaintsPolicy"], "Honor", "{set}: {}", pod.owner);
                assert_eq!(spread["matchLabelKeys"], json!(["pod-template-hash"]), "{set}: {}", pod.owner);
            }
        }
        for budget in objects.all("PodDisruptionBudget") {
            assert_eq!(budget["spec"]["maxUnavailable"], json!(1), "{set}");
            assert_eq!(budget["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow", "{set}");
        }
    });
}

#[test]
fn what_is_added_to_a_component_is_in_its_pods() {
    each_set(|set, objects| {
        if set != "everything-else" {
            return;
        }
        for component in ["ingest", "ws-gateway", "notify-listener", "migrate"] {
            let pod = objects.pod(component);
            let (metadata, spec, container) = (&pod.template["metadata"], pod.spec(), pod.container());
            assert_eq!(metadata["labels"]["tier"], "edge", "{component}");
            assert_eq!(metadata["labels"]["team"], "data", "{component}");
            assert_eq!(metadata["annotations"]["example.org/note"], "yes", "{component}");
            assert_eq!(spec["nodeSelector"], json!({"kubernetes.io/os": "linux"}), "{component}");
            assert_eq!(spec["tolerations"][0]["key"], "edge", "{component}");
            assert!(spec["affinity"]["nodeAffinity"].is_object(), "{component}");
            assert!(spec["securityContext"]["runAsUser"].is_null(), "{component}");
            assert!(list(&spec["volumes"]).contains(&json!({"name": "more", "emptyDir": {}})), "{component}");
            let mount = json!({"name": "more", "mountPath": "/more"});
            assert!(list(&container["volumeMounts"]).contains(&mount), "{component}");
            assert!(
                list(&container["env"]).contains(&json!({"name": "RUST_BACKTRACE", "value": "1"})),
                "{component}"
            );
            let more = json!({"configMapRef": {"name": "more", "optional": true}});
            assert!(list(&container["envFrom"]).contains(&more), "{component}");
        }
        objects.one("ConfigMap", "rowcast-more");
        objects.one("ConfigMap", "rowcast-text");
    });
}

#[test]
fn the_level_of_logs_is_read_from_a_volume_by_all_but_the_job() {
    let objects = render(DEV, &["log.level=debug"]);
    assert_eq!(objects.one("ConfigMap", "rowcast-log")["data"]["level"], "debug");
    let volume = json!({"name": "log", "configMap": {"name": "rowcast-log"}});
    for (component, mounted) in
        [("ingest", true), ("ws-gateway", true), ("notify-listener", true), ("migrate", false)]
    {
        let volumes = objects.pod(component).spec()["volumes"].clone();
        assert_eq!(list(&volumes).contains(&volume), mounted, "{component}");
    }
}

#[test]
fn the_canary_goes_through_the_services_or_the_public_doors() {
    let env = |sets: &[&str]| {
        let objects = render(DEV, &[&["canary.enabled=true"], sets].concat());
        let env = objects.pod("canary").container()["env"].clone();
        let value = |name: &str| {
            let variable = list(&env).iter().find(|variable| variable["name"] == name).cloned();
            variable.map(|variable| variable["value"].clone()).unwrap_or_default()
        };
        [value("ROWCAST_INGEST_URL"), value("ROWCAST_GATEWAY_URLS")]
    };
    assert_eq!(env(&[]), ["http://rowcast-ingest:8080", "http://rowcast-ws-gateway:8080"]);
    let public =
        ["canary.ingestUrl=https://a.example", "canary.gatewayUrls={https://a.example,https://b.example}"];
    assert_eq!(env(&public), ["https://a.example", "https://a.example,https://b.example"]);
}

#[test]
fn traces_are_exported_as_the_values_say() {
    let objects = render(
        EXTERNAL,
        &[
            "tracing.endpoint=https://collector:4318",
            "tracing.protocol=http/protobuf",
            "tracing.ratio=0.01",
            "tracing.headersSecret.name=tracing",
            "tracing.ca.secretName=tracing-ca",
        ],
    );
    for component in ["ingest", "ws-gateway", "notify-listener"] {
        let data = &objects.one("ConfigMap", &format!("rowcast-{component}"))["data"];
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.01"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/etc/rowcast/tracing/ca.pem"),
        ] {
            assert_eq!(data[name], value, "{component}");
        }
        let pod = objects.pod(component);
        let secret = json!({"name": "OTEL_EXPORTER_OTLP_HEADERS",
                            "valueFrom": {"secretKeyRef": {"name": "tracing", "key": "headers"}}});
        assert!(list(&pod.container()["env"]).contains(&secret), "{component}");
        let mount = json!({"name": "tracing-ca", "mountPath": "/etc/rowcast/tracing", "readOnly": true});
        assert!(list(&pod.container()["volumeMounts"]).contains(&mount), "{component}");
    }
}
