//! The release under more load: its speed with the chart's defaults, and how it scales.

use anyhow::{Context, Result, ensure};
use e2e::{Traffic, Writers};
use serde_json::{Value, json};
use testkit::wait_for;
use tokio::time::Instant;

use crate::{
    lengths::{Lengths, seconds},
    release::{NAME, Release},
};

/// Readings a second, each a POST of its own.
const RATE: &str = "2000";

/// WebSocket clients.
const CLIENTS: &str = "1000";

/// From the planned time of the POST to the client.
const P99_AT_MOST_MS: f64 = 50.0;

/// `rowcast bench` in a pod of its own, which uses the Services: an ingress controller that opens a connection for each
/// POST runs out of ports at a quarter of this rate. It checks a ledger, too.
pub(crate) async fn speed(release: &Release, lengths: Lengths) -> Result<()> {
    let site = &release.site;
    let _ = site.kubectl(&["delete", "pod", "bench", "--ignore-not-found"]).await?;
    let lasts = format!("{}s", lengths.speed.as_secs());
    let args =
        ["--clients", CLIENTS, "--follow", "10", "--sensors", "1000", "--rate", RATE, "--readings", "1"];
    let args: Vec<&str> = ["bench"]
        .into_iter()
        .chain(args)
        .chain(["--duration", &lasts, "--no-processes", "--output", "json"])
        .collect();
    let url = |component: &str| format!("http://{NAME}-{component}:8080");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bench"},
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false, "enableServiceLinks": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "bench", "image": format!("{}:previous", site.image), "args": args,
                "env": [
                    {"name": "ROWCAST_INGEST_URL", "value": url("ingest")},
                    {"name": "ROWCAST_GATEWAY_URL", "value": url("ws-gateway")},
                ],
                // without a CPU request, the driver would wait for the processes that it measures
                "resources": {"requests": {"cpu": "500m", "memory": "128Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    });
    site.apply(&pod).await?;
    // one program that waits: polling would take a third of a core from what is measured
    let ended = ["wait", "pod/bench", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s"];
    let ended = site.kubectl(&ended).await;
    let output = site.kubectl(&["logs", "bench"]).await?;
    ended.with_context(|| format!("bench: {output}"))?;
    let report: Value = serde_json::from_str(&output).context("the output of bench is not JSON")?;
    let latency = &report["latency_ms"];
    println!(
        "   {} POST/s, {} deliveries/s to {CLIENTS} clients",
        report["readings_per_s"], report["deliveries_per_s"]
    );
    for (what, of) in [
        ("planned POST to client", "from_planned"),
        ("201 to client", "from_201"),
        ("POST to 201", "post"),
        ("driver late", "lateness"),
    ] {
        let times = &latency[of];
        println!("   {what}: p50 {} ms, p99 {} ms, max {} ms", times["p50"], times["p99"], times["max"]);
    }
    let latency = &latency["from_planned"];
    let p99 = latency["p99"].as_f64().context("a p99")?;
    // a short run beside other work only shows whether everything arrived; its times are printed
    ensure!(!lengths.full || p99 <= P99_AT_MOST_MS, "p99 is {p99} ms");
    site.kubectl(&["delete", "pod", "bench"]).await?;
    Ok(())
}

/// Load raises the gateway's replicas, and its end lowers them; no client misses anything when it is moved.
pub(crate) async fn scaling(release: &Release) -> Result<()> {
    let autoscaling = [
        "--set=gateway.autoscaling.enabled=true",
        "--set=gateway.autoscaling.minReplicas=1",
        "--set=gateway.autoscaling.maxReplicas=3",
        // 48 millicores a pod: every gateway follows everything, some 20 millicores under the small load
        "--set=gateway.autoscaling.targetCPUUtilizationPercentage=80",
        "--set=gateway.resources.requests.cpu=60m",
    ];
    release.upgrade("previous", &autoscaling).await?;
    replicas(release, "no load", |replicas| replicas == 1).await;
    let first = release.last_id().await?;
    let ingress = release.site.ingress;
    // a small load for one gateway
    let traffic = Traffic::begin(&[ingress; 3], || Writers::devices(0..1, ingress)).await;
    let began = Instant::now();
    let heavy = Traffic::begin(&[ingress; 150], || Writers::devices(1..5, ingress)).await;
    let more = replicas(release, "load", |replicas| replicas > 1).await;
    println!("   {more} replicas after {:.0} s of load", began.elapsed().as_secs_f64());
    release.available().await?;
    traffic.progress("readings with more gateways").await;
    drop(heavy.stop().await);
    let most = replicas(release, "load", |replicas| replicas > 1).await;
    let began = Instant::now();
    replicas(release, "no load", |replicas| replicas < most).await;
    println!("   fewer again {:.0} s after the load's end", began.elapsed().as_secs_f64());
    traffic.progress("readings with fewer gateways").await;
    let summary = traffic.stop().await.check(&release.committed_after(first).await?).await?;
    println!("   {} readings at {} clients, none lost, none duplicated", summary.readings, summary.clients);
    release.upgrade("previous", &[]).await
}

/// Waits until the autoscaler has set so many replicas of the gateway.
async fn replicas(release: &Release, what: &str, enough: impl Fn(u64) -> bool) -> u64 {
    wait_for(&format!("replicas under {what}"), seconds(180), || async {
        let scaler = release.site.get(&["hpa", &format!("{NAME}-ws-gateway")]).await;
        let seen = scaler.map_err(|error| format!("{error:#}"))?["status"].clone();
        let current = seen["currentReplicas"].as_u64().unwrap_or_default();
        if enough(current) { Ok(current) } else { Err(seen.to_string()) }
    })
    .await
}
