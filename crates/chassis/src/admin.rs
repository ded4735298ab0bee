//! The admin port: liveness, readiness, metrics and version.

pub(crate) mod config;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use instruments::{Registry, TEXT_FORMAT};
use serde_json::json;

use self::config::AdminConfig;
use crate::accept::{self, HttpConfig};
use crate::life::Life;
use crate::profile;
use crate::readiness::Readiness;
use crate::runtime::Vitals;

/// The most connections of probes and scrapers, far more than an installation needs.
const MAX_CONNECTIONS: usize = 256;

#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) commit: Option<Arc<str>>,
    pub(crate) registry: Registry,
    pub(crate) readiness: Readiness,
    pub(crate) vitals: Vitals,
}

impl Admin {
    /// Listens and serves until the process ends: with the public port's limits, but with a life of its own.
    ///
    /// # Errors
    /// When the address is in use or not a local one.
    pub(crate) async fn serve(self, config: &AdminConfig) -> anyhow::Result<()> {
        let listener = accept::listen("admin", config.addr).await?;
        let http =
            HttpConfig { addr: config.addr, max_connections: MAX_CONNECTIONS, ..HttpConfig::default() };
        let router = if config.profile { router(self).merge(profile::routes()) } else { router(self) };
        accept::serve_inside(&Life::new(), listener, &http, router)
    }
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .with_state(admin)
}

/// Shows only that the event loop runs: a service that waits for its database must not be restarted for it.
async fn livez() -> &'static str {
    "ok"
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let report = admin.readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.vitals.read();
    match instruments::text(&admin.registry) {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()).into_response(),
    }
}

async fn version(State(admin): State<Admin>) -> Response {
    Json(json!({"name": admin.name, "version": admin.version, "commit": admin.commit.as_deref()}))
        .into_response()
}
