//! Real servers for tests and development: private, killable, ended with their owner.

pub mod cost;
#[cfg(feature = "databases")]
pub mod database;
pub mod fuzz;
pub mod haproxy;
pub mod host_clock;
pub mod hostile;
pub mod jaeger;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod redis;
pub mod sentinel;
pub mod server;
pub mod wait;

#[cfg(feature = "databases")]
pub use database::TestDatabase;
pub use haproxy::HaProxy;
pub use host_clock::HostClock;
pub use jaeger::Jaeger;
pub use nginx::Nginx;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use process::Process;
pub use proxy::Proxy;
pub use redis::Redis;
pub use sentinel::Sentinel;
pub use server::Server;
pub use wait::wait_for;
