use crate::render::{DEV, EXTERNAL, template};

#[track_caller]
fn check(base: &[&str], values: &[&str], sentence: &str) {
    let Err(refusal) = template(&[], &[base, values].concat(), &[]) else {
        panic!("{values:?} are not refused")
    };
    assert!(refusal.contains(sentence), "{values:?}: {refusal}");
}

#[test]
fn without_databases_the_refusal_names_the_values() {
    check(&[], &[], "set postgres.external.url or postgres.external.existingSecret.name");
    check(&[], &[], "set redis.external.url or redis.external.existingSecret.name");
    check(&["postgres.mode=dev"], &[], "Redis is missing");
    check(&["redis.mode=dev"], &[], "Postgres is missing");
}

#[test]
fn a_database_is_set_once() {
    check(EXTERNAL, &["postgres.external.existingSecret.name=s"], "Postgres is set twice");
    check(EXTERNAL, &["redis.external.existingSecret.name=s"], "Redis is set twice");
    check(EXTERNAL, &["postgres.mode=dev"], "postgres.external is not used");
    check(EXTERNAL, &["postgres.mode=cnpg"], "postgres.external is not used");
    check(EXTERNAL, &["redis.mode=dev"], "redis.external is not used");
    check(
        &["postgres.external.existingSecret.name=s", "redis.mode=dev"],
        &["postgres.external.directUrl=postgres://db"],
        "set postgres.external.existingSecret.directUrlKey",
    );
}

#[test]
fn a_url_is_one_of_its_database() {
    check(
        EXTERNAL,
        &["postgres.external.url=mysql://db"],
        "postgres.external.url must begin with postgres://",
    );
    check(EXTERNAL, &["postgres.external.pooler=transaction"], "need their own sessions");
    check(EXTERNAL, &["postgres.external.directUrl=db"], "postgres.external.directUrl must begin with");
    check(EXTERNAL, &["redis.external.url=http://cache"], "redis.external.url must begin with redis://");
    check(EXTERNAL, &["redis.external.ca.secretName=ca"], "that begins with rediss://");
}

#[test]
fn sentinels_and_their_primary_belong_together() {
    check(EXTERNAL, &["redis.external.sentinel.hosts={a:26379}"], "set redis.external.sentinel.master");
    check(EXTERNAL, &["redis.external.sentinel.master=m"], "set redis.external.sentinel.hosts");
    check(EXTERNAL, &["redis.external.sentinel.passwordSecret.name=s"], "passwordSecret needs sentinels");
}

#[test]
fn a_hook_is_refused_with_a_database_of_the_chart() {
    check(DEV, &["migrate.mode=hook"], "set migrate.mode=job");
    check(&["redis.mode=dev"], &["postgres.mode=cnpg", "migrate.mode=hook"], "set migrate.mode=job");
}

#[test]
fn one_autoscaler_sets_the_replicas_and_has_a_metric() {
    for component in ["ingest", "gateway"] {
        let (hpa, keda) = (format!("{component}.autoscaling"), format!("{component}.keda"));
        let (both_hpa, both_keda) = (format!("{hpa}.enabled=true"), format!("{keda}.enabled=true"));
        check(DEV, &[&both_hpa, &both_keda], "two autoscalers conflict");
        for (scaler, enabled) in [(&hpa, &both_hpa), (&keda, &both_keda)] {
            check(
                DEV,
                &[enabled, &format!("{scaler}.minReplicas=99")],
                &format!("at most {scaler}.maxReplicas"),
            );
            let no_metric = format!("{scaler}.targetCPUUtilizationPercentage=0");
            check(DEV, &[enabled, &no_metric], "has no metric");
            let no_request = format!("{component}.resources.requests.cpu=null");
            check(DEV, &[enabled, &no_request], &format!("set {component}.resources.requests.cpu"));
        }
    }
    let connections = ["gateway.keda.enabled=true", "gateway.keda.targetConnections=100"];
    check(DEV, &connections, "set gateway.keda.prometheus");
}

#[test]
fn without_a_lease_there_is_one_listener() {
    check(DEV, &["listener.lease=off"], "set listener.replicas=1");
}

#[test]
fn a_route_has_a_gateway() {
    check(DEV, &["httpRoute.enabled=true"], "set httpRoute.parentRefs");
}

#[test]
fn accounts_are_named_and_the_listeners_is_its_own() {
    for component in ["ingest", "gateway", "listener", "migrate"] {
        let not_created = format!("{component}.serviceAccount.create=false");
        check(DEV, &[&not_created], &format!("set {component}.serviceAccount.name"));
    }
    let shared = ["listener.serviceAccount.name=rowcast-ingest"];
    check(DEV, &shared, "set a listener.serviceAccount.name that no other component has");
}

#[test]
fn variables_that_the_chart_sets_are_not_set_twice() {
    check(
        DEV,
        &["gateway.env[0].name=ROWCAST_REDIS__URL", "gateway.env[0].value=redis://other"],
        "gateway.env has ROWCAST_REDIS__URL",
    );
}

#[test]
fn an_image_has_a_tag_or_a_digest() {
    let digest = format!("image.digest=sha256:{}", "a".repeat(64));
    check(DEV, &[&digest, "image.tag=next"], "set image.tag or image.digest, not both");
}

#[test]
fn a_database_is_set_by_a_url_or_by_its_parts() {
    let host = "postgres.external.host=db";
    check(EXTERNAL, &[host], "set postgres.external.host or a URL of it, not both");
    check(EXTERNAL, &["postgres.external.credentialsSecret.name=s"], "set postgres.external.host");
    check(DEV, &[host], "postgres.external is not used");
    let user = [host, "redis.mode=dev", "postgres.external.credentialsSecret.userKey=u"];
    check(&[], &user, "set postgres.external.credentialsSecret.name");
    check(EXTERNAL, &["redis.external.clientCertificate.secretName=c"], "that begins with rediss://");
    check(EXTERNAL, &["redis.external.sentinel.user=u"], "set redis.external.sentinel.hosts");
}

#[test]
fn a_setting_is_set_once() {
    let twice = ["gateway.settings.ping\\.every=10s", "gateway.settings.ping.every=11s"];
    check(DEV, &twice, "gateway.settings has ping.every twice");
}

#[test]
fn a_gateway_is_for_a_route() {
    check(DEV, &["httpRoute.gateway.enabled=true"], "set httpRoute.enabled");
}

#[test]
fn all_faults_are_reported_at_once() {
    let refusal = template(&[], &["httpRoute.enabled=true"], &[]).err().unwrap();
    for sentence in ["Postgres is missing", "Redis is missing", "httpRoute.parentRefs"] {
        assert!(refusal.contains(sentence), "{refusal}");
    }
}

#[test]
fn the_schema_refuses_what_it_does_not_know() {
    for (values, sentence) in [
        ("ingres.enabled=true", "'ingres' not allowed"),
        ("gateway.replica=3", "'replica' not allowed"),
        ("gateway.settings.gateway\\.windowbytes=1", "'gateway.windowbytes' not allowed"),
        ("postgres.mode=mysql", "postgres/mode"),
        ("ingest.replicas=many", "ingest/replicas"),
        ("ingest.replicas=0", "ingest/replicas"),
        ("image.digest=latest", "image/digest"),
        ("postgres.dev.password=a/b", "postgres/dev/password"),
        ("listener.settings.retention\\.replay=24", "got number, want string"),
        ("listener.settings.retention.replay=24", "got number, want string"),
        ("gateway.settings.gateway.windowbytes=1", "'windowbytes' not allowed"),
        ("ingest.settings.ingest\\.lanes=many", "got string, want integer"),
        ("network.ipFamilyPolicy=Both", "network/ipFamilyPolicy"),
    ] {
        check(DEV, &[values], sentence);
    }
}
