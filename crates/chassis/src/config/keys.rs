//! The keys of all services. One environment or file is for all of them: each takes its own keys and ignores the others'.

use schemars::JsonSchema;

use super::schema::{self, NAME};

/// The keys of all Rowcast services, sorted: those of docs/CONFIGURATION.md.
pub const KEYS: &[&str] = &[
    "admin.addr",
    "admin.profile",
    "auth.anonymous_read",
    "auth.anonymous_write",
    "auth.enabled",
    "auth.issuers_file",
    "database.ca",
    "database.certificate",
    "database.host",
    "database.key",
    "database.name",
    "database.password",
    "database.pooler",
    "database.port",
    "database.sslmode",
    "database.url",
    "database.user",
    "database.wait",
    "gateway.hosts",
    "gateway.ingest_url",
    "gateway.max_connection_age",
    "gateway.origins",
    "gateway.page",
    "gateway.window_bytes",
    "hooks.<name>.metadata",
    "hooks.<name>.precision",
    "hooks.<name>.preset",
    "hooks.<name>.query",
    "hooks.<name>.sensor",
    "hooks.<name>.signature.algorithm",
    "hooks.<name>.signature.encoding",
    "hooks.<name>.signature.header",
    "hooks.<name>.signature.prefix",
    "hooks.<name>.signature.secret",
    "hooks.<name>.signature.secret_file",
    "hooks.<name>.time",
    "hooks.<name>.value",
    "hooks.<name>.values",
    "hooks.<name>.when",
    "http.addr",
    "http.answer_bytes",
    "http.idle_timeout",
    "http.max_connections",
    "http.prefix",
    "http.proxy_protocol",
    "http.tls.certificate",
    "http.tls.client_ca",
    "http.tls.key",
    "http.trusted_proxies",
    "ingest.body_bytes",
    "ingest.hosts",
    "ingest.influx_sensor",
    "ingest.lanes",
    "ingest.origins",
    "ingest.queue_bytes",
    "lease.duration",
    "lease.mode",
    "lease.name",
    "lease.namespace",
    "lease.pod",
    "lease.pod_uid",
    "lease.renew_deadline",
    "lease.retry",
    "limits.backlog_bytes",
    "limits.commands_per_s",
    "limits.commands_per_subject",
    "limits.connections",
    "limits.connections_per_address",
    "limits.connections_per_subject",
    "limits.fragments",
    "limits.history_per_address",
    "limits.history_per_subject",
    "limits.message_bytes",
    "limits.pattern_bytes",
    "limits.patterns",
    "limits.readings_per_address",
    "limits.requests_per_address",
    "limits.subscriptions",
    "limits.subscriptions_per_subject",
    "log.format",
    "log.level",
    "log.level_file",
    "ping.deadline",
    "ping.every",
    "redis.ca",
    "redis.certificate",
    "redis.key",
    "redis.master",
    "redis.password",
    "redis.prefix",
    "redis.sentinel_password",
    "redis.sentinel_user",
    "redis.sentinels",
    "redis.url",
    "redis.user",
    "retention.readings",
    "retention.replay",
];

/// The keys of a service's own sections that [`KEYS`] does not have: the other services would refuse them.
pub fn unlisted_keys<C: JsonSchema>() -> Vec<String> {
    let own = schema::keys::<C>().into_iter().map(|key| key.path);
    own.filter(|path| !is_listed(path)).collect()
}

pub(super) fn is_listed(path: &str) -> bool {
    KEYS.binary_search(&path).is_ok() || KEYS.iter().any(|key| key.contains(NAME) && is(key, path))
}

/// Whether a path is that key, whatever name it has.
pub(super) fn is(key: &str, path: &str) -> bool {
    key.split('.').count() == path.split('.').count() && begins(key, path)
}

/// Whether a path is a section of that key.
pub(super) fn is_below(key: &str, path: &str) -> bool {
    key.split('.').count() > path.split('.').count() && begins(key, path)
}

fn begins(key: &str, path: &str) -> bool {
    key.split('.').zip(path.split('.')).all(|(own, given)| own == given || own == NAME)
}

/// The known key that is most likely meant: at most a third of its letters are different.
pub(super) fn nearest<'a>(path: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.map(|key| (strsim::damerau_levenshtein(path, key), key));
    let (distance, key) = distances.min()?;
    (distance * 3 <= key.len()).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_keys_are_sorted_and_those_of_the_page() {
        assert!(KEYS.is_sorted(), "{KEYS:?}");
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIGURATION.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let documented: BTreeSet<&str> = rows
            .flat_map(|cell| cell.split(','))
            .map(|key| key.trim().trim_matches('`'))
            .filter(|key| key.contains('.'))
            .collect();
        assert_eq!(documented, KEYS.iter().copied().collect());
    }

    #[test]
    fn a_key_of_a_named_part_is_known_by_any_name() {
        for (path, is_key) in [
            ("hooks.plant.sensor", true),
            ("hooks.plant.signature.header", true),
            ("hooks.plant", false),
            ("hooks.plant.signature", false),
            ("hooks.plant.sensor.x", false),
            ("hooks.plant.x", false),
            ("plant.hooks.sensor", false),
        ] {
            assert_eq!(is_listed(path), is_key, "{path}");
        }
    }

    #[test]
    fn a_key_with_a_slip_has_a_nearest_one_and_another_word_has_none() {
        let nearest = |path| nearest(path, KEYS.iter().copied());
        assert_eq!(nearest("redis.ulr"), Some("redis.url"));
        assert_eq!(nearest("logs.level"), Some("log.level"));
        assert_eq!(nearest("http.max_conections"), Some("http.max_connections"));
        assert_eq!(nearest("no.such"), None);
    }
}
