//! The process that forwards committed readings to the stream.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main("notify-listener", env!("CARGO_PKG_VERSION"), notify_listener::run)
}
