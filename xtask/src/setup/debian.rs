//! Debian packages.

use std::process::Command;

use anyhow::{Result, bail};
use nix::unistd::geteuid;
use testkit::process::find_program;

use crate::{command::run, terminal::print};

/// Installs packages where it may, otherwise prints what to install.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let apt = find_program("apt-get", &["/usr/bin"]);
    match (apt, geteuid().is_root()) {
        (Some(apt), true) => {
            print(&format!("installing {}", packages.join(" ")));
            let apt = || {
                let mut command = Command::new(&apt);
                command.env("DEBIAN_FRONTEND", "noninteractive");
                command
            };
            run(apt().args(["-qq", "update"]))?;
            run(apt().args(["-qq", "install", "--yes", "--no-install-recommends"]).args(packages))
        }
        (Some(_), false) => bail!("missing; run this first:\n  {}", by_hand(packages)),
        (None, _) => bail!(
            "missing, and this is not Debian: install what its packages {} contain (Postgres 15 or newer, Redis 7 or newer)",
            packages.join(", ")
        ),
    }
}

fn by_hand(packages: &[&str]) -> String {
    format!(
        "sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_run_can_be_pasted() {
        assert_eq!(
            by_hand(&["postgresql", "redis-server"]),
            "sudo apt-get update && sudo apt-get install --yes --no-install-recommends postgresql redis-server"
        );
    }
}
