//! The commands of docs/INSTALL.md, read from there and run in their order, up to a live page.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use e2e::Browser;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{
    lengths::seconds,
    site::{Site, checkout, run, variable},
};

/// The line above each block that is run.
const MARK: &str = "<!-- run by cargo xtask cluster-test -->\n```\n";

/// The namespace of the commands.
const NAMESPACE: &str = "rowcast";

/// What differs in this cluster: how images are loaded into nodes, and the databases' images.
const HERE: &str = r#"set -euo pipefail
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
kind() { sh -c "$ROWCAST_CLUSTER_LOAD '${!#}'"; }
cargo() { command cargo "$@" ${ROWCAST_CLUSTER_IMAGE_OPTIONS:-}; }
helm() {
    if [ "$1" = install ]; then
        set -- "$@" --set "postgres.dev.image=$ROWCAST_CLUSTER_POSTGRES" --set "redis.dev.image=$ROWCAST_CLUSTER_REDIS"
    fi
    command helm "$@"
}
"#;

/// Runs the documented commands, opens the page, and checks that it shows what the next command sends.
pub(crate) async fn documented(site: &Site) -> Result<()> {
    let site = Site { namespace: NAMESPACE.to_owned(), ..site.clone() };
    variable("ROWCAST_CLUSTER_LOAD")?;
    let page = std::fs::read_to_string(checkout().join("docs/INSTALL.md"))?;
    let blocks: Vec<&str> = page.split(MARK).skip(1).filter_map(|rest| rest.split("```\n").next()).collect();
    let [install, post] = blocks[..] else { anyhow::bail!("{} marked blocks, not two", blocks.len()) };
    // the script ends with its input, and the forwarded ports with it
    let script = format!("{HERE}{install}\necho ready\ncat > /dev/null");
    let mut shell = bash(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(shell.stdout.take().context("its output")?).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await? {
            println!("   | {line}");
            if line == "ready" {
                return Ok(true);
            }
        }
        anyhow::Ok(false)
    };
    ensure!(timeout(seconds(1200), ready).await.context("the commands take too long")??, "a command failed");
    let answer = ["--retry", "60", "--retry-delay", "1", "--retry-connrefused", "-fsS", "-o", "/dev/null"];
    run(Command::new("curl").args(answer).arg("http://localhost:8080/")).await?;
    let mut browser = Browser::start("http://localhost:8080/");
    browser.call(json!({"cmd": "open"}));
    browser.wait_status("Connected");
    run(Command::new("curl").args(answer).arg("http://localhost:8081/api/sensors/")).await?;
    println!("   {}", run(&mut bash(&format!("{HERE}{post}"))).await?);
    browser.call(json!({"cmd": "wait_value", "sensor": "kitchen", "value": "21.5", "timeout_ms": 10_000}));
    browser.call(json!({"cmd": "quit"}));
    println!("   the page shows what the command sent");
    drop(shell.stdin.take());
    shell.wait().await?;
    site.helm(&["uninstall", "rowcast", "--wait", "--timeout", "120s"]).await?;
    site.kubectl(&["delete", "namespace", NAMESPACE, "--timeout=120s"]).await?;
    Ok(())
}

fn bash(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(checkout()).kill_on_drop(true);
    command
}
