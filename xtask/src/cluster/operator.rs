//! The resources of the Prometheus operator, without the operator: the API server checks what the chart creates.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::process::find_program;

use super::provider::Cluster;
use crate::{command::answer, terminal::print};

/// The module that has their definitions.
const MODULE: &str = "github.com/prometheus-operator/prometheus-operator@v0.85.0";

/// Those that the chart creates.
const KINDS: [&str; 2] = ["podmonitors", "prometheusrules"];

/// Set where the cluster knows them.
const KNOWN: &str = "ROWCAST_CLUSTER_OPERATOR";

/// Defines them on the cluster, if there is Go to fetch the definitions with.
pub(super) fn define(cluster: &mut Cluster) -> Result<()> {
    let Some(go) = find_program("go", &["/usr/local/go/bin"]) else {
        print("without Go: the operator's resources are left out");
        return Ok(());
    };
    let folder = fetch(&go)?.join("example/prometheus-operator-crd");
    for kind in KINDS {
        let file = folder.join(format!("monitoring.coreos.com_{kind}.yaml"));
        cluster.kubectl(&["apply", "--server-side", "--filename", &file.display().to_string()])?;
    }
    let names = KINDS.map(|kind| format!("crd/{kind}.monitoring.coreos.com"));
    let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
    cluster.kubectl(&[&wait[..], &names.each_ref().map(String::as_str)].concat())?;
    cluster.set(KNOWN, "1");
    Ok(())
}

/// The folder of the module.
fn fetch(go: &Path) -> Result<PathBuf> {
    let module = answer(go, &["mod", "download", "-json", MODULE]);
    let module = module.with_context(|| format!("{MODULE} cannot be fetched"))?;
    let module: Value = serde_json::from_str(&module).context("the answer of Go is not JSON")?;
    Ok(module["Dir"].as_str().context("the module has no folder")?.into())
}
