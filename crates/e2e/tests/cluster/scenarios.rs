//! The release from its installation to its end, without faults.

use anyhow::{Context, Result, ensure};
use e2e::{Browser, Client, http};
use serde_json::json;
use testkit::wait_for;

use crate::{
    lengths::seconds,
    release::{NAME, Release},
    site::Site,
};

/// From `helm install` to every deployment available, with the image on the nodes.
const INSTALLED_WITHIN: std::time::Duration = seconds(60);

/// Into a namespace that admits only restricted pods.
pub(crate) async fn install(site: &Site) -> Result<()> {
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": site.namespace, "labels": labels},
    });
    site.apply(&namespace).await?;
    let (release, took) = Release::install(site, "previous").await?;
    println!("   available {:.1} s after helm install", took.as_secs_f64());
    ensure!(took <= INSTALLED_WITHIN, "not installed within {INSTALLED_WITHIN:?}");
    release.led().await;
    let output = site.helm(&["test", NAME, "--timeout", "60s"]).await?;
    ensure!(output.contains("Succeeded"), "helm test: {output}");
    println!("   helm test passes");
    limits_are_known(&release).await?;
    monitored(site).await
}

/// The services export the memory limit of their pod.
async fn limits_are_known(release: &Release) -> Result<()> {
    for component in ["ingest", "ws-gateway", "notify-listener"] {
        let pod = release.pods(component).await?.into_iter().next().context("a pod")?;
        let spec = release.site.get(&["pod", &pod.name]).await?["spec"]["containers"][0].take();
        let limit = spec["resources"]["limits"]["memory"].as_str().context("a memory limit")?;
        let mebibytes: f64 = limit.strip_suffix("Mi").context("in Mi")?.parse()?;
        let exported = release.metric(&pod, "process_memory_limit_bytes").await?;
        ensure!(exported == mebibytes * f64::from(1 << 20), "{component} exports {exported} for {limit}");
    }
    println!("   each service exports its pod's memory limit");
    Ok(())
}

/// The dashboards are there, and where the cluster knows the operator's resources, its API server has accepted them.
async fn monitored(site: &Site) -> Result<()> {
    let mut wanted = vec![("configmaps", "--selector=grafana_dashboard=1", 6)];
    if site.operator {
        let release = "--selector=app.kubernetes.io/instance=rowcast";
        wanted.extend([("podmonitors", release, 1), ("prometheusrules", release, 1)]);
    }
    for (kind, selector, expected) in wanted {
        let found = site.get(&[kind, selector]).await?;
        let found = found["items"].as_array().map_or(0, Vec::len);
        ensure!(found == expected, "{found} {kind} instead of {expected}");
    }
    println!("   dashboards, and with the operator's resources alerts and scraping, are in place");
    Ok(())
}

/// A device POSTs through the ingress, and a WebSocket through the same ingress gets it.
pub(crate) async fn ingress(release: &Release) -> Result<()> {
    let ingress = release.site.ingress;
    wait_for("the release at the ingress", seconds(30), || async {
        match http::get(ingress, "/api/latest").await {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let client = Client::start(ingress).await;
    for path in ["/api/sensors/", "/api/sensors", "/api/v1/sensors-readings/", "/api/v1/sensors-readings"] {
        let before = client.count();
        let answer = http::post(ingress, path, r#"{"sensor_id":"door","value":1}"#).await?;
        ensure!(answer.status == 201, "{path}: {answer:?}");
        let id = answer.json()["id"].as_i64().context("an id")?;
        wait_for("the reading at the WebSocket", seconds(10), || async {
            let last = client.received(|received| received.log.last().map(|event| event.id));
            if last == Some(id) && client.count() == before + 1 { Ok(()) } else { Err(format!("{last:?}")) }
        })
        .await;
    }
    for path in ["/api/sensors/door", "/api/readings?sensor=door", "/openapi.json", "/"] {
        let answer = http::get(ingress, path).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
    }
    println!("   POSTs on four paths arrived over the WebSocket; history, documents and page are served");
    Ok(())
}

/// The same on the page, in a browser.
pub(crate) async fn page(release: &Release) -> Result<()> {
    let ingress = release.site.ingress;
    let (_proxy, url) = release.site.ingress_proxy().await?;
    let mut browser = Browser::start(&format!("{url}/"));
    browser.call(json!({"cmd": "open"}));
    browser.wait_status("Connected");
    let answer = http::post(ingress, "/api/sensors/", r#"{"sensor_id":"kitchen","value":21.5}"#).await?;
    ensure!(answer.status == 201, "{answer:?}");
    browser.call(json!({"cmd": "wait_value", "sensor": "kitchen", "value": "21.5", "timeout_ms": 10_000}));
    let errors = browser.call(json!({"cmd": "console_errors"}));
    ensure!(errors["errors"] == json!([]), "{errors}");
    if let Ok(folder) = std::env::var("ROWCAST_SCREENSHOTS") {
        browser.call(json!({"cmd": "screenshot", "path": format!("{folder}/cluster.png")}));
    }
    browser.call(json!({"cmd": "quit"}));
    println!("   the page shows the reading");
    Ok(())
}

/// The listener may use its own Lease and no other; the accounts of other components have no rights.
pub(crate) async fn role(release: &Release) -> Result<()> {
    let site = &release.site;
    let lease = format!("{NAME}-notify-listener");
    let account = format!("--as=system:serviceaccount:{}:{lease}", site.namespace);
    let may = async |verb: &str, object: &str, account: &str| -> Result<bool> {
        // kubectl fails if the answer is no
        let answer = site.kubectl(&["auth", "can-i", verb, object, account]).await;
        match answer {
            Ok(answer) => Ok(answer == "yes"),
            Err(error) if format!("{error:#}").lines().any(|line| line == "no") => Ok(false),
            Err(error) => Err(error),
        }
    };
    for verb in ["get", "watch", "create", "update"] {
        ensure!(may(verb, &format!("leases/{lease}"), &account).await?, "it may {verb} its Lease");
        ensure!(!may(verb, "leases/another", &account).await?, "it may not {verb} another Lease");
        ensure!(!may(verb, "leases", &account).await?, "it may not {verb} every Lease");
    }
    for object in ["secrets", "pods", "configmaps", "deployments"] {
        ensure!(!may("get", object, &account).await?, "it may not get {object}");
    }
    for component in ["ingest", "ws-gateway"] {
        let other = format!("--as=system:serviceaccount:{}:{NAME}-{component}", site.namespace);
        ensure!(!may("get", &format!("leases/{lease}"), &other).await?, "{component} may not get the Lease");
    }
    println!("   the Role covers one Lease, and the listener alone has it");
    Ok(())
}

/// Nothing stays but what the notes name: the Lease, the volume of the database, and the Secret with its password.
pub(crate) async fn uninstall(release: &Release) -> Result<()> {
    let site = &release.site;
    let notes =
        site.helm(&["uninstall", NAME, "--wait", "--cascade", "foreground", "--timeout", "120s"]).await?;
    let kinds =
        "all,ingress,secret,configmap,pvc,serviceaccount,role,rolebinding,networkpolicy,pdb,hpa,lease";
    let left = site.kubectl(&["get", kinds, "-o", "name"]).await?;
    let mut left: Vec<&str> = left
        .lines()
        .filter(|name| !matches!(*name, "configmap/kube-root-ca.crt" | "serviceaccount/default"))
        .collect();
    left.sort_unstable();
    println!("   helm prints: {}", notes.replace('\n', " "));
    println!("   left: {}", left.join(", "));
    let expected = [
        format!("lease.coordination.k8s.io/{NAME}-notify-listener"),
        format!("persistentvolumeclaim/data-{NAME}-postgres-0"),
        format!("secret/{NAME}-postgres"),
    ];
    ensure!(left == expected, "other objects are left: {left:?}");
    site.kubectl(&["delete", "namespace", &site.namespace, "--timeout=120s"]).await?;
    Ok(())
}
