//! Who needs a credential, as the chart's values say.

use serde_json::{Value, json};

use crate::render::{DEV, render, template};

const PUBLIC: [&str; 2] = ["ingest", "ws-gateway"];

const ON: [&str; 4] = [
    "auth.enabled=true",
    "auth.anonymousRead={public/*,a}",
    "auth.issuers.secretName=idp",
    "auth.issuers.key=i.toml",
];

#[test]
fn the_public_services_alone_are_told_of_credentials() {
    let objects = render(DEV, &ON);
    for component in PUBLIC {
        let data = &objects.one("ConfigMap", &format!("rowcast-{component}"))["data"];
        assert_eq!(data["ROWCAST_AUTH__ENABLED"], "true", "{component}");
        assert_eq!(data["ROWCAST_AUTH__ANONYMOUS_READ"], "public/*,a", "{component}");
        assert_eq!(data["ROWCAST_AUTH__ANONYMOUS_WRITE"], Value::Null, "{component}");
        assert_eq!(data["ROWCAST_AUTH__ISSUERS_FILE"], "/etc/rowcast/issuers/issuers.toml", "{component}");
        let pod = objects.pod(component);
        let volumes = pod.spec()["volumes"].as_array().unwrap();
        let issuers = volumes.iter().find(|volume| volume["name"] == "issuers").unwrap();
        assert_eq!(issuers["secret"]["secretName"], "idp");
        assert_eq!(issuers["secret"]["items"], json!([{"key": "i.toml", "path": "issuers.toml"}]));
    }
    let listener = &objects.one("ConfigMap", "rowcast-notify-listener")["data"];
    assert_eq!(listener["ROWCAST_AUTH__ENABLED"], Value::Null);
    let open = render(DEV, &[]);
    assert_eq!(open.one("ConfigMap", "rowcast-ingest")["data"]["ROWCAST_AUTH__ENABLED"], Value::Null);
}

#[test]
fn the_canary_and_the_test_bring_their_keys() {
    let with = [
        "auth.enabled=true",
        "canary.enabled=true",
        "canary.credential.secretName=c",
        "test.credential.secretName=t",
    ];
    let objects = render(DEV, &with);
    let secret = |component: &str| objects.pod(component).secret("ROWCAST_CREDENTIAL");
    assert_eq!(secret("canary"), ("c".to_owned(), "credential".to_owned()));
    assert_eq!(secret("test"), ("t".to_owned(), "credential".to_owned()));
    assert!(render(DEV, &["auth.enabled=true"]).all("Pod").is_empty(), "without a key there is no test");
}

#[test]
fn values_that_make_no_sense_together_are_refused() {
    for (values, wanted) in [
        (&["auth.enabled=true", "canary.enabled=true"][..], "set canary.credential.secretName"),
        (&["auth.anonymousRead={a}"], "set auth.enabled=true"),
        (&["auth.issuers.secretName=idp"], "set auth.enabled=true"),
    ] {
        let refusal = template(&[], &[DEV, values].concat(), &[]).err().unwrap_or_default();
        assert!(refusal.contains(wanted), "{values:?}: {refusal}");
    }
}
