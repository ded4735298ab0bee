//! Real processes, real faults, an exact ledger.
#![expect(clippy::unwrap_used, reason = "tests")]

mod alerts;
mod audit;
mod bad_input;
mod client_library;
mod configuration;
mod contract;
mod doctor;
mod documents;
mod drain;
mod faults;
mod history;
mod hosts;
mod idle;
mod interfaces;
mod large;
mod limits;
mod logs;
mod managed;
mod metrics;
mod modes;
mod monitoring;
mod neighbours;
mod oracle;
mod outages;
mod page;
mod poolers;
mod prefix;
mod pulls;
mod restores;
mod resumes;
mod services;
mod sockets;
mod stock_clients;
mod streams;
mod traces;
