use serde_json::{Value, json};

use crate::render::{DEV, Objects, list, render, text};

#[track_caller]
fn replicas(objects: &Objects, component: &str) -> Value {
    objects.one("Deployment", &format!("rowcast-{component}"))["spec"]["replicas"].clone()
}

#[test]
fn an_autoscaled_deployment_sets_no_replicas() {
    for (component, key) in [("ingest", "ingest"), ("ws-gateway", "gateway")] {
        assert_eq!(replicas(&render(DEV, &[]), component), json!(2));
        for (scaler, kind) in [("autoscaling", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")] {
            let objects = render(DEV, &[&format!("{key}.{scaler}.enabled=true")]);
            assert_eq!(replicas(&objects, component), Value::Null, "{component}: {scaler}");
            let target = &objects.only(kind)["spec"]["scaleTargetRef"];
            objects.one("Deployment", text(&target["name"]));
            assert_eq!(target["name"], format!("rowcast-{component}"), "{scaler}");
        }
    }
}

#[test]
fn the_gateway_scales_by_cpu_and_by_connections() {
    let values = ["gateway.autoscaling.enabled=true", "gateway.autoscaling.targetConnections=5000"];
    let objects = render(DEV, &values);
    let metrics = &objects.only("HorizontalPodAutoscaler")["spec"]["metrics"];
    assert_eq!(list(metrics).len(), 2);
    assert_eq!(metrics[0]["resource"]["name"], "cpu");
    assert_eq!(metrics[1]["type"], "Pods");
    assert_eq!(metrics[1]["pods"]["metric"]["name"], "rowcast_gateway_sessions");
    assert_eq!(metrics[1]["pods"]["target"]["averageValue"], "5000");
}

#[test]
fn each_deployment_has_a_budget() {
    let objects = render(DEV, &[]);
    assert_eq!(objects.all("PodDisruptionBudget").len(), 3);
    for component in ["ingest", "ws-gateway", "notify-listener"] {
        objects.one("PodDisruptionBudget", &format!("rowcast-{component}"));
    }
    assert_eq!(
        render(DEV, &["listener.podDisruptionBudget.enabled=false"]).all("PodDisruptionBudget").len(),
        2
    );
}

#[test]
fn one_gateway_is_removed_every_two_minutes() {
    let one = json!({"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}]}});
    let objects =
        render(DEV, &["gateway.autoscaling.enabled=true", "gateway.autoscaling.metrics[0].type=External"]);
    let spec = &objects.only("HorizontalPodAutoscaler")["spec"];
    assert_eq!(spec["behavior"], one);
    assert_eq!(spec["metrics"][1]["type"], "External");
    let objects = render(DEV, &["gateway.keda.enabled=true"]);
    let scaled = objects.only("ScaledObject");
    assert_eq!(scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], one);
}

#[test]
fn without_its_prometheus_keda_has_all_replicas() {
    let values = [
        "gateway.keda.enabled=true",
        "gateway.keda.targetConnections=100",
        "gateway.keda.prometheus=http://p",
        "gateway.keda.prometheusAuthModes=bearer",
        "gateway.keda.prometheusAuthentication.name=prometheus",
    ];
    let objects = render(DEV, &values);
    let spec = &objects.only("ScaledObject")["spec"];
    assert_eq!(spec["fallback"], json!({"failureThreshold": 3, "replicas": 10}));
    assert_eq!(spec["triggers"][1]["authenticationRef"], json!({"name": "prometheus"}));
    assert_eq!(spec["triggers"][1]["metadata"]["authModes"], "bearer");
    let few = render(
        DEV,
        &[&values[..], &["gateway.keda.fallback.replicas=4", "gateway.keda.fallback.failureThreshold=5"]]
            .concat(),
    );
    assert_eq!(few.only("ScaledObject")["spec"]["fallback"], json!({"failureThreshold": 5, "replicas": 4}));
}
