use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::monitoring::trial;
use crate::render::{DEV, NAMESPACE, OLDEST, Objects, RELEASE, each_set, run, template, text};

/// A namespace for these tests, which admits restricted pods only and is deleted at the end.
struct Namespace;

impl Namespace {
    fn make() -> Self {
        assert!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG names the cluster to use");
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        apply(
            &[
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}),
            ],
            &[],
        );
        Self
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(kubectl(&["delete", "namespace", NAMESPACE, "--timeout=60s"], ""));
    }
}

fn kubectl(args: &[&str], input: &str) -> Result<String, String> {
    run("kubectl", &args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), input)
}

#[track_caller]
fn apply(objects: &[Value], flags: &[&str]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let args = [&["apply", "--server-side", "--filename=-"], flags].concat();
    kubectl(&args, &list).unwrap_or_else(|error| panic!("{error}"));
}

/// The versions of APIs that this server has: not every one has those of operators.
fn known() -> BTreeSet<String> {
    kubectl(&["api-versions"], "").unwrap().lines().map(str::to_owned).collect()
}

/// A pod's template by itself: a namespace refuses pods, and only warns of their owners.
fn alone(objects: &Objects) -> Vec<Value> {
    let mut pods = Vec::new();
    for (number, pod) in objects.pods().into_iter().enumerate() {
        let mut spec = pod.spec().clone();
        spec.as_object_mut().unwrap().remove("serviceAccountName");
        if pod.owner.starts_with("StatefulSet") && !spec["volumes"].to_string().contains("\"data\"") {
            // in place of its claim
            spec["volumes"].as_array_mut().unwrap().push(json!({"name": "data", "emptyDir": {}}));
        }
        let metadata = json!({"name": format!("alone-{number}"), "namespace": NAMESPACE});
        pods.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}));
    }
    pods
}

/// One test, for one namespace.
#[test]
fn an_api_server_accepts_every_value_set_and_a_kept_password_is_found() {
    let _namespace = Namespace::make();
    let known = known();
    if std::env::var_os("ROWCAST_CLUSTER_OPERATOR").is_some() {
        assert!(known.contains("monitoring.coreos.com/v1"), "{known:?}");
        a_duration_that_is_none_is_refused();
    }
    each_set(|_, objects| {
        let ours: Vec<Value> =
            objects.0.iter().filter(|object| known.contains(text(&object["apiVersion"]))).cloned().collect();
        apply(&ours, &["--dry-run=server"]);
        apply(&alone(objects), &["--dry-run=server"]);
    });
    let mut trial = trial();
    for object in &mut trial.0 {
        object["metadata"]["namespace"] = json!(NAMESPACE);
    }
    apply(&trial.0, &["--dry-run=server"]);
    apply(&alone(&trial), &["--dry-run=server"]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": "rowcast-postgres", "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": owned(),
        },
        "stringData": {"password": "kept"},
    });
    apply(&[secret], &[]);
    let objects = template(&[], DEV, &["--dry-run=server", OLDEST]).unwrap();
    let data = &objects.one("Secret", "rowcast-postgres")["stringData"];
    assert_eq!(data["password"], "kept");
    assert_eq!(data["url"], "postgres://rowcast:kept@rowcast-postgres:5432/rowcast");
    a_changed_volume_is_refused_with_the_reason();
}

/// So it is the operator's own definition that accepts the rules.
fn a_duration_that_is_none_is_refused() {
    let values = ["prometheusRule.enabled=true", "prometheusRule.for.RowcastNoLeader=soon"];
    let rules = template(&[], &[DEV, &values].concat(), &[]).unwrap().only("PrometheusRule").clone();
    let args = ["apply", "--server-side", "--dry-run=server", "--filename=-"];
    let refused = kubectl(&args, &rules.to_string()).unwrap_err();
    assert!(refused.contains(".for"), "{refused}");
}

/// By which Helm recognizes an object of the release.
fn owned() -> Value {
    json!({"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE})
}

/// A StatefulSet's volumes cannot be changed; the API server would refuse it in the middle of an upgrade.
fn a_changed_volume_is_refused_with_the_reason() {
    let server = ["--dry-run=server", OLDEST];
    let mut set = template(&[], DEV, &server).unwrap().only("StatefulSet").clone();
    set["metadata"]["annotations"] = owned();
    // the test is about the object alone
    set["spec"]["replicas"] = json!(0);
    apply(&[set], &[]);
    template(&[], DEV, &server).unwrap();
    for change in ["size=2Gi", "enabled=false", "storageClass=other"] {
        let value = format!("postgres.dev.persistence.{change}");
        let refused = template(&[], &[DEV, &[&value, "listener.lease=off"]].concat(), &server);
        let refusal = refused.err().unwrap_or_else(|| panic!("{change} is accepted"));
        assert!(refusal.contains("the volume of a StatefulSet cannot be changed"), "{refusal}");
        assert!(
            refusal.contains("without a Lease there can be only one pod"),
            "beside the other faults: {refusal}"
        );
    }
}
