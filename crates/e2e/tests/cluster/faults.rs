//! Faults in a cluster, under load: nothing is lost or duplicated, and one replica at a time forwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Traffic, Writers, http};
use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::wait_for;
use tokio::time::{Instant, sleep};

use crate::{
    lengths::seconds,
    release::{NAME, Pod, Release},
    site::Hook,
    tick_log::{Term, TickLog},
};

/// Devices that POST, each some 100 readings a second.
const DEVICES: usize = 4;

/// The same while a node is cut off: half of what they send goes to pods there, and waits.
const DEVICES_IN_PARTITION: usize = 16;

/// Clients that follow everything.
const CLIENTS: usize = 4;

/// A takeover, from the last tick of the previous leader. A Lease that is not released expires later.
const TAKEOVER_WITHIN: Duration = seconds(3);

/// The end of a takeover's event if the previous leader had released the Lease.
const RELEASED: &str = "nobody held it";

/// The same if the Lease had expired.
const EXPIRED: &str = "did not renew it in time";

/// A device's retries succeed within this time.
const REFUSED_AT_MOST: Duration = seconds(45);

/// Load through the ingress, and the ticks since its beginning.
struct Run<'a> {
    release: &'a Release,
    what: &'a str,
    first: i64,
    ticks: TickLog,
    traffic: Traffic,
}

impl<'a> Run<'a> {
    async fn begin(release: &'a Release, what: &'a str) -> Result<Self> {
        Self::begin_with(release, what, DEVICES).await
    }

    async fn begin_with(release: &'a Release, what: &'a str, devices: usize) -> Result<Self> {
        release.led().await;
        let first = release.last_id().await?;
        let ticks = TickLog::begin(release).await?;
        let ingress = release.site.ingress;
        let traffic = Traffic::begin(&[ingress; CLIENTS], || Writers::devices(0..devices, ingress)).await;
        Ok(Self { release, what, first, ticks, traffic })
    }

    /// Waits until readings arrive again, then checks the ledger and the ticks.
    async fn end(self) -> Result<Vec<Term>> {
        let Self { release, what, first, ticks, traffic } = self;
        traffic.progress(&format!("readings after {what}")).await;
        let written = traffic.stop().await;
        let refused = written.longest_refusal;
        ensure!(refused < REFUSED_AT_MOST, "a device had to retry for {refused:?}");
        let summary = written.check(&release.committed_after(first).await?).await?;
        let terms = ticks.terms(release).await?;
        println!(
            "   {what}: {} readings at {} clients, none lost, none duplicated, in order; longest refusal {:.1} s",
            summary.readings,
            summary.clients,
            refused.as_secs_f64()
        );
        for term in &terms {
            println!(
                "   {}: {} ticks, the first after {:.2} s, longest pause {:.2} s",
                term.signature,
                term.ticks,
                term.gap.as_secs_f64(),
                term.pause.as_secs_f64()
            );
        }
        Ok(terms)
    }
}

/// The takeover after a fault: the text of its event on the pod that leads now.
async fn takeover(release: &Release, terms: &[Term]) -> Result<String> {
    let taken = terms.get(1).context("another leader has forwarded")?;
    ensure!(taken.gap <= TAKEOVER_WITHIN, "the takeover took {:?}, not {TAKEOVER_WITHIN:?}", taken.gap);
    let event = wait_for("the event of the takeover", seconds(30), || async {
        let events = ["events", "--field-selector=reason=TookLease"];
        let events = release.site.get(&events).await.map_err(|error| format!("{error:#}"))?;
        let of_term = format!("term {}:", taken.term);
        let note = |event: &Value| event["message"].as_str().is_some_and(|note| note.contains(&of_term));
        events["items"].as_array().into_iter().flatten().find(|event| note(event)).cloned().ok_or(events)
    })
    .await;
    let pod = event["involvedObject"]["name"].as_str().context("an event has a pod")?;
    ensure!(taken.signature.starts_with(pod), "{} forwards, and {pod} has the event", taken.signature);
    Ok(event["message"].as_str().unwrap_or_default().to_owned())
}

/// After SIGTERM the standby waits neither for the Lease to expire nor for the lag rule.
async fn check_handover(release: &Release, terms: &[Term]) -> Result<()> {
    let event = takeover(release, terms).await?;
    ensure!(event.ends_with(RELEASED), "{event}");
    Ok(())
}

/// After a crash the others detect that nobody forwards before the Lease expires, or the pod restarts at once.
async fn check_crash(release: &Release, terms: &[Term]) -> Result<()> {
    let event = takeover(release, terms).await?;
    ensure!(!event.ends_with(RELEASED) && !event.ends_with(EXPIRED), "{event}");
    Ok(())
}

pub(crate) async fn leader_deleted(release: &Release) -> Result<()> {
    let run = Run::begin(release, "the leader's pod deleted").await?;
    let (leader, _) = release.leader().await?;
    release.site.kubectl(&["delete", "pod", &leader.name, "--wait=false"]).await?;
    release.ready("notify-listener", 2).await;
    check_handover(release, &run.end().await?).await
}

pub(crate) async fn leader_killed(release: &Release) -> Result<()> {
    let leader = release.settled().await;
    let run = Run::begin(release, "the leader killed").await?;
    Release::signal(&leader, Signal::SIGKILL)?;
    release.ready("notify-listener", 2).await;
    check_crash(release, &run.end().await?).await
}

/// A leader that is stopped for longer than its Lease, and continues as if it still led.
pub(crate) async fn leader_frozen(release: &Release) -> Result<()> {
    let leader = release.settled().await;
    let run = Run::begin(release, "the leader frozen for 8 s").await?;
    Release::signal(&leader, Signal::SIGSTOP)?;
    sleep(seconds(8)).await;
    Release::signal(&leader, Signal::SIGCONT)?;
    check_crash(release, &run.end().await?).await?;
    ensure!(
        release.metric(&leader, "rowcast_lease_is_leader").await? == 0.0,
        "the frozen leader does not lead any more"
    );
    Ok(())
}

pub(crate) async fn node_cut(release: &Release, lasts: Duration) -> Result<()> {
    let what = format!("the leader's node cut off for {} s", lasts.as_secs());
    release.lead_from(&release.site.away).await?;
    let leader = release.settled().await;
    let before = Late::of(release, &leader).await?;
    let run = Run::begin_with(release, &what, DEVICES_IN_PARTITION).await?;
    // the answers that it waited for arrive before the cut, so that its next step is sent to a cut network
    Release::signal(&leader, Signal::SIGSTOP)?;
    sleep(Duration::from_millis(100)).await;
    let cut = time_of_day();
    let hook = release.site.hook(Hook::Cut).await;
    Release::signal(&leader, Signal::SIGCONT)?;
    hook?;
    sleep(lasts).await;
    release.site.hook(Hook::Heal).await?;
    check_crash(release, &run.end().await?).await?;
    let ended = leadership_ended(release, &leader).await?;
    println!("   the leader that was cut off stopped {:.1} s after the cut", ended - cut);
    ensure!(ended - cut <= 4.0, "it leads until its deadline, not longer");
    // its last step was in transit when it stopped, and arrives when the network is restored; an append is given up
    // before the leadership ends, a tick is not
    let late = wait_for("the late step to be fenced or given up", seconds(90), || async {
        match Late::of(release, &leader).await {
            Ok(now) if now.fenced > before.fenced || now.given_up > before.given_up => Ok(now),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    println!("   its late steps: {before:?} -> {late:?}");
    release.available().await
}

/// How many of a leader's steps were fenced or given up.
#[derive(Debug, Clone, Copy)]
struct Late {
    fenced: f64,
    given_up: f64,
}

impl Late {
    async fn of(release: &Release, leader: &Pod) -> Result<Self> {
        let fenced = release.metric(leader, "rowcast_listener_fenced_total").await?;
        let given_up = release.metric(leader, "rowcast_listener_losses_total").await?;
        Ok(Self { fenced, given_up })
    }
}

/// When a leader's log says that it stopped leading, in seconds since 1970.
async fn leadership_ended(release: &Release, leader: &Pod) -> Result<f64> {
    let log = release.site.kubectl(&["logs", &leader.name, "--timestamps"]).await?;
    let line = log.lines().rfind(|line| line.contains("leadership lost")).context("no line in its log")?;
    let stamp = line.split(' ').next().unwrap_or_default();
    let seconds = std::process::Command::new("date").args(["-d", stamp, "+%s.%N"]).output()?;
    Ok(String::from_utf8_lossy(&seconds.stdout).trim().parse()?)
}

fn time_of_day() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("the clock is past 1970").as_secs_f64()
}

/// Without the API nobody can be elected; the last leader continues when it detects that nobody forwards.
pub(crate) async fn api_stopped(release: &Release, lasts: Duration) -> Result<()> {
    let what = format!("the API server stopped for {} s", lasts.as_secs());
    let run = Run::begin(release, &what).await?;
    let began = Instant::now();
    release.site.hook(Hook::PauseApi).await?;
    sleep(seconds(12)).await;
    run.traffic.progress("readings while the API server is stopped").await;
    println!("   readings arrive {:.0} s after the API server stopped", began.elapsed().as_secs_f64());
    let arrived = began.elapsed() < lasts.max(seconds(20));
    sleep(lasts.saturating_sub(began.elapsed())).await;
    release.site.hook(Hook::ResumeApi).await?;
    release.api_answers().await;
    ensure!(arrived, "no readings while the API server is stopped");
    let (_, term) = release.led().await;
    let terms = run.end().await?;
    println!("   the Lease is at term {term}");
    let short = |term: &Term| term.gap < seconds(10) && term.pause < seconds(10);
    ensure!(terms.iter().all(short), "an interruption of 10 s or more");
    // after a long outage nodes are not ready for a moment, and Services, also the cluster's DNS, have no endpoints
    let site = &release.site;
    site.kubectl(&["wait", "nodes", "--all", "--for=condition=Ready", "--timeout=60s"]).await?;
    for namespace in ["kube-system", &site.namespace] {
        let namespace = format!("--namespace={namespace}");
        let available =
            ["wait", "deployments", "--all", "--for=condition=Available", "--timeout=60s", &namespace];
        site.kubectl(&available).await?;
    }
    Ok(())
}

pub(crate) async fn pod_deleted(release: &Release, component: &str) -> Result<()> {
    let what = format!("a pod of {component} deleted");
    let run = Run::begin(release, &what).await?;
    let pods = release.pods(component).await?;
    let pod = pods.first().with_context(|| format!("there is a pod of {component}"))?;
    release.site.kubectl(&["delete", "pod", &pod.name, "--wait=false"]).await?;
    wait_for("its successor", seconds(120), || async {
        let now = release.pods(component).await.map_err(|error| format!("{error:#}"))?;
        let new =
            now.iter().any(|own| !pods.iter().any(|before| before.uid == own.uid) && !own.address.is_empty());
        if new { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    run.end().await?;
    release.available().await
}

pub(crate) async fn node_drained(release: &Release) -> Result<()> {
    let leader = release.lead_from(&release.site.away).await?;
    let run = Run::begin(release, "the leader's node drained").await?;
    let site = &release.site;
    let drain = ["drain", &site.away, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=150s"];
    site.kubectl(&drain).await?;
    let left = release.pods("notify-listener").await?;
    ensure!(left.iter().all(|pod| pod.node == site.home && pod.name != leader.name), "{left:?}");
    release.available().await?;
    site.kubectl(&["uncordon", &site.away]).await?;
    check_handover(release, &run.end().await?).await
}

/// To the next image, and back.
pub(crate) async fn upgrade(release: &Release) -> Result<()> {
    let password = release.site.get(&["secret", &format!("{NAME}-postgres")]).await?["data"].clone();
    let run = Run::begin(release, "upgraded to the next image").await?;
    release.upgrade("next", &[]).await?;
    run.end().await?;
    let now = release.site.get(&["secret", &format!("{NAME}-postgres")]).await?["data"].clone();
    ensure!(password == now, "the password has changed");
    let images = release.site.get(&["deployments"]).await?.to_string();
    ensure!(
        images.contains(":next") && !images.contains(":previous"),
        "a deployment does not have the next image"
    );
    let run = Run::begin(release, "rolled back").await?;
    release.site.helm(&["rollback", NAME]).await?;
    release.available().await?;
    run.end().await?;
    Ok(())
}

/// Another database behind the same Secret, and an upgrade without changes.
pub(crate) async fn new_database(release: &Release) -> Result<()> {
    let job = release.site.kubectl(&["get", "jobs", "-o", "name"]).await?;
    let pod = format!("{NAME}-postgres-0");
    let psql = ["exec", &pod, "--", "psql", "-h", "/tmp", "-U", "rowcast", "-d", "postgres", "-q"];
    let create = ["-c", "drop database rowcast with (force)", "-c", "create database rowcast"];
    release.site.kubectl(&[&psql[..], &create].concat()).await?;
    release.upgrade("previous", &[]).await?;
    wait_for("the schema", seconds(60), || async {
        release.last_id().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    let next = release.site.kubectl(&["get", "jobs", "-o", "name"]).await?;
    ensure!(job != next, "the migration did not run again: {next}");
    release.available().await?;
    // with the first reading the gateways detect the new history
    stored(release).await;
    let client = Client::start(release.site.ingress).await;
    let id = stored(release).await;
    wait_for("the reading at the WebSocket", seconds(10), || async {
        let last = client.received(|received| received.log.last().map(|event| event.id));
        if last == Some(id) { Ok(()) } else { Err(format!("{last:?}")) }
    })
    .await;
    println!("   it was migrated, and a reading arrived over a WebSocket");
    Ok(())
}

/// A reading's id as soon as one is accepted: only a POST detects that a connection to the database has ended.
async fn stored(release: &Release) -> i64 {
    wait_for("a reading stored in it", seconds(60), || async {
        match http::post(release.site.ingress, "/api/sensors/", r#"{"sensor_id":"new","value":1}"#).await {
            Ok(answer) if answer.status == 201 => {
                answer.json()["id"].as_i64().ok_or_else(|| "no id".to_owned())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await
}
