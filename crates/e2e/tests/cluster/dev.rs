//! `tilt up` for those who change Rowcast, as `tilt ci` runs it.

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::{process::Command, time::Instant};

use crate::site::{Site, checkout, run, variable};

const NAMESPACE: &str = "rowcast-dev";

/// Every resource of the Tiltfile becomes ready, with images that no Docker has built.
pub(crate) async fn tilt(site: &Site) -> Result<()> {
    let site = Site { namespace: NAMESPACE.to_owned(), ..site.clone() };
    site.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})).await?;
    let began = Instant::now();
    let load = variable("ROWCAST_CLUSTER_LOAD")?;
    let mut tilt = Command::new("tilt");
    tilt.current_dir(checkout()).args(["ci", "--port", "0", "--namespace", NAMESPACE, "--"]);
    tilt.args(["--load", &load]);
    let said = run(&mut tilt).await?;
    ensure!(said.contains("SUCCESS"), "tilt ci: {said}");
    println!("   every resource is ready after {:.0} s", began.elapsed().as_secs_f64());
    run(Command::new("tilt").current_dir(checkout()).args([
        "down",
        "--namespace",
        NAMESPACE,
        "--",
        "--load",
        &load,
    ]))
    .await?;
    site.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=120s"]).await?;
    Ok(())
}
