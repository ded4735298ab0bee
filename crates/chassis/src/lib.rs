//! What every service is built on: start, configuration, telemetry, listeners and shutdown.
//!
//! A service's `main.rs` is one call of [`main`]. It reads the configuration in layers, starts logs, traces and the admin
//! port, runs the service, and stops it in two stages: softly at the first signal, hard at the second one or when
//! [`DRAIN_LIMIT`] is over. Nothing here depends on what a service does.

mod accept;
mod admin;
mod boot;
mod chain;
mod clock;
mod config;
mod cors;
pub mod duration;
mod faults;
mod life;
mod logs;
mod memory_limit;
mod metrics;
mod observe;
mod origin;
mod outage;
mod prefix;
mod problem;
mod profile;
mod query;
mod readiness;
mod runtime;
mod service;
pub mod spans;
mod telemetry;
pub mod traces;

pub use crate::accept::{
    Client, Handover, Holds, HttpConfig, Permit, Socket, TlsConfig, bind, into_socket, serve, serve_inside,
};
pub use crate::admin::config::AdminConfig;
pub use crate::boot::{DRAIN_LIMIT, main};
pub use crate::chain::chain;
pub use crate::clock::Clock;
pub use crate::config::{KEYS, Settings, from_environment, unlisted_keys};
pub use crate::cors::Cors;
pub use crate::faults::Faults;
pub use crate::life::Life;
pub use crate::logs::{LogConfig, LogFormat};
pub use crate::origin::{BadOrigin, Origins};
pub use crate::outage::Outage;
pub use crate::prefix::Prefix;
pub use crate::problem::Problem;
pub use crate::query::{Query, QueryFault};
pub use crate::readiness::{Condition, Fault, Pace, Readiness};
pub use crate::service::Service;
