//! All layers at once, with a service of its own.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::*;
use crate::faults::Faults;
use crate::logs::LogFormat;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    lanes: Lanes,
    store: Store,
    #[serde(default)]
    parts: BTreeMap<String, Part>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Part {
    size: u8,
    inner: Inner,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Inner {
    even: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Lanes {
    count: u16,
    #[serde(with = "crate::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    wait: Duration,
    names: Vec<String>,
    even: bool,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { count: 4, wait: Duration::from_secs(1), names: Vec::new(), even: false }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Store {
    #[schemars(with = "String")]
    url: SecretString,
    name: Option<String>,
}

impl Settings for Config {
    const HAS_ADMIN_PORT: bool = false;

    fn validate(&self, faults: &mut Faults) {
        if !(1..=16).contains(&self.lanes.count) {
            faults.add("lanes.count", "must be 1 to 16");
        }
    }
}

/// What loads from this file and this environment.
fn read(file: &str, env: &[(&str, &str)]) -> Result<Loaded<Config>, Faults> {
    let mut on_disk = tempfile::Builder::new().prefix("chassis").suffix(".toml").tempfile().unwrap();
    on_disk.write_all(file.as_bytes()).unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Layers { file: Some(on_disk.path().to_owned()), env })
}

const URL: (&str, &str) = ("ROWCAST_STORE__URL", "postgres://app:hunter2@db/app");

#[test]
fn the_environment_lies_over_the_file_and_the_file_over_the_defaults() {
    let config = read("[lanes]\ncount = 5\nwait = \"30s\"\n", &[URL, ("ROWCAST_LANES__COUNT", "7")]).unwrap();
    assert_eq!(config.service.lanes.count, 7);
    assert_eq!(config.service.lanes.wait, Duration::from_secs(30));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.service.store.url.expose_secret(), URL.1);
}

#[test]
fn a_variable_is_read_as_the_type_of_its_key() {
    let env = [
        URL,
        ("ROWCAST_STORE__NAME", "123"),
        ("ROWCAST_LANES__WAIT", "250ms"),
        ("ROWCAST_LANES__NAMES", "a, b,c,"),
        ("ROWCAST_LANES__EVEN", "true"),
        ("ROWCAST_LOG__FORMAT", "text"),
    ];
    let config = read("", &env).unwrap();
    assert_eq!(config.service.store.name.as_deref(), Some("123"));
    assert_eq!(config.service.lanes.wait, Duration::from_millis(250));
    assert_eq!(config.service.lanes.names, ["a", "b", "c"]);
    assert!(config.service.lanes.even);
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn a_secret_of_digits_stays_as_written() {
    let config = read("", &[("ROWCAST_STORE__URL", "007")]).unwrap();
    assert_eq!(config.service.store.url.expose_secret(), "007");
}

#[test]
fn a_list_in_the_file_is_an_array() {
    let config = read("[lanes]\nnames = [\"a\", \"b\"]\n", &[URL]).unwrap();
    assert_eq!(config.service.lanes.names, ["a", "b"]);
}

#[test]
fn other_variables_are_not_configuration() {
    read("", &[URL, ("ROWCAST_BIN_DIR", "/bin"), ("LANES__COUNT", "x"), ("HOME", "/root")]).unwrap();
}

#[test]
fn every_fault_is_told_at_once_with_its_layer() {
    let file = "[lanes]\ncolour = \"red\"\nwait = \"soon\"\n[log]\nlevel = \"=nonsense=\"\n";
    let env = [
        ("ROWCAST_LANES__COUNT", "99"),
        ("ROWCAST_LANES__EVEN", "perhaps"),
        ("ROWCAST_LANES__LANEZ", "1"),
        ("ROWCAST_LOGS__LEVEL", "info"),
    ];
    let faults = read(file, &env).unwrap_err().to_string();
    let line = |key: &str| {
        let found = faults.lines().find(|line| line.starts_with(&format!("{key}: ")));
        found.unwrap_or_else(|| panic!("no fault for {key} in:\n{faults}"))
    };
    assert!(line("lanes.colour").contains("unknown key"), "{faults}");
    assert!(line("lanes.colour").contains(".toml)"), "{faults}");
    assert!(line("lanes.wait").contains("invalid value"), "{faults}");
    assert!(line("lanes.even").ends_with("(from ROWCAST_LANES__EVEN)"), "{faults}");
    assert!(line("lanes.lanez").starts_with("lanes.lanez: unknown key: did you mean lanes."), "{faults}");
    assert!(line("logs.level").ends_with(": did you mean log.level? (from ROWCAST_LOGS__LEVEL)"), "{faults}");
    assert_eq!(line("lanes.count"), "lanes.count: must be 1 to 16");
    assert!(line("log.level").contains("is not a filter"), "{faults}");
    assert_eq!(line("store.url"), "store.url: is missing (in the environment: ROWCAST_STORE__URL)");
}

#[test]
fn a_required_key_of_the_wrong_type_is_told_as_that_and_not_as_missing() {
    let faults = read("[store]\nurl = [1]\n", &[]).unwrap_err().to_string();
    assert_eq!(faults.lines().count(), 1, "{faults}");
    assert!(faults.starts_with("store.url: invalid type"), "{faults}");
}

#[test]
fn a_file_that_is_no_toml_is_told_by_line_and_without_its_text() {
    let faults = read("[store]\nurl = \"hunter2\n", &[]).unwrap_err().to_string();
    assert!(faults.contains(".toml:2: "), "{faults}");
    assert!(!faults.contains("hunter2"), "{faults}");
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let layers = Layers { file: Some("/nowhere/at-all.toml".into()), env: Vec::new() };
    let faults = load::<Config>(&layers).unwrap_err().to_string();
    assert!(faults.starts_with("/nowhere/at-all.toml: cannot be read"), "{faults}");
}

#[test]
fn no_secret_is_shown_by_debug_or_by_a_fault() {
    let config = read("", &[URL]).unwrap();
    let shown = format!("{config:?}");
    assert!(shown.contains("[REDACTED]") && !shown.contains("hunter2"), "{shown}");
    let faults = read("", &[URL, ("ROWCAST_STORE__PASSWORD", "hunter2")]).unwrap_err();
    let shown = format!("{faults:?}{faults}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_keys_of_other_services_are_ignored_and_their_values_too() {
    let env = [URL, ("ROWCAST_REDIS__URL", "redis://x"), ("ROWCAST_LIMITS__CONNECTIONS", "many")];
    read("[redis]\nprefix = \"x\"\n[retention]\n[admin]\naddr = \"127.0.0.1:1\"\n", &env).unwrap();
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    for (file, env, told) in [
        (
            "",
            ("ROWCAST_REDIS__ULR", "x"),
            "redis.ulr: unknown key: did you mean redis.url? (from ROWCAST_REDIS__ULR)\n",
        ),
        (
            "",
            ("ROWCAST_STORE__NAMES", "x"),
            "store.names: unknown key: did you mean store.name? (from ROWCAST_STORE__NAMES)\n",
        ),
        ("", ("ROWCAST_NO__SUCH", "x"), "no.such: unknown key (from ROWCAST_NO__SUCH)\n"),
        ("[colours]\n", ("HOME", "x"), "colours: unknown key"),
        ("redis = 7\n", ("HOME", "x"), "redis: is a section"),
        ("[store.name]\nof = 7\n", ("HOME", "x"), "store.name: invalid type: table, expected a string"),
    ] {
        let faults = read(file, &[URL, env]).unwrap_err().to_string();
        assert!(faults.starts_with(told) && faults.lines().count() == 1, "{faults}");
    }
}

#[test]
fn parts_have_the_names_that_the_layers_give() {
    let file = "[parts.a-1]\nsize = 1\n[parts.b]\nsize = 2\n[parts.b.inner]\neven = true\n";
    let env = [URL, ("ROWCAST_PARTS__B__SIZE", "3"), ("ROWCAST_PARTS__C_2__INNER__EVEN", "off")];
    let config = read(file, &env).unwrap();
    let parts = config.service.parts.iter();
    let parts: Vec<_> = parts.map(|(name, part)| (name.as_str(), part.size, part.inner.even)).collect();
    assert_eq!(parts, [("a-1", 1, None), ("b", 3, Some(true)), ("c_2", 0, Some(false))]);
    assert!(read("", &[URL]).unwrap().service.parts.is_empty());
}

#[test]
fn faults_of_a_named_part_are_told_by_its_name() {
    for (file, told) in [
        ("[parts.b]\nsizes = 2\n", "parts.b.sizes: unknown key: did you mean parts.b.size? (from "),
        (
            "[parts.b]\nsize = 256\n",
            "parts.b.size: invalid value: 256, expected a whole number from 0 to 255 (from ",
        ),
        ("[parts.b]\ninner = 7\n", "parts.b.inner: is a section: its keys are set one by one (from "),
        ("[parts]\nb = 7\n", "parts.b: is a section: its keys are set one by one (from "),
        ("parts = 7\n", "parts: is a section: its keys are set one by one (from "),
    ] {
        let faults = read(file, &[URL]).unwrap_err().to_string();
        assert!(faults.starts_with(told) && faults.lines().count() == 1, "{faults}");
    }
}

#[test]
fn a_key_that_only_this_service_knows_is_named() {
    let mut unlisted = unlisted_keys::<Config>();
    unlisted.sort_unstable();
    assert_eq!(
        unlisted,
        [
            "lanes.count",
            "lanes.even",
            "lanes.names",
            "lanes.wait",
            "parts.<name>.inner.even",
            "parts.<name>.size",
            "store.name",
            "store.url"
        ]
    );
}
