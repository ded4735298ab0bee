//! The arguments of `rowcast bench` beside the two addresses: those known from the stack that it measures.

use std::ffi::OsString;

use crate::{ports::Ports, stack};

/// What is known from the stack.
#[derive(Debug)]
pub(super) struct Known {
    database: String,
    ports: Ports,
    pids: Vec<(&'static str, i32)>,
}

impl Known {
    pub(super) fn of(stack: &stack::Stack) -> Self {
        Self { database: stack.database.clone(), ports: stack.ports, pids: stack.pids() }
    }

    /// Adds what this kind of measurement needs and the arguments lack.
    pub(super) fn complete(&self, mut args: Vec<OsString>) -> Vec<OsString> {
        let kind = args.first().and_then(|first| first.to_str()).filter(|first| !first.starts_with('-'));
        let known = match kind {
            Some(kind) => self.of_kind(kind),
            None => self.of_the_whole_path(&args),
        };
        // further processes may be added to those of the whole path
        let adds = |option: &str| kind.is_none() && option == "--pid";
        let missing = known.into_iter().filter(|(option, _)| adds(option) || !has(&args, option));
        for (option, value) in missing.collect::<Vec<_>>() {
            args.push(option.into());
            args.extend(value.map(OsString::from));
        }
        args
    }

    fn of_kind(&self, kind: &str) -> Vec<Argument> {
        let (ports, further) = (self.ports, self.ports.further_gateways().next());
        let pid = self.pids.iter().find(|(name, _)| *name == "ws-gateway");
        let pid = ("--pid", pid.map(|(_, pid)| pid.to_string()));
        match kind {
            "limit" | "writers" => vec![self.database()],
            "idle" | "handshakes" => vec![pid],
            "burst" => vec![pid, ("--listener-admin", Some(url(ports.admin_port + 2)))],
            "replay" => vec![("--gateway-admin", Some(url(ports.admin_port + 1)))],
            "resume" => {
                let other = further.map(|(port, admin)| [("--other", port), ("--other-admin", admin)]);
                let other = other.into_iter().flatten().map(|(option, port)| (option, Some(url(port))));
                other.chain([pid]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Only its own processes are measured: another stack may run on this machine.
    fn of_the_whole_path(&self, args: &[OsString]) -> Vec<Argument> {
        let limit = (has(args, "--with-limit") || has(args, "--keys")).then(|| self.database());
        let pids = self.pids.iter().map(|(name, pid)| ("--pid", Some(format!("{name}={pid}"))));
        let watched = pids.chain([("--no-processes", None)]).filter(|_| !has(args, "--no-processes"));
        limit.into_iter().chain(watched).collect()
    }

    fn database(&self) -> Argument {
        ("--database-url", Some(self.database.clone()))
    }
}

/// An option with its value.
type Argument = (&'static str, Option<String>);

/// Whether an option is among the arguments.
pub(super) fn has(args: &[OsString], option: &str) -> bool {
    let is_option =
        |arg: &str| arg.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    args.iter().filter_map(|arg| arg.to_str()).any(is_option)
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, added: &str) {
        let known = Known {
            database: "db".to_owned(),
            ports: Ports { gateway_port: 80, ingest_port: 81, admin_port: 90, gateways: 2 },
            pids: vec![("ingest", 1), ("ws-gateway", 2), ("ws-gateway", 3)],
        };
        let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
        let all = known.complete(args.clone()).into_iter().skip(args.len()).collect::<Vec<_>>();
        let all: Vec<_> = all.iter().map(|arg| arg.to_string_lossy()).collect();
        assert_eq!(all.join(" "), added, "{args:?}");
    }

    #[test]
    fn the_whole_path_measures_the_processes_of_its_own_stack() {
        let pids = "--pid ingest=1 --pid ws-gateway=2 --pid ws-gateway=3 --no-processes";
        check("", pids);
        check("--max --clients 7", pids);
        check("--max --with-limit", &format!("--database-url db {pids}"));
        check("--no-processes", "");
        check("--pid x=7", pids);
    }

    #[test]
    fn each_kind_gets_what_it_needs() {
        check("limit", "--database-url db");
        check("limit --database-url other", "");
        check("writers --pairs 5", "--database-url db");
        check("idle --clients 10", "--pid 2");
        check("idle --pid=7", "");
        check("handshakes", "--pid 2");
        check("burst", "--pid 2 --listener-admin http://127.0.0.1:92");
        check("replay", "--gateway-admin http://127.0.0.1:91");
        check("resume", "--other http://127.0.0.1:90 --other-admin http://127.0.0.1:93 --pid 2");
    }
}
