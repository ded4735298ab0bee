//! Hostile peers at every port: the memory, waits and work that they cause are bounded, and others are served. Each test
//! measures processes, so they run one at a time.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod crowd;
mod handshakes;
mod http2;
mod idle;
mod inputs;
mod log_reads;
mod memory;
mod ports;
mod proxy_protocol;
mod site;
mod slow;
mod sockets;
mod streams;
