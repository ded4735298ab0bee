//! A release of the chart, installed with the chart's databases.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;
use testkit::wait_for;
use tokio::time::{Instant, sleep};

use crate::site::{Site, checkout};

/// The release's name, and so the beginning of its objects' names.
pub(crate) const NAME: &str = "rowcast";

/// How long anything may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// The Lease's duration, as the chart has it.
const LEASE_DURATION: Duration = Duration::from_secs(5);

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) address: String,
}

/// The installed release.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) site: Site,
}

impl Release {
    /// The arguments of `helm install` and `upgrade` for an image's tag.
    pub(crate) fn values(site: &Site, tag: &str) -> Vec<String> {
        let file = checkout().join("crates/e2e/tests/cluster/values.yaml").display().to_string();
        let operator = site.operator;
        vec![
            NAME.to_owned(),
            checkout().join("charts/rowcast").display().to_string(),
            format!("--values={file}"),
            format!("--set=image.repository={}", site.image),
            format!("--set=image.tag={tag}"),
            format!("--set=postgres.dev.image={}", site.postgres),
            format!("--set=redis.dev.image={}", site.redis),
            format!("--set=postgres.dev.nodeSelector.kubernetes\\.io/hostname={}", site.home),
            format!("--set=redis.dev.nodeSelector.kubernetes\\.io/hostname={}", site.home),
            format!("--set=podMonitor.enabled={operator},prometheusRule.enabled={operator}"),
        ]
    }

    /// Installs it and waits until every deployment is available; how long that took.
    pub(crate) async fn install(site: &Site, tag: &str) -> Result<(Self, Duration)> {
        let began = Instant::now();
        let values = Self::values(site, tag);
        let mut args = vec!["install"];
        args.extend(values.iter().map(String::as_str));
        site.helm(&args).await?;
        let release = Self { site: site.clone() };
        release.available().await?;
        Ok((release, began.elapsed()))
    }

    /// Upgrades it to another tag, with further values.
    pub(crate) async fn upgrade(&self, tag: &str, further: &[&str]) -> Result<()> {
        let values = Self::values(&self.site, tag);
        let mut args = vec!["upgrade"];
        args.extend(values.iter().map(String::as_str));
        args.extend(further);
        self.site.helm(&args).await?;
        self.available().await
    }

    /// Waits until every deployment is rolled out.
    pub(crate) async fn available(&self) -> Result<()> {
        for name in ["ingest", "ws-gateway", "notify-listener"] {
            let what = format!("deployment/{NAME}-{name}");
            self.site.kubectl(&["rollout", "status", &what, "--timeout=180s"]).await?;
        }
        Ok(())
    }

    /// The pods of a component that are not terminating.
    pub(crate) async fn pods(&self, component: &str) -> Result<Vec<Pod>> {
        let selector =
            format!("--selector=app.kubernetes.io/instance={NAME},app.kubernetes.io/component={component}");
        let list = self.site.get(&["pods", &selector]).await?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(items
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| Pod {
                name: text(&pod["metadata"]["name"]),
                uid: text(&pod["metadata"]["uid"]),
                node: text(&pod["spec"]["nodeName"]),
                address: text(&pod["status"]["podIP"]),
            })
            .collect())
    }

    /// Waits until so many pods of a component are ready.
    pub(crate) async fn ready(&self, component: &str, pods: usize) {
        wait_for(&format!("{pods} ready of {component}"), READY_WITHIN, || async {
            let deployment = format!("deployment/{NAME}-{component}");
            let seen = self.site.get(&[&deployment]).await.map_err(|error| format!("{error:#}"))?;
            let ready = seen["status"]["readyReplicas"].as_u64().unwrap_or_default();
            if ready == pods as u64 { Ok(()) } else { Err(format!("{ready} are ready")) }
        })
        .await;
    }

    /// The pod that holds the Lease, and the Lease's transitions.
    pub(crate) async fn leader(&self) -> Result<(Pod, u64)> {
        let lease = self.site.get(&["lease", &format!("{NAME}-notify-listener")]).await?;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let pod = holder.split('/').next().unwrap_or_default();
        let pods = self.pods("notify-listener").await?;
        let pod = pods
            .into_iter()
            .find(|own| own.name == pod)
            .with_context(|| format!("no pod for the holder {holder:?}"))?;
        Ok((pod, lease["spec"]["leaseTransitions"].as_u64().unwrap_or_default()))
    }

    /// Waits until an existing pod leads.
    pub(crate) async fn led(&self) -> (Pod, u64) {
        wait_for("a leader", READY_WITHIN, || async {
            self.leader().await.map_err(|error| format!("{error:#}"))
        })
        .await
    }

    /// Waits until a leader has led for the Lease's duration: only then it may be replaced early.
    pub(crate) async fn settled(&self) -> Pod {
        let (mut pod, mut term) = self.led().await;
        let mut since = Instant::now();
        while since.elapsed() <= LEASE_DURATION {
            sleep(Duration::from_millis(250)).await;
            let now = self.led().await;
            if now.1 != term {
                since = Instant::now();
            }
            (pod, term) = now;
        }
        pod
    }

    /// Deletes leaders until one is on this node.
    pub(crate) async fn lead_from(&self, node: &str) -> Result<Pod> {
        for _ in 0..20 {
            let (leader, term) = self.led().await;
            if leader.node == node {
                return Ok(leader);
            }
            self.site.kubectl(&["delete", "pod", &leader.name, "--wait=false"]).await?;
            self.ready("notify-listener", 2).await;
            wait_for("another term", READY_WITHIN, || async {
                match self.leader().await {
                    Ok((_, now)) if now > term => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
        }
        anyhow::bail!("no listener on {node} leads")
    }

    /// Sends a signal to a pod's process. Its node must be on this machine.
    pub(crate) fn signal(pod: &Pod, signal: Signal) -> Result<()> {
        let pid = process_of(pod)?;
        nix::sys::signal::kill(pid, signal).with_context(|| format!("{signal} to {}", pod.name))
    }

    /// What psql prints, in the database's own pod.
    pub(crate) async fn psql(&self, sql: &str) -> Result<String> {
        let pod = format!("{NAME}-postgres-0");
        let psql =
            ["exec", &pod, "--", "psql", "-h", "/tmp", "-U", "rowcast", "-d", "rowcast", "-qAtX", "-c", sql];
        self.site.kubectl(&psql).await
    }

    /// What redis-cli prints as JSON, in its own pod.
    pub(crate) async fn redis(&self, command: &[&str]) -> Result<Value> {
        let pods = self.pods("redis").await?;
        let pod = pods.first().context("no pod of Redis")?;
        let cli = ["exec", &pod.name, "--", "sh", "-c"];
        let words: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
        let line = format!(
            "redis-cli ${{REDIS_PASSWORD:+--no-auth-warning -a \"$REDIS_PASSWORD\"}} --json {}",
            words.join(" ")
        );
        let text = self.site.kubectl(&[&cli[..], &[&line]].concat()).await?;
        serde_json::from_str(&text)
            .with_context(|| format!("the output of redis-cli is not JSON: {text:.200}"))
    }

    /// A metric of a pod, added up over its labels.
    pub(crate) async fn metric(&self, pod: &Pod, name: &str) -> Result<f64> {
        let path = format!("/api/v1/namespaces/{}/pods/{}:9090/proxy/metrics", self.site.namespace, pod.name);
        let text = self.site.kubectl(&["get", "--raw", &path]).await?;
        let values: Vec<f64> = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        ensure!(!values.is_empty(), "{} has no metric {name}", pod.name);
        Ok(values.iter().sum())
    }

    /// The last reading.
    pub(crate) async fn last_id(&self) -> Result<i64> {
        Ok(self.psql("select coalesce(max(id), 0) from sensor_readings").await?.parse()?)
    }

    /// The readings after an id.
    pub(crate) async fn committed_after(&self, id: i64) -> Result<BTreeSet<i64>> {
        let ids = self.psql(&format!("select id from sensor_readings where id > {id}")).await?;
        Ok(ids.lines().filter_map(|id| id.parse().ok()).collect())
    }

    /// Waits until the API server answers again.
    pub(crate) async fn api_answers(&self) {
        while self.site.kubectl(&["get", "--raw", "/readyz"]).await.is_err() {
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The service's process: the one in the pod's control group that is not its sandbox.
fn process_of(pod: &Pod) -> Result<Pid> {
    let (plain, slice) = (pod.uid.clone(), pod.uid.replace('-', "_"));
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        let groups = std::fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        if !(groups.contains(&plain) || groups.contains(&slice)) {
            continue;
        }
        let program = std::fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        if program.split('\0').next().is_some_and(|program| program.starts_with("/usr/local/bin/")) {
            return Ok(Pid::from_raw(pid));
        }
    }
    anyhow::bail!("no process of {} runs on this machine", pod.name)
}
