//! Device keys that come from a Secret, as docs/KEYS.md shows it.

use anyhow::{Context, Result, ensure};
use e2e::http;
use serde_json::{Value, json};
use testkit::wait_for;

use crate::{
    lengths::seconds,
    release::{NAME, Release},
};

const SECRET: &str = "rowcast-devices";

/// A change of a key is known everywhere within this.
const KNOWN_WITHIN: std::time::Duration = seconds(5);

/// Credentials are turned on with a key of a Secret, which the Job imports; an upgrade takes what the Secret says by then.
pub(crate) async fn keys(release: &Release) -> Result<()> {
    let made = create(release).await?;
    let key = made["key"].as_str().context("a key")?;
    let mut line = made["record"].clone();
    import(release, &line).await?;
    sends(release, Some(key), "acme/1", 201).await;
    let stranger = format!("{}{}", &key[..key.len() - 43], "x".repeat(43));
    for (credential, sensor, status) in
        [(None, "acme/1", 401), (Some(&*stranger), "acme/1", 401), (Some(key), "other/1", 403)]
    {
        let answered = post(release, credential, sensor).await?;
        ensure!(answered == status, "{credential:.17?} for {sensor}: {answered} instead of {status}");
    }
    let latest = http::get(release.site.ingress, "/api/latest").await?;
    ensure!(latest.status == 401, "the gateway answers {} without a credential", latest.status);
    println!("   a key of the Secret stores readings of its sensors, and nobody else does anything");

    line["write"] = json!(["other/*"]);
    import(release, &line).await?;
    sends(release, Some(key), "other/1", 201).await;
    sends(release, Some(key), "acme/1", 403).await;
    let jobs = release.site.kubectl(&["get", "jobs", "-o", "name"]).await?;
    ensure!(!jobs.contains(&format!("{NAME}-keys")), "a Job is left: {jobs}");
    let audit = release.psql("select string_agg(action, ',' order by no) from rowcast.key_audit").await?;
    println!("   a line that was changed holds after an upgrade; the audit has: {audit}");

    release.upgrade("next", &[]).await?;
    replaced(release).await;
    sends(release, None, "acme/1", 201).await;
    release.site.kubectl(&["delete", "secret", SECRET]).await?;
    println!("   and without credentials it is as open as before");
    Ok(())
}

/// Waits until no pod is left that drains: it still asks for credentials as it did before.
async fn replaced(release: &Release) {
    wait_for("the end of the pods from before", seconds(60), || async {
        let instance = format!("--selector=app.kubernetes.io/instance={NAME}");
        let pods = release.site.get(&["pods", &instance]).await.map_err(|error| format!("{error:#}"))?;
        let all = pods["items"].as_array().into_iter().flatten();
        let ending = all.filter(|pod| !pod["metadata"]["deletionTimestamp"].is_null()).count();
        if ending == 0 { Ok(()) } else { Err(format!("{ending} are ending")) }
    })
    .await;
}

/// A key and its line, by the program of the image.
async fn create(release: &Release) -> Result<Value> {
    let pod = format!("deployment/{NAME}-ingest");
    let program = ["exec", &pod, "--", "/usr/local/bin/rowcast"];
    let create = ["keys", "create", "--hash-only", "--name=boiler", "--write=acme/*", "--output=json"];
    let made = release.site.kubectl(&[&program[..], &create].concat()).await?;
    serde_json::from_str(&made).with_context(|| format!("not JSON: {made}"))
}

/// Puts the line into the Secret and upgrades.
async fn import(release: &Release, line: &Value) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": SECRET},
        "stringData": {"keys.jsonl": format!("{line}\n")},
    });
    release.site.apply(&secret).await?;
    let keys = format!("--set=auth.enabled=true,auth.keys.secretName={SECRET}");
    release.upgrade("next", &[&keys]).await?;
    replaced(release).await;
    Ok(())
}

/// The status of a reading's POST.
async fn post(release: &Release, key: Option<&str>, sensor: &str) -> Result<u16> {
    let authorization = key.map(|key| format!("Bearer {key}"));
    let authorization = authorization.iter().map(|value| ("authorization", value.as_str()));
    let headers: Vec<_> = authorization.chain([("content-type", "application/json")]).collect();
    let body = json!({"sensor_id": sensor, "value": 1}).to_string();
    let answer = http::send(release.site.ingress, "POST", "/api/sensors/", &headers, body.as_bytes()).await?;
    Ok(answer.status)
}

/// Waits until a reading's POST has this status.
async fn sends(release: &Release, key: Option<&str>, sensor: &str, status: u16) {
    wait_for(&format!("{status} for {sensor}"), KNOWN_WITHIN, || async {
        match post(release, key, sensor).await {
            Ok(answered) if answered == status => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
