//! The Job that imports device keys, and the database users of each component.

use serde_json::{Value, json};

use crate::render::{DEV, EXTERNAL, Objects, chart, list, notes, render, template, text};

const KEYS: &[&str] = &["auth.enabled=true", "auth.keys.secretName=devices"];

/// The components that have a user for their service alone.
const SERVICES: [&str; 3] = ["ingest", "ws-gateway", "notify-listener"];

#[track_caller]
fn job(objects: &Objects) -> &Value {
    let jobs = objects.all("Job");
    jobs.into_iter().find(|job| job["metadata"]["name"] == "rowcast-keys").expect("a Job of keys")
}

/// The variables of a component, from its ConfigMap and its container.
fn variable(objects: &Objects, component: &str, name: &str) -> Value {
    let env = objects.pod(component).container()["env"].clone();
    let own = list(&env).iter().find(|variable| variable["name"] == name).cloned();
    let secret = |own: Value| match &own["valueFrom"]["secretKeyRef"] {
        Value::Null => own["value"].clone(),
        from => json!(format!("{}/{}", text(&from["name"]), text(&from["key"]))),
    };
    let mapped = objects.0.iter().find(|object| {
        object["kind"] == "ConfigMap" && object["metadata"]["name"] == format!("rowcast-{component}")
    });
    own.map(secret).unwrap_or_else(|| mapped.map_or(Value::Null, |map| map["data"][name].clone()))
}

#[test]
fn keys_of_a_secret_are_imported_after_each_installation_and_upgrade() {
    let objects = render(DEV, KEYS);
    let job = job(&objects);
    let annotations = &job["metadata"]["annotations"];
    assert_eq!(annotations["helm.sh/hook"], "post-install,post-upgrade");
    assert_eq!(annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded");
    assert_eq!(
        (&job["spec"]["backoffLimit"], &job["spec"]["activeDeadlineSeconds"]),
        (&json!(10), &json!(600))
    );
    let pod = objects.pod("keys");
    assert_eq!(pod.spec()["restartPolicy"], "Never");
    let command = ["/usr/local/bin/rowcast", "keys", "import", "/etc/rowcast/keys/keys.jsonl"];
    assert_eq!(pod.container()["command"], json!(command));
    let volume = json!({"name": "keys", "secret": {"secretName": "devices", "items": [{"key": "keys.jsonl", "path": "keys.jsonl"}]}});
    assert_eq!(pod.spec()["volumes"], json!([volume]));
    let mount = json!([{"name": "keys", "mountPath": "/etc/rowcast/keys", "readOnly": true}]);
    assert_eq!(pod.container()["volumeMounts"], mount);
    let named = |objects: &Objects| objects.pods().iter().any(|pod| pod.component == "keys");
    assert!(!named(&render(DEV, &["auth.enabled=true"])));
}

#[test]
fn the_job_of_keys_has_its_own_user_or_the_common_one() {
    let url =
        |more: &[&str]| render(EXTERNAL, &[KEYS, more].concat()).pod("keys").secret("ROWCAST_DATABASE__URL");
    assert_eq!(url(&[]), ("rowcast-postgres".to_owned(), "url".to_owned()));
    let own = ["auth.keys.databaseSecret.name=mine", "auth.keys.databaseSecret.key=uri"];
    assert_eq!(url(&own), ("mine".to_owned(), "uri".to_owned()));
    // past the pooler, as the listener
    let direct =
        ["postgres.external.directUrl=postgres://primary/rowcast", "postgres.external.pooler=transaction"];
    assert_eq!(url(&direct), ("rowcast-postgres".to_owned(), "direct-url".to_owned()));
}

#[test]
fn the_job_of_keys_is_configured_by_parts_too() {
    let objects = template(&[chart().join("ci/keys.yaml")], &[], &[]).unwrap();
    for (name, value) in [
        ("HOST", "primary.db.svc"),
        ("USER", "rowcast-keys-database/username"),
        ("PASSWORD", "rowcast-keys-database/password"),
        ("CA", "/etc/rowcast/postgres/ca.pem"),
        ("CERTIFICATE", "/etc/rowcast/postgres-client/tls.crt"),
        ("KEY", "/etc/rowcast/postgres-client/tls.key"),
    ] {
        assert_eq!(variable(&objects, "keys", &format!("ROWCAST_DATABASE__{name}")), value, "{name}");
    }
    assert_eq!(variable(&objects, "keys", "ROWCAST_DATABASE__POOLER"), Value::Null);
    let pod = objects.pod("keys");
    let names: Vec<&str> = list(&pod.spec()["volumes"]).iter().map(|volume| text(&volume["name"])).collect();
    assert_eq!(names, ["keys", "postgres-ca", "postgres-client"]);
    // it reaches Postgres and nothing else
    let policy = objects.one("NetworkPolicy", "rowcast-keys");
    assert_eq!(policy["spec"]["ingress"], json!([]));
    let ports: Vec<&Value> = list(&policy["spec"]["egress"])
        .iter()
        .flat_map(|rule| list(&rule["ports"]))
        .filter(|port| port["protocol"].is_null())
        .collect();
    assert_eq!(ports, [&json!({"port": 5432})]);
}

#[test]
fn a_postgres_of_the_chart_lets_the_job_of_keys_in() {
    let objects = render(DEV, &[KEYS, &["networkPolicy.enabled=true"]].concat());
    let from = &objects.one("NetworkPolicy", "rowcast-postgres")["spec"]["ingress"][0]["from"];
    let components = &from[0]["podSelector"]["matchExpressions"][0]["values"];
    assert!(list(components).contains(&json!("keys")), "{components}");
}

#[test]
fn a_highly_available_installation_asks_for_credentials_and_has_a_user_for_each_service() {
    let files = [chart().join("values-ha.yaml"), chart().join("ci/ha.yaml")];
    let objects = template(&files, &[], &[]).unwrap();
    for component in ["ingest", "ws-gateway"] {
        assert_eq!(variable(&objects, component, "ROWCAST_AUTH__ENABLED"), "true", "{component}");
    }
    for (component, name) in SERVICES.into_iter().zip(["ingest", "gateway", "listener"]) {
        let secret = format!("rowcast-{name}-database");
        assert_eq!(objects.pod(component).secret("ROWCAST_DATABASE__URL"), (secret, "url".to_owned()));
    }
    let owner = objects.pod("migrate").secret("ROWCAST_DATABASE__URL");
    assert_eq!(owner, ("rowcast-urls".to_owned(), "url".to_owned()));
    let back = ["ingest", "gateway", "listener"].map(|name| format!("{name}.databaseSecret.name="));
    let back: Vec<&str> = back.iter().map(String::as_str).collect();
    let objects = template(&files, &back, &[]).unwrap();
    assert_eq!(objects.pod("ingest").secret("ROWCAST_DATABASE__URL").0, "rowcast-urls");
    // with a host, user and password come from the same Secrets
    let parts = "{postgres: {external: {host: db, existingSecret: {name: \"\"}}}}";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parts.yaml");
    std::fs::write(&file, parts).unwrap();
    let objects = template(&[&files[..], &[file]].concat(), &[], &[]).unwrap();
    for (component, name) in SERVICES.into_iter().zip(["ingest", "gateway", "listener"]) {
        for (variable_name, key) in [("USER", "username"), ("PASSWORD", "password")] {
            let found = variable(&objects, component, &format!("ROWCAST_DATABASE__{variable_name}"));
            assert_eq!(found, format!("rowcast-{name}-database/{key}"), "{component}");
        }
    }
}

#[test]
fn the_notes_name_who_connects_as_the_owner_and_that_clients_need_a_credential() {
    let plain = notes(EXTERNAL);
    assert!(plain.contains("owns the tables: ingest, gateway, listener."), "{plain}");
    assert!(!plain.contains("credential"), "{plain}");
    let own = ["ingest", "gateway", "listener"].map(|name| format!("{name}.databaseSecret.name=s"));
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let notes = notes(&[EXTERNAL, KEYS, &own].concat());
    assert!(!notes.contains("owns the tables") && notes.contains("Secret devices"), "{notes}");
}

#[test]
fn keys_without_credentials_and_a_user_without_keys_are_refused() {
    for (values, wanted) in [
        (&["auth.keys.secretName=devices"][..], "set auth.enabled=true"),
        (&["auth.enabled=true", "auth.keys.databaseSecret.name=s"], "set auth.keys.secretName"),
    ] {
        let refusal = template(&[], &[DEV, values].concat(), &[]).err().unwrap_or_default();
        assert!(refusal.contains(wanted), "{values:?}: {refusal}");
    }
}
