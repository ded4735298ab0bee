//! The process that browsers connect to.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main("ws-gateway", env!("CARGO_PKG_VERSION"), ws_gateway::run)
}
