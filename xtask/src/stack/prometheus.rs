//! What a Prometheus beside the services scrapes.

use std::net::SocketAddr;

use testkit::prometheus::Target;

use crate::ports::Ports;

/// The namespace and the release that the rules and dashboards see.
pub(super) const INSTALLATION: &str = "dev";

/// How often it scrapes, and evaluates the rules.
pub(super) const EVERY: &str = "5s";

/// Every service.
pub(super) fn targets(ports: Ports) -> Vec<Target> {
    let Ports { admin_port, .. } = ports;
    let services =
        [("ingest", admin_port), ("ws-gateway", admin_port + 1), ("notify-listener", admin_port + 2)];
    let services = services.map(|(name, port)| (name, name.to_owned(), port)).into_iter();
    let further = (2..).zip(ports.further_gateways());
    let further = further.map(|(nth, (_, admin))| ("ws-gateway", format!("ws-gateway-{nth}"), admin));
    let target = |(component, pod, port): (&str, String, u16)| Target {
        component: component.to_owned(),
        pod,
        admin: SocketAddr::from(([127, 0, 0, 1], port)),
    };
    services.chain(further).map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_is_scraped_at_its_admin_port() {
        let ports = Ports { gateway_port: 1, ingest_port: 2, admin_port: 9080, gateways: 2 };
        let found = targets(ports);
        let found: Vec<_> =
            found.iter().map(|one| (one.component.as_str(), one.pod.as_str(), one.admin.port())).collect();
        let expected = [
            ("ingest", "ingest", 9080),
            ("ws-gateway", "ws-gateway", 9081),
            ("notify-listener", "notify-listener", 9082),
            ("ws-gateway", "ws-gateway-2", 9083),
        ];
        assert_eq!(found, expected);
    }
}
