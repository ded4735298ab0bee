//! Real processes, real faults, an exact ledger.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod contract;
mod faults;
mod page;
mod services;
mod sockets;
