//! How full a gateway is, measured now and then: at a scrape it would take time that grows with the clients.

use std::time::Duration;

use tokio::time::sleep;

use crate::{fanout::mailbox::Mailbox, gateway::App, metrics::Reads};

/// Between two measurements: more often than anyone scrapes.
const EVERY: Duration = Duration::from_secs(5);

/// Measures until the process stops.
pub(crate) async fn measure(app: App) {
    let metrics = &app.metrics;
    metrics.sessions_limit.set(gauge(app.roster.limit()));
    metrics.outbox_limit.set(gauge(app.backlog.limit()));
    metrics.window_limit.set(gauge(app.hub.window_bytes()));
    loop {
        metrics.window_bytes.set(gauge(app.hub.window_cost()));
        let mailboxes = app.roster.all();
        metrics.mailbox_bytes.set(gauge(mailboxes.iter().map(|mailbox| Mailbox::bytes(mailbox)).sum()));
        drop(mailboxes);
        metrics.outbox_bytes.set(gauge(app.backlog.bytes()));
        let [replay, pull] = app.replay.permits();
        for (kind, (used, limit)) in
            [(Reads::Replay, replay), (Reads::Pull, pull), (Reads::History, app.history.permits())]
        {
            metrics.read_permits.of(kind).set(gauge(used));
            metrics.read_permits_limit.of(kind).set(gauge(limit));
        }
        if app.life.soft().run_until_cancelled(sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
