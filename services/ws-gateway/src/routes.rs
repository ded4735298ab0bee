//! What is served, and where.

mod changes;
mod documents;
mod events;
mod latest;
mod readings;
mod sensor;
mod socket;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::Uri,
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use chassis::{Cors, Life, Origins, Prefix, Problem};
use http::{Method, StatusCode, header};
use wire::{Position, frame::Limits};

pub(crate) use self::documents::Documents;
use crate::{
    config::{GatewayConfig, Patience},
    history::History,
    hub::{Feeding, Hub},
    metrics::Metrics,
    outbox::Backlog,
    page,
    replay::Replay,
    roster::{NoPlace, Place, Roster},
};

/// What the handlers use.
pub(crate) struct Gateway {
    pub(crate) hub: Hub,
    pub(crate) replay: Replay,
    pub(crate) history: History,
    pub(crate) roster: Roster,
    pub(crate) life: Life,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Arc<Limits>,
    pub(crate) patience: Patience,
    pub(crate) backlog: Arc<Backlog>,
    /// Where clients find it.
    pub(crate) prefix: Prefix,
    pub(crate) documents: Documents,
}

pub(crate) type App = Arc<Gateway>;

/// The demo's socket paths, from its README and from its code, with and without the slash.
const SOCKETS: [&str; 4] = ["/ws/sensors/", "/ws/sensors", "/ws/sensor-readings/", "/ws/sensor-readings"];

/// How everything is read.
const METHODS: &str = "GET, HEAD";

/// When to come back to a gateway that has no room or no feed, in seconds.
const RETRY_AFTER: u32 = 2;

/// Every path but the page's. All are read with GET and HEAD, and with nothing else.
fn table() -> Vec<(&'static str, MethodRouter<App>)> {
    let mut table: Vec<_> = SOCKETS.into_iter().map(|path| (path, get(socket::upgrade))).collect();
    table.extend([
        ("/sse/sensors/", get(events::stream).head(events::head)),
        ("/sse/sensors", get(events::stream).head(events::head)),
        ("/api/changes", get(changes::changes).head(changes::head)),
        ("/api/readings", get(readings::readings)),
        ("/api/latest", get(latest::latest)),
        ("/api/sensors/{sensor_id}", get(sensor::sensor)),
        ("/openapi.json", get(documents::openapi)),
        ("/asyncapi.json", get(documents::asyncapi)),
    ]);
    table
}

/// All routes; what is none of them is the page's.
pub(crate) fn router(app: App, config: &GatewayConfig, origins: Origins) -> anyhow::Result<Router> {
    let prefix = app.prefix.clone();
    let router = table()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods.fallback(wrong_method)))
        .route_layer(Cors::new(origins, METHODS))
        .with_state(app);
    if config.page.as_os_str().is_empty() {
        return Ok(router.fallback(unknown_path));
    }
    page::serve(router, &config.page, &config.ingest_url, &prefix)
}

pub(crate) async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method) -> impl IntoResponse {
    let detail = format!("{method} is not allowed here");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail);
    ([(header::ALLOW, METHODS)], problem)
}

/// A client that may stay.
pub(crate) struct Admitted {
    pub(crate) place: Place,
    /// The head at this moment.
    pub(crate) head: Position,
}

impl Gateway {
    /// Lets a client in that wants to stay, or says why not, before anything is upgraded.
    pub(crate) fn admit(&self, peer: SocketAddr) -> Result<Admitted, Problem> {
        let head = self.head()?;
        let place = self.roster.admit(peer.ip()).map_err(|why| {
            let (status, code, detail) = match why {
                NoPlace::Full => {
                    (StatusCode::SERVICE_UNAVAILABLE, "full", "this gateway has as many clients as it may")
                }
                NoPlace::AddressFull => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "too-many-connections",
                    "this address has as many connections as it may",
                ),
            };
            Problem::new(status, code, detail).retry_after(RETRY_AFTER)
        })?;
        Ok(Admitted { place, head })
    }

    /// The head, if the gateway follows the stream and goes on doing so.
    pub(crate) fn head(&self) -> Result<Position, Problem> {
        let follows = self.hub.feeding() != Feeding::Cut && !self.life.is_stopping();
        self.hub.head().filter(|_| follows).ok_or_else(|| {
            let detail = "this gateway has no feed now";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail).retry_after(RETRY_AFTER)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::history::asked;

    #[test]
    fn every_path_is_documented_and_every_documented_path_is_served() {
        let served: BTreeSet<String> = table().into_iter().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(served, ::documents::paths(::documents::GATEWAY));
    }

    #[test]
    fn the_parameters_of_history_are_those_of_the_document() {
        let openapi: Value = serde_json::from_str(&::documents::openapi()).unwrap();
        let expected: BTreeMap<&str, &[&str]> = BTreeMap::from([
            ("/api/readings", asked::READINGS),
            ("/api/latest", asked::LATEST),
            ("/api/sensors/{sensor_id}", asked::SENSOR),
        ]);
        for (path, names) in expected {
            let parameters = openapi["paths"][path]["get"]["parameters"].as_array().unwrap();
            let told = parameters.iter().map(|parameter| match parameter["$ref"].as_str() {
                Some(shared) => openapi.pointer(&shared[1..]).unwrap(),
                None => parameter,
            });
            let queried = told.filter(|parameter| parameter["in"] == "query");
            let documented: Vec<&str> =
                queried.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            assert_eq!(documented, names, "{path}");
        }
    }
}
