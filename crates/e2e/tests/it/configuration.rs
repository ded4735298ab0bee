//! The configuration of services, as their processes take it or refuse it.

use std::time::Duration;

use e2e::{Plan, Stack, stack};

const SOON: Duration = Duration::from_secs(20);

/// Runs a service to its end and returns its exit code and its output.
fn run(name: &str, env: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(stack::binary(name).unwrap());
    let ran = command.args(args).env_clear().envs(env.iter().copied()).output().unwrap();
    (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

#[test]
fn all_faults_of_a_configuration_are_listed_without_secrets() {
    for name in SERVICES {
        let (code, output) = run(
            name,
            &[
                ("ROWCAST_DATABASE__URL", "mysql://root:hunter2@x/y"),
                ("ROWCAST_LOG__FORMAT", "xml"),
                ("ROWCAST_NO__SUCH", "1"),
            ],
            &["--check-config"],
        );
        assert_eq!(code, Some(2), "{name}: {output}");
        for fault in ["database.url", "log.format", "ROWCAST_NO__SUCH"] {
            assert!(output.contains(fault), "{name}: {fault} in {output}");
        }
        assert!(!output.contains("hunter2"), "{name}: {output}");
    }
    let redis = ("ROWCAST_REDIS__URL", "redis://127.0.0.1/");
    let database = ("ROWCAST_DATABASE__URL", "postgres://a:hunter2@127.0.0.1/x");
    for (name, env) in [
        ("ingest", vec![database]),
        ("ws-gateway", vec![database, redis]),
        ("notify-listener", vec![database, redis]),
    ] {
        let (code, output) = run(name, &env, &["--check-config"]);
        assert_eq!((code, output.contains("hunter2")), (Some(0), false), "{name}: {output}");
    }
}

const SERVICES: [&str; 4] = ["ingest", "ws-gateway", "notify-listener", "migrate"];

/// The values for keys without a default value on the page; `None`: the key is not set. Of the two ways to name a
/// database the parts are set.
fn fitting(key: &str) -> Option<&'static str> {
    match key {
        "database.host" => Some("127.0.0.1"),
        "database.password" | "redis.password" => Some("hunter2"),
        "redis.url" => Some("redis://127.0.0.1/"),
        "redis.user" => Some("app"),
        "gateway.ingest_url" => Some("https://ingest.example.org"),
        "gateway.origins" | "ingest.origins" => Some("https://example.org,https://*.example.org"),
        "gateway.hosts" | "ingest.hosts" => Some("example.org"),
        "gateway.max_connection_age" => Some("1h"),
        "hooks.<name>.preset" => Some("home-assistant"),
        "http.prefix" => Some("/rowcast"),
        "http.trusted_proxies" => Some("10.0.0.0/8,fd00::/8,192.0.2.7"),
        "lease.namespace" => Some("default"),
        "lease.pod" | "lease.pod_uid" => Some("listener-0"),
        "retention.readings" => Some("720h"),
        _ => None,
    }
}

/// Each key of the page and its default, where that is a value.
fn documented_keys() -> Vec<(String, Option<String>)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIGURATION.md"));
    let page = page.unwrap();
    let value = |text: &str| Some(text.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let mut found = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').collect();
        let mut defaults = cells[3].split(',');
        for key in cells[1].split(',').filter_map(value).filter(|key| key.contains('.')) {
            found.push((key, defaults.next().and_then(value)));
        }
    }
    found
}

#[test]
fn one_environment_with_every_documented_key_is_accepted_by_all_services() {
    let keys = documented_keys();
    let env: Vec<(String, String)> = keys
        .into_iter()
        .filter_map(|(key, default)| {
            let value = default.or_else(|| fitting(&key).map(str::to_owned))?;
            let key = key.replace("<name>", "plant");
            Some((format!("ROWCAST_{}", key.to_uppercase().replace('.', "__")), value))
        })
        .collect();
    assert!(env.len() > 40, "{env:?}");
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for name in SERVICES {
        let (code, output) = run(name, &env, &["--check-config"]);
        assert_eq!(code, Some(0), "{name}: {output}");
    }
    let slip = [&env[..], &[("ROWCAST_REDIS__ULR", "redis://:hunter2@x")]].concat();
    for name in SERVICES {
        let (code, output) = run(name, &slip, &["--check-config"]);
        let expected = "redis.ulr: unknown key: did you mean redis.url? (from ROWCAST_REDIS__ULR)";
        assert_eq!(
            (code, output.contains(expected), output.contains("hunter2")),
            (Some(2), true, false),
            "{output}"
        );
    }
}

#[test]
fn services_that_listen_or_lock_refuse_a_pooler_that_shares_sessions() {
    for (name, is_refused) in
        [("ingest", false), ("ws-gateway", false), ("notify-listener", true), ("migrate", true)]
    {
        for pooler in ["none", "session", "transaction", "statement"] {
            let env = [
                ("ROWCAST_DATABASE__URL", "postgres://a@127.0.0.1/x"),
                ("ROWCAST_DATABASE__POOLER", pooler),
                ("ROWCAST_REDIS__URL", "redis://127.0.0.1/"),
            ];
            let (code, output) = run(name, &env, &["--check-config"]);
            match pooler {
                "transaction" if is_refused => {
                    assert_eq!(code, Some(2), "{name}: {output}");
                    assert!(
                        output.contains("database.pooler") && output.contains("past the pooler"),
                        "{name}: {output}"
                    );
                }
                "statement" => assert_eq!(code, Some(2), "{name}: {output}"),
                _ => assert_eq!(code, Some(0), "{name} {pooler}: {output}"),
            }
        }
    }
}

#[test]
fn times_with_which_two_could_lead_are_refused() {
    let (code, output) = run(
        "notify-listener",
        &[
            ("ROWCAST_DATABASE__URL", "postgres://a@127.0.0.1/x"),
            ("ROWCAST_REDIS__URL", "redis://127.0.0.1/"),
            ("ROWCAST_LEASE__MODE", "kubernetes"),
            ("ROWCAST_LEASE__DURATION", "2s"),
            ("ROWCAST_LEASE__RETRY", "10s"),
        ],
        &["--check-config"],
    );
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("lease.renew_deadline") && output.contains("lease.retry"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_be_elected_ends_with_the_reason() {
    let stack = Stack::start(Plan { gateways: 1, listeners: 1 }).await.unwrap();
    let (database, redis) = (stack.database_url("notify-listener"), stack.redis.url());
    let ran = tokio::task::spawn_blocking(move || {
        run(
            "notify-listener",
            &[
                ("ROWCAST_DATABASE__URL", &database),
                ("ROWCAST_REDIS__URL", &redis),
                ("ROWCAST_ADMIN__ADDR", "127.0.0.1:0"),
                ("ROWCAST_LEASE__MODE", "kubernetes"),
            ],
            &[],
        )
    });
    let (code, output) = tokio::time::timeout(SOON, ran).await.unwrap().unwrap();
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("no access to a Kubernetes API"), "{output}");
}
