use serde_json::{Value, json};

use crate::render::{DEV, EXTERNAL, Objects, chart, list, render, template, text};

const URL: &str = "ROWCAST_DATABASE__URL";
const COMPONENTS: [&str; 4] = ["ingest", "ws-gateway", "notify-listener", "migrate"];

#[track_caller]
fn check_keys(objects: &Objects, expected: [(&str, &str); 4]) {
    for (component, (secret, key)) in COMPONENTS.into_iter().zip(expected) {
        assert_eq!(objects.pod(component).secret(URL), (secret.to_owned(), key.to_owned()), "{component}");
    }
}

#[test]
fn the_listener_and_migrate_bypass_the_pooler() {
    let own = "rowcast-postgres";
    check_keys(&render(EXTERNAL, &[]), [(own, "url"); 4]);
    let direct = render(EXTERNAL, &["postgres.external.directUrl=postgres://primary/rowcast"]);
    check_keys(&direct, [(own, "url"), (own, "url"), (own, "direct-url"), (own, "direct-url")]);
    let existing = ["redis.mode=dev", "postgres.external.existingSecret.name=s"];
    check_keys(&render(&existing, &[]), [("s", "url"); 4]);
    let keys = ["postgres.external.existingSecret.directUrlKey=direct", "ingest.databaseSecret.name=mine"];
    check_keys(&render(&existing, &keys), [("mine", "url"), ("s", "url"), ("s", "direct"), ("s", "direct")]);
}

#[test]
fn services_behind_the_pooler_get_its_mode() {
    let values =
        ["postgres.external.pooler=transaction", "postgres.external.directUrl=postgres://primary/rowcast"];
    let objects = render(EXTERNAL, &values);
    for (component, kind) in COMPONENTS.into_iter().zip(["transaction", "transaction", "", ""]) {
        assert_eq!(variable(&objects, component, "ROWCAST_DATABASE__POOLER"), kind, "{component}");
    }
    assert_eq!(variable(&render(EXTERNAL, &[]), "ingest", "ROWCAST_DATABASE__POOLER"), "");
    // RDS Proxy pools by transaction
    let proxied = template(&[chart().join("../../k8s/databases/memorydb.yaml")], &[], &[]).unwrap();
    for (component, kind) in COMPONENTS.into_iter().zip(["transaction", "transaction", "", ""]) {
        assert_eq!(variable(&proxied, component, "ROWCAST_DATABASE__POOLER"), kind, "{component}");
    }
}

#[test]
fn a_cluster_of_cloudnativepg_is_reached_by_its_own_secret() {
    let objects = render(&["redis.mode=dev", "postgres.mode=cnpg"], &["postgres.cnpg.spec.instances=5"]);
    check_keys(&objects, [("rowcast-postgres-app", "uri"); 4]);
    let cluster = objects.only("Cluster");
    assert_eq!(cluster["metadata"]["name"], "rowcast-postgres");
    assert_eq!(cluster["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    assert_eq!(cluster["spec"]["instances"], json!(5), "spec overrides the chart");
    assert_eq!(cluster["spec"]["bootstrap"]["initdb"]["database"], "rowcast");
    let spec = objects.pod("migrate").spec().clone();
    assert_eq!(spec["volumes"][0]["secret"]["secretName"], "rowcast-postgres-ca");
}

#[test]
fn a_private_authority_is_mounted_at_the_configured_path() {
    let values = ["postgres.external.ca.secretName=pg-ca", "redis.external.ca.secretName=cache-ca"];
    let objects = render(EXTERNAL, &[&values[..], &["redis.external.url=rediss://cache"]].concat());
    let data = &objects.one("ConfigMap", "rowcast-ws-gateway")["data"];
    let pod = objects.pod("ws-gateway");
    for (variable, secret) in [("ROWCAST_DATABASE__CA", "pg-ca"), ("ROWCAST_REDIS__CA", "cache-ca")] {
        let path = text(&data[variable]);
        let mounts = list(&pod.container()["volumeMounts"]);
        let mount = mounts.iter().find(|mount| path.starts_with(text(&mount["mountPath"]))).unwrap();
        let volumes = list(&pod.spec()["volumes"]);
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        assert_eq!(volume["secret"]["secretName"], secret);
        assert_eq!(volume["secret"]["items"], json!([{"key": "ca.crt", "path": "ca.pem"}]));
    }
    let ingest = objects.one("ConfigMap", "rowcast-ingest");
    assert_eq!(ingest["data"]["ROWCAST_REDIS__CA"], Value::Null, "ingest does not use Redis");
}

#[test]
fn services_that_use_redis_get_its_sentinels() {
    let values = [
        "redis.external.sentinel.hosts={a:26379,b:26379}",
        "redis.external.sentinel.master=m",
        "redis.external.sentinel.passwordSecret.name=s",
    ];
    let objects = render(EXTERNAL, &values);
    for component in ["ws-gateway", "notify-listener"] {
        let data = &objects.one("ConfigMap", &format!("rowcast-{component}"))["data"];
        assert_eq!(data["ROWCAST_REDIS__SENTINELS"], "a:26379,b:26379", "{component}");
        assert_eq!(data["ROWCAST_REDIS__MASTER"], "m", "{component}");
        let password = objects.pod(component).secret("ROWCAST_REDIS__SENTINEL_PASSWORD");
        assert_eq!(password, ("s".to_owned(), "password".to_owned()), "{component}");
    }
    let ingest = objects.one("ConfigMap", "rowcast-ingest");
    assert_eq!(ingest["data"]["ROWCAST_REDIS__SENTINELS"], Value::Null);
}

#[test]
fn a_generated_password_is_the_same_throughout_a_rendering() {
    let objects = render(DEV, &[]);
    for (database, user) in [("postgres", "rowcast"), ("redis", "")] {
        let data = &objects.one("Secret", &format!("rowcast-{database}"))["stringData"];
        let password = text(&data["password"]);
        assert_eq!(password.len(), 32);
        assert!(text(&data["url"]).contains(&format!("{user}:{password}@rowcast-{database}:")), "{database}");
    }
    let given = render(DEV, &["postgres.dev.password=letmein"]);
    assert_eq!(given.one("Secret", "rowcast-postgres")["stringData"]["password"], "letmein");
}

/// A database that is restarted refuses connections for a moment.
#[test]
fn an_upgrade_of_rowcast_restarts_no_database() {
    let template = |objects: &Objects, component: &str| objects.pod(component).template.clone();
    let (before, after) =
        (render(DEV, &["redis.dev.password=a"]), render(DEV, &["redis.dev.password=a", "image.tag=next"]));
    for component in ["postgres", "redis"] {
        assert_eq!(template(&before, component), template(&after, component), "{component}");
    }
    assert_ne!(template(&before, "ingest"), template(&after, "ingest"));
}

/// A volume without its password is lost, and a password without its volume is of no use.
#[test]
fn the_password_stays_with_the_volume() {
    let kept = |values: &[&str], database: &str| {
        let objects = render(DEV, values);
        let secret = objects.one("Secret", &format!("rowcast-{database}"));
        secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    };
    assert!(kept(&[], "postgres"));
    assert!(!kept(&["postgres.dev.persistence.enabled=false"], "postgres"));
    assert!(!kept(&[], "redis"));
}

#[test]
fn a_hook_has_what_it_needs_before_the_release() {
    let objects = render(EXTERNAL, &["migrate.mode=hook", "networkPolicy.enabled=true"]);
    let weight = |object: &Value| {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "pre-install,pre-upgrade", "{object}");
        text(&annotations["helm.sh/hook-weight"]).parse::<i64>().unwrap()
    };
    let job = weight(objects.only("Job"));
    for kind in ["ServiceAccount", "Secret", "NetworkPolicy"] {
        assert!(weight(objects.one(kind, "rowcast-migrate")) < job, "{kind}");
    }
    assert_eq!(objects.pod("migrate").secret(URL), ("rowcast-migrate".to_owned(), "url".to_owned()));
    let existing = ["redis.mode=dev", "postgres.external.existingSecret.name=s", "migrate.mode=hook"];
    let objects = template(&[], &existing, &[]).unwrap();
    assert!(objects.all("Secret").iter().all(|secret| secret["metadata"]["name"] != "rowcast-migrate"));
}

/// The value of a component's variable, or the Secret and key that it is from.
fn variable(objects: &Objects, component: &str, name: &str) -> String {
    let pod = objects.pod(component);
    let own = list(&pod.container()["env"]).iter().find(|env| env["name"] == name).cloned();
    match own {
        Some(env) if env["value"].is_string() => text(&env["value"]).to_owned(),
        Some(_) => {
            let (secret, key) = pod.secret(name);
            format!("{secret}/{key}")
        }
        None => {
            let all = objects.all("ConfigMap");
            let map = all.iter().find(|map| map["metadata"]["name"] == format!("rowcast-{component}"));
            map.and_then(|map| map["data"][name].as_str()).unwrap_or_default().to_owned()
        }
    }
}

const PARTS: &[&str] = &["redis.mode=dev", "postgres.external.host=db.example"];

#[test]
fn a_database_by_its_parts_needs_no_url() {
    let values = [
        "postgres.external.directHost=primary.example",
        "postgres.external.port=6432",
        "postgres.external.credentialsSecret.name=s",
        "postgres.external.sslmode=require",
        "ingest.databaseSecret.name=mine",
        "ingest.databaseSecret.userKey=username",
        "networkPolicy.enabled=true",
    ];
    let objects = render(PARTS, &values);
    for component in COMPONENTS {
        let value = |name: &str| variable(&objects, component, &format!("ROWCAST_DATABASE__{name}"));
        assert_eq!(value("URL"), "", "{component}");
        let direct = ["notify-listener", "migrate"].contains(&component);
        assert_eq!(value("HOST"), if direct { "primary.example" } else { "db.example" }, "{component}");
        assert_eq!(value("PORT"), if direct { "5432" } else { "6432" }, "{component}");
        assert_eq!((value("NAME"), value("SSLMODE")), ("rowcast".to_owned(), "require".to_owned()));
        let own = component == "ingest";
        assert_eq!(value("USER"), if own { "mine/username" } else { "rowcast" }, "{component}");
        assert_eq!(value("PASSWORD"), if own { "mine/password" } else { "s/password" }, "{component}");
    }
    assert!(objects.all("Secret").iter().all(|secret| secret["metadata"]["name"] != "rowcast-postgres"));
}

/// Keys as the operators make them: CloudNativePG's and Crunchy's have a URL, Zalando's user and password.
#[test]
fn secrets_of_operators_are_read_as_they_are() {
    let url = |secret: &str| {
        let name = format!("postgres.external.existingSecret.name={secret}");
        let objects = render(&["redis.mode=dev"], &[&name, "postgres.external.existingSecret.urlKey=uri"]);
        check_keys(&objects, [(secret, "uri"); 4]);
    };
    url("main-app");
    url("main-pguser-rowcast");
    let secret = "rowcast.main.credentials.postgresql.acid.zalan.do";
    let name = format!("postgres.external.credentialsSecret.name={secret}");
    let objects = render(PARTS, &[&name, "postgres.external.credentialsSecret.userKey=username"]);
    for component in COMPONENTS {
        assert_eq!(variable(&objects, component, "ROWCAST_DATABASE__USER"), format!("{secret}/username"));
        assert_eq!(variable(&objects, component, "ROWCAST_DATABASE__PASSWORD"), format!("{secret}/password"));
    }
}

#[test]
fn client_certificates_are_mounted_at_the_configured_paths() {
    let values = [
        "postgres.external.clientCertificate.secretName=pg-client",
        "redis.external.clientCertificate.secretName=cache-client",
        "redis.external.url=rediss://cache",
    ];
    let objects = render(EXTERNAL, &values);
    for (section, secret) in [("DATABASE", "pg-client"), ("REDIS", "cache-client")] {
        for component in COMPONENTS {
            let certificate = variable(&objects, component, &format!("ROWCAST_{section}__CERTIFICATE"));
            let key = variable(&objects, component, &format!("ROWCAST_{section}__KEY"));
            if section == "REDIS" && !["ws-gateway", "notify-listener"].contains(&component) {
                assert_eq!((certificate, key), (String::new(), String::new()), "{component}");
                continue;
            }
            let pod = objects.pod(component);
            let mounts = list(&pod.container()["volumeMounts"]);
            let mount =
                mounts.iter().find(|mount| certificate.starts_with(text(&mount["mountPath"]))).unwrap();
            let volumes = list(&pod.spec()["volumes"]);
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            assert_eq!(volume["secret"]["secretName"], secret, "{component}");
            assert_eq!(key, certificate.replace(".crt", ".key"));
        }
    }
}

#[test]
fn a_redis_with_users_gets_the_user() {
    let values = [
        "redis.external.credentialsSecret.name=cache",
        "redis.external.credentialsSecret.userKey=username",
        "redis.external.sentinel.hosts={a:26379}",
        "redis.external.sentinel.master=m",
        "redis.external.sentinel.user=watcher",
    ];
    let objects = render(EXTERNAL, &values);
    for component in ["ws-gateway", "notify-listener"] {
        assert_eq!(variable(&objects, component, "ROWCAST_REDIS__USER"), "cache/username");
        assert_eq!(variable(&objects, component, "ROWCAST_REDIS__PASSWORD"), "cache/password");
        assert_eq!(variable(&objects, component, "ROWCAST_REDIS__SENTINEL_USER"), "watcher");
    }
    assert_eq!(variable(&objects, "ingest", "ROWCAST_REDIS__PASSWORD"), "");
}
