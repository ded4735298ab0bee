//! Hostile peers at every port: what they can make a service hold, wait for or do is bounded, and others are served.
//! Each test measures processes, so they run one at a time.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod crowd;
mod http2;
mod idle;
mod inputs;
mod kept;
mod ports;
mod questions;
mod site;
mod slow;
mod sockets;
mod streams;
