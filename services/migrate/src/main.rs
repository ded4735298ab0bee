//! The job that owns the schema.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main("migrate", env!("CARGO_PKG_VERSION"), migrate::run)
}
