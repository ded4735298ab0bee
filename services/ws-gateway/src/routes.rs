//! What is served, and where.

mod arrival;
mod changes;
mod documents;
mod events;
mod fallback;
mod page;
pub(crate) mod query;
mod socket;
mod tickets;

use access::{Gate, Guard};
use axum::{
    Router,
    routing::{MethodRouter, get, head, post},
};
use chassis::{Cors, Origins};

use self::fallback::{METHODS, METHODS_OF_TICKETS, unknown_path, wrong_method, wrong_method_of_tickets};
use crate::{
    config::GatewayConfig,
    gateway::App,
    history::{latest::latest, readings::readings, sensor::sensor},
};

/// The demo's socket paths, from its README and from its code, with and without the slash.
const SOCKETS: [&str; 4] = ["/ws/sensors/", "/ws/sensors", "/ws/sensor-readings/", "/ws/sensor-readings"];

/// Where tickets are made: with POST alone.
const TICKETS: &str = "/api/tickets";

fn tickets(gate: &Gate) -> MethodRouter<App> {
    post(tickets::issue).layer(Guard::new(gate.clone())).fallback(wrong_method_of_tickets)
}

/// Every other path but the page's. All are read with GET and HEAD, and with nothing else.
fn table(gate: &Gate) -> Vec<(&'static str, MethodRouter<App>)> {
    // the live doors know more ways to say who one is, and guard themselves
    let mut table: Vec<_> = SOCKETS.into_iter().map(|path| (path, get(socket::upgrade))).collect();
    let guard = Guard::new(gate.clone());
    let events = head(events::head).layer(guard.clone()).get(events::stream);
    table.extend([
        ("/sse/sensors/", events.clone()),
        ("/sse/sensors", events),
        ("/api/changes", get(changes::changes).head(changes::head).layer(guard.clone())),
        ("/api/readings", get(readings).layer(guard.clone())),
        ("/api/latest", get(latest).layer(guard.clone())),
        ("/api/sensors/{sensor_id}", get(sensor).layer(guard)),
        ("/openapi.json", get(documents::openapi)),
        ("/asyncapi.json", get(documents::asyncapi)),
    ]);
    table
}

/// All routes; any other path is the page's.
pub(crate) fn router(app: App, config: &GatewayConfig, origins: Origins) -> anyhow::Result<Router> {
    let prefix = app.prefix.clone();
    let tickets = Router::new()
        .route(TICKETS, tickets(&app.gate))
        .route_layer(Cors::new(origins.clone(), METHODS_OF_TICKETS))
        .with_state(app.clone());
    let router = table(&app.gate)
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods.fallback(wrong_method)))
        .route_layer(Cors::new(origins, METHODS))
        .with_state(app)
        .merge(tickets);
    if config.page.as_os_str().is_empty() {
        return Ok(router.fallback(unknown_path));
    }
    page::serve(router, &config.page, &config.ingest_url, &prefix)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::history::query;

    #[test]
    fn every_path_is_documented_and_every_documented_path_is_served() {
        let served = table(&Gate::open()).into_iter().map(|(path, _)| path).chain([TICKETS]);
        let served: BTreeSet<String> = served.map(str::to_owned).collect();
        assert_eq!(served, ::documents::paths(::documents::GATEWAY));
    }

    #[test]
    fn the_parameters_of_history_are_those_of_the_document() {
        let openapi: Value = serde_json::from_str(&::documents::openapi()).unwrap();
        let expected: BTreeMap<&str, &[&str]> = BTreeMap::from([
            ("/api/readings", query::READINGS),
            ("/api/latest", query::LATEST),
            ("/api/sensors/{sensor_id}", query::SENSOR),
        ]);
        for (path, names) in expected {
            let parameters = openapi["paths"][path]["get"]["parameters"].as_array().unwrap();
            let parameters = parameters.iter().map(|parameter| match parameter["$ref"].as_str() {
                Some(shared) => openapi.pointer(&shared[1..]).unwrap(),
                None => parameter,
            });
            let queried = parameters.filter(|parameter| parameter["in"] == "query");
            let documented: Vec<&str> =
                queried.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            assert_eq!(documented, names, "{path}");
        }
    }
}
