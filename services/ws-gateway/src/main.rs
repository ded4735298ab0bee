//! The process that browsers connect to.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    chassis::main("ws-gateway", env!("CARGO_PKG_VERSION"), ws_gateway::run)
}
