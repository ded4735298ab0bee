//! The release under more load: its speed with the chart's defaults, and how it scales.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Traffic, Writers};
use serde_json::Value;
use testkit::wait_for;
use tokio::{process::Command, time::Instant};

use crate::{
    release::{NAME, Release},
    seconds,
    site::{run, variable},
};

/// Readings a second, each a POST of its own.
const RATE: &str = "2000";

/// WebSocket clients.
const CLIENTS: &str = "1000";

/// From the answer to the POST to the client.
const P99_AT_MOST_MS: f64 = 50.0;

/// `rowcast bench` through the ingress: it keeps a ledger, too.
pub(crate) async fn speed(release: &Release, lasts: Duration) -> Result<()> {
    let rowcast = variable("ROWCAST_CLI")?;
    let (_door, url) = release.site.door().await?;
    let lasts = format!("{}s", lasts.as_secs());
    let args =
        ["--clients", CLIENTS, "--follow", "10", "--sensors", "1000", "--rate", RATE, "--readings", "1"];
    let mut bench = Command::new(rowcast);
    bench.arg("bench").args(args).args(["--duration", &lasts, "--no-processes", "--output", "json"]);
    bench.env("ROWCAST_INGEST_URL", &url).env("ROWCAST_GATEWAY_URL", &url);
    let said = run(&mut bench).await?;
    let report: Value = serde_json::from_str(&said).context("bench prints JSON")?;
    println!("   {report}");
    let p99 = report["latency_ms"]["from_planned"]["p99"].as_f64().context("a p99")?;
    ensure!(p99 <= P99_AT_MOST_MS, "p99 is {p99} ms");
    Ok(())
}

/// Load raises the gateway's replicas, and its end lowers them; no client misses anything as it moves.
pub(crate) async fn scaling(release: &Release) -> Result<()> {
    let autoscaling = [
        "--set=gateway.autoscaling.enabled=true",
        "--set=gateway.autoscaling.minReplicas=1",
        "--set=gateway.autoscaling.maxReplicas=3",
        "--set=gateway.autoscaling.targetCPUUtilizationPercentage=40",
        "--set=gateway.resources.requests.cpu=50m",
    ];
    release.upgrade("previous", &autoscaling).await?;
    replicas(release, "quiet", |replicas| replicas == 1).await;
    let first = release.last_id().await?;
    let ingress = release.site.ingress;
    // little enough for one gateway
    let traffic = Traffic::begin(&[ingress; 3], || Writers::devices(0..1, ingress)).await;
    let began = Instant::now();
    let heavy = Traffic::begin(&[ingress; 60], || Writers::devices(1..5, ingress)).await;
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
    println!("   {} readings at {} clients, none lost, none twice", summary.readings, summary.clients);
    release.upgrade("previous", &[]).await
}

/// Waits until the autoscaler wants so many replicas of the gateway.
async fn replicas(release: &Release, what: &str, enough: impl Fn(u64) -> bool) -> u64 {
    wait_for(&format!("replicas under {what}"), seconds(180), || async {
        let scaler = release.site.get(&["hpa", &format!("{NAME}-ws-gateway")]).await;
        let seen = scaler.map_err(|error| format!("{error:#}"))?["status"].clone();
        let current = seen["currentReplicas"].as_u64().unwrap_or_default();
        if enough(current) { Ok(current) } else { Err(seen.to_string()) }
    })
    .await
}
