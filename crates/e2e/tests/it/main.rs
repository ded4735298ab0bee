//! Real processes, real faults, an exact ledger.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bad_input;
mod client_library;
mod contract;
mod doctor;
mod documents;
mod doors;
mod drain;
mod faults;
mod history;
mod hosts;
mod large;
mod limits;
mod modes;
mod neighbours;
mod oracle;
mod outages;
mod page;
mod poolers;
mod pulls;
mod resumes;
mod services;
mod sockets;
mod stock_clients;
mod streams;
