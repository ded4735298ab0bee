//! The fixed ports, and which process uses them.

use std::{fs, net::TcpListener, path::Path};

use anyhow::{Result, bail};
use clap::Args;

/// Where things listen on the loopback address.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Ports {
    /// The page and the sockets
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub(crate) gateway_port: u16,
    /// POST and GET
    #[arg(long, default_value_t = 8081, value_name = "PORT")]
    pub(crate) ingest_port: u16,
    /// The first of three: metrics and readiness of ingest, gateway and listener; then those of further gateways
    #[arg(long, default_value_t = 9080, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub(crate) admin_port: u16,
    /// How many gateways; the second listens on the gateway's port plus 10, the next on that plus 1
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) gateways: u16,
}

/// How far the second gateway's port is from the first's: between them there is room for ingest.
const FURTHER: u16 = 10;

impl Ports {
    pub(crate) fn ingest(&self) -> String {
        format!("http://127.0.0.1:{}", self.ingest_port)
    }

    pub(crate) fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// The public and the admin port of each gateway behind the first.
    pub(crate) fn further_gateways(&self) -> impl Iterator<Item = (u16, u16)> + use<> {
        let Self { gateway_port, admin_port, gateways, .. } = *self;
        (0..gateways - 1).map(move |n| (gateway_port.saturating_add(FURTHER + n), admin_port + 3 + n))
    }

    /// Fails with all ports that are taken, and their processes.
    pub(crate) fn check_free(&self) -> Result<()> {
        let mut wanted = vec![
            (self.gateway_port, "--gateway-port"),
            (self.ingest_port, "--ingest-port"),
            (self.admin_port, "--admin-port"),
            (self.admin_port + 1, "--admin-port"),
            (self.admin_port + 2, "--admin-port"),
        ];
        for (gateway, admin) in self.further_gateways() {
            wanted.extend([(gateway, "--gateway-port"), (admin, "--admin-port")]);
        }
        check_free(&wanted)
    }
}

/// Fails with all of these that are taken, their processes, and the flags that choose others.
pub(crate) fn check_free(wanted: &[(u16, &str)]) -> Result<()> {
    let taken = wanted.iter().filter(|(port, _)| TcpListener::bind(("127.0.0.1", *port)).is_err());
    let taken: Vec<String> = taken
        .map(|(port, flag)| format!("port {port} is taken by {}; {flag} chooses another", owner(*port)))
        .collect();
    if !taken.is_empty() {
        bail!("{}", taken.join("\n       "));
    }
    Ok(())
}

/// The process that listens on a port, as far as we may see.
fn owner(port: u16) -> String {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets: Vec<String> = tables.iter().flat_map(|table| listening(table, port)).collect();
    let found = processes().find(|pid| holds(pid, &sockets));
    found.map_or_else(
        || "a process of another user".to_owned(),
        |pid| format!("{} (process {pid})", name(&pid)),
    )
}

/// The inodes of the sockets that listen on a port, in the format of `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[1].ends_with(&port) && row[3] == LISTEN)
        .map(|row| row[9].to_owned())
        .collect()
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok().filter(|name| name.parse::<u32>().is_ok()))
}

fn holds(pid: &str, sockets: &[String]) -> bool {
    let files = fs::read_dir(Path::new("/proc").join(pid).join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| {
        let file = file.to_string_lossy();
        let inode = file.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| sockets.iter().any(|socket| socket == inode))
    })
}

fn name(pid: &str) -> String {
    let command = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let short: String = command.trim().chars().take(60).collect();
    if short.is_empty() { "an unnamed process".to_owned() } else { format!("`{short}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
";

    #[test]
    fn only_a_listening_socket_has_the_port() {
        assert_eq!(listening(TABLE, 8080), ["4711"]);
        assert!(listening(TABLE, 8081).is_empty());
    }

    #[test]
    fn a_taken_port_names_the_flag_and_its_process() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let gateway_port = listener.local_addr().unwrap().port();
        let ports = Ports { gateway_port, ingest_port: 0, admin_port: 40_000, gateways: 1 };
        let error = ports.check_free().unwrap_err().to_string();
        let me = format!("(process {}); --gateway-port", std::process::id());
        assert!(error.contains(&me), "{error}");
    }

    #[test]
    fn further_gateways_have_ports_of_their_own_that_must_be_free() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let ports = Ports { gateway_port: 0, ingest_port: 0, admin_port: taken - 4, gateways: 3 };
        assert_eq!(ports.further_gateways().collect::<Vec<_>>(), [(10, taken - 1), (11, taken)]);
        let error = ports.check_free().unwrap_err().to_string();
        assert!(error.contains(&format!("port {taken} is taken")), "{error}");
    }
}
