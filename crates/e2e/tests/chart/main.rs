//! What the chart renders: facts about its objects, and the texts of its refusals.
//!
//! Helm is that of the path. Facts that need an API server use the one of `KUBECONFIG`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod databases;
mod keys;
mod monitoring;
mod names;
mod networks;
mod platforms;
mod pods;
mod public_ports;
mod refusals;
mod render;
mod routes;
mod scaling;
mod server;
mod sets;
mod tilt;
