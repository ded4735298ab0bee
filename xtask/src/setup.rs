//! Programs that a machine with only Rust lacks.

mod debian;
mod go;
mod jaeger;
pub(crate) mod node;
mod telegraf;

use std::path::{Path, PathBuf};

use anyhow::Result;
use testkit::process::find_program;

use self::node::Node;
use crate::{command::answer, workspace::Workspace};

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// What a command uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// A private Postgres.
    pub(crate) postgres: bool,
    /// A private pooler before it.
    pub(crate) pooler: bool,
    /// A private Redis.
    pub(crate) redis: bool,
    /// Node, to build the page.
    pub(crate) page: bool,
    /// Chromium, to test the page.
    pub(crate) browser: bool,
    /// Stock clients, proxies, and clocks that are wrong, for tests.
    pub(crate) clients: bool,
    /// Prometheus with promtool.
    pub(crate) prometheus: bool,
    /// Jaeger, to look traces up.
    pub(crate) jaeger: bool,
    /// Telegraf's outputs, to write as it does.
    pub(crate) telegraf: bool,
}

impl Needs {
    pub(crate) const EVERYTHING: Self = Self {
        postgres: true,
        pooler: true,
        redis: true,
        page: true,
        browser: true,
        clients: true,
        prometheus: true,
        jaeger: true,
        telegraf: true,
    };
    pub(crate) const NOTHING: Self = Self {
        postgres: false,
        pooler: false,
        redis: false,
        page: false,
        browser: false,
        clients: false,
        prometheus: false,
        jaeger: false,
        telegraf: false,
    };
}

/// The needed tools.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) node: Option<Node>,
    pub(crate) browser: Option<PathBuf>,
    pub(crate) jaeger: Option<PathBuf>,
    pub(crate) telegraf: Option<PathBuf>,
}

/// Finds what is needed, and installs what is missing if it may.
pub(crate) fn set_up(workspace: &Workspace, needs: Needs) -> Result<Tools> {
    let node = if needs.page { Node::find(workspace)? } else { None };
    let mut missing = Vec::new();
    for (needed, is_installed, package) in [
        (needs.postgres, testkit::Postgres::is_installed(), "postgresql"),
        (needs.pooler, testkit::PgBouncer::is_installed(), "pgbouncer"),
        (needs.redis, testkit::Redis::is_installed(), "redis-server"),
        (needs.browser, browser().is_some(), "chromium"),
        (needs.page && node.is_none(), node::has_pip(), "python3-pip"),
        (needs.clients, find_program("curl", &["/usr/bin"]).is_some(), "curl"),
        (needs.clients, has_websockets(), "python3-websockets"),
        (needs.clients, testkit::Nginx::is_installed(), "nginx-light"),
        (needs.clients, testkit::HaProxy::is_installed(), "haproxy"),
        (needs.clients, testkit::HostClock::is_installed(), "libfaketime"),
        (needs.prometheus, testkit::prometheus::is_installed(), "prometheus"),
    ] {
        if needed && !is_installed {
            missing.push(package);
        }
    }
    if !missing.is_empty() {
        debian::install(&missing)?;
    }
    let node = match node {
        None if needs.page => Some(Node::install(workspace)?),
        found => found,
    };
    let jaeger = if needs.jaeger { Some(jaeger::program(workspace)?) } else { None };
    let telegraf = if needs.telegraf { Some(telegraf::program(workspace)?) } else { None };
    Ok(Tools { node, browser: browser().filter(|_| needs.browser), jaeger, telegraf })
}

/// Whether the system's Python, not another on the PATH, has the module.
fn has_websockets() -> bool {
    answer(Path::new("/usr/bin/python3"), &["-c", "import websockets; print(1)"]).is_some()
}

fn browser() -> Option<PathBuf> {
    BROWSERS.iter().find_map(|name| find_program(name, &["/usr/bin"]))
}
