//! Real processes, real faults, an exact ledger.
#![expect(clippy::unwrap_used, reason = "tests")]

mod faults;
