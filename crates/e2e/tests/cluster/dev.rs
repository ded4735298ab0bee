//! `tilt up` for development, as `tilt ci` runs it.

use anyhow::Result;
use tokio::{process::Command, time::Instant};

use crate::site::{Site, checkout, run, variable};

const NAMESPACE: &str = "rowcast-dev";

/// Every resource of the Tiltfile becomes ready, with images built without Docker, and a reading is delivered.
pub(crate) async fn tilt(site: &Site) -> Result<()> {
    let site = Site { namespace: NAMESPACE.to_owned(), ..site.clone() };
    let context = site.kubectl(&["config", "current-context"]).await?;
    let (load, postgres, redis) = (
        variable("ROWCAST_CLUSTER_LOAD")?,
        format!("postgres.dev.image={}", site.postgres),
        format!("redis.dev.image={}", site.redis),
    );
    let own = [
        "--",
        "--context",
        &context,
        "--namespace",
        NAMESPACE,
        "--load",
        &load,
        "--set",
        &postgres,
        "--set",
        &redis,
        "--forward=false",
    ];
    let began = Instant::now();
    run(Command::new("tilt").current_dir(checkout()).args(["ci", "--port", "0"]).args(own)).await?;
    println!(
        "   every resource is ready after {:.0} s, and the reading of doctor arrived",
        began.elapsed().as_secs_f64()
    );
    run(Command::new("tilt").current_dir(checkout()).arg("down").args(own)).await?;
    site.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=120s"]).await?;
    Ok(())
}
