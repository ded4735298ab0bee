//! All of Rowcast as real processes, with connections that can be cut, writers, clients and an exact ledger.

pub mod audit;
pub mod client;
pub mod driver;
pub mod fault;
pub mod hostile_peers;
pub mod http;
pub mod ledger;
pub mod monitor;
pub mod oracle;
pub mod session;
pub mod stack;
pub mod tls;
pub mod tokens;
pub mod traffic;
pub mod trial;
pub mod users;
pub mod writer;

pub use client::Client;
pub use driver::{Browser, Driver};
pub use fault::Fault;
pub use hostile_peers::HostilePeers;
pub use monitor::Monitor;
pub use stack::{Plan, Stack};
pub use traffic::{Summary, Traffic};
pub use trial::Trial;
pub use writer::Writers;
