//! What the chart renders: facts about its objects, and the sentences with which it refuses.
//!
//! Helm is asked as it is on the path. Facts that need an API server ask the one of `KUBECONFIG`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod databases;
mod names;
mod networks;
mod platforms;
mod pods;
mod refusals;
mod render;
mod routes;
mod scaling;
mod server;
mod sets;
mod tilt;
