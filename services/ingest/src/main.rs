//! The process that devices POST to.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main("ingest", env!("CARGO_PKG_VERSION"), ingest::run)
}
