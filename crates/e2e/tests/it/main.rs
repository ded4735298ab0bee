//! Real processes, real faults, an exact ledger.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod client_library;
mod contract;
mod driver;
mod faults;
mod page;
mod services;
mod sockets;
