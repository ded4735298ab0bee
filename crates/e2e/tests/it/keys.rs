//! `rowcast keys` and `rowcast tokens` against a real Postgres, as a user who has the role for it.

use std::{
    fs::File,
    io::Write,
    process::{Command, Output, Stdio},
};

use e2e::stack;
use serde_json::Value;
use testkit::TestDatabase;

/// A database, and a user who may manage its keys.
struct Fixture {
    db: TestDatabase,
    url: String,
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Fixture {
    async fn new() -> Self {
        let db = TestDatabase::migrated().await;
        let url = db.url_as("rowcast_keys");
        Self { db, url }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(stack::binary("rowcast").unwrap());
        command.args(arguments).env("ROWCAST_DATABASE__URL", &self.url).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    /// The one line of a command that succeeds, as JSON.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        serde_json::from_str(&ended.out)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", ended.out))
    }

    fn import(&self, lines: &str) -> Ended {
        let mut import = self.command(&["keys", "import", "-"]);
        import.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = import.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        ended(child.wait_with_output().unwrap())
    }

    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, out: &str, err: &str) {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.out.contains(out), "{arguments:?}: {}", ended.out);
        assert!(ended.err.contains(err), "{arguments:?}: {}", ended.err);
    }
}

fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// `sha256sum` of the secret in a key.
fn hash(key: &str) -> String {
    let secret = key.splitn(3, '_').nth(2).unwrap();
    let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    ended(sum.wait_with_output().unwrap()).out[..64].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lives_from_its_creation_to_its_end_and_is_shown_once() {
    let fixture = Fixture::new().await;
    let made =
        fixture.json(&["keys", "create", "--name", "boiler", "--write", "acme/*", "--readings", "10/s"]);
    let (key, id) = (made["key"].as_str().unwrap(), made["record"]["id"].as_str().unwrap());
    assert!(key.starts_with(&format!("rck_{id}_")) && key.len() == 60, "{key}");
    let stored = "select encode(hashes[1], 'hex'), cardinality(hashes), name, write_patterns, readings_burst from rowcast.api_key";
    assert_eq!(fixture.db.psql(stored), format!("{}|1|boiler|{{acme/*}}|10", hash(key)));
    assert_eq!(fixture.json(&["keys", "list"])["state"], "live");

    let rotated = fixture.json(&["keys", "rotate", id]);
    let second = rotated["key"].as_str().unwrap();
    assert_ne!(second, key);
    let hashes = "select encode(hashes[1], 'hex') || ' ' || encode(hashes[2], 'hex') from rowcast.api_key";
    assert_eq!(fixture.db.psql(hashes), format!("{} {}", hash(second), hash(key)));
    let listed = fixture.run(&["keys", "list", "-o", "json"]).out;
    assert!(
        listed.contains(r#""secrets":2"#) && !listed.contains("hash") && !listed.contains(key),
        "{listed}"
    );
    fixture.check(&["keys", "retire", id], 0, "has ended", "");
    fixture.check(&["keys", "retire", id], 0, "", "nothing to do: it has one secret");
    fixture.check(&["keys", "revoke", id], 0, "is revoked", "");
    fixture.check(&["keys", "revoke", id], 0, "", "nothing to do: it was revoked before");
    fixture.check(&["keys", "rotate", id], 1, "", &format!("rowcast: the key {id} was revoked"));
    fixture.check(&["keys", "list"], 0, &format!("{id}  revoked"), "");
    fixture.check(&["keys", "export"], 0, "", "");

    let audit =
        fixture.db.psql("select actor, action, detail ->> 'application' from rowcast.key_audit order by no");
    let who = format!("rowcast_keys_of_{}", fixture.db.name);
    let expected =
        ["create", "rotate", "retire", "revoke"].map(|action| format!("{who}|{action}|rowcast keys"));
    assert_eq!(audit, expected.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_on_stdout_alone_and_nowhere_if_that_is_closed() {
    let fixture = Fixture::new().await;
    let shown = fixture.run(&["keys", "create", "--name", "boiler"]);
    assert!(shown.out.starts_with("key      rck_") && !shown.out.contains("import"), "{}", shown.out);
    assert!(!shown.err.contains("rck_") && shown.err.contains("this once"), "{}", shown.err);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let lost = ended(fixture.command(&["keys", "create", "--name", "lost"]).stdout(full).output().unwrap());
    let id = fixture.db.psql("select id from rowcast.api_key where name = 'lost'");
    assert_eq!(lost.code, Some(1));
    assert!(
        lost.err.contains(&format!("rowcast keys revoke {id}")) && !lost.err.contains("rck_"),
        "{}",
        lost.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_made_elsewhere_are_imported_by_their_hashes() {
    let fixture = Fixture::new().await;
    let make = |arguments: &[&str]| {
        let mut create = fixture.command(&["keys", "create", "--hash-only", "-o", "json"]);
        // it needs no database
        let made = ended(create.args(arguments).env_remove("ROWCAST_DATABASE__URL").output().unwrap());
        assert_eq!(made.code, Some(0), "{}", made.err);
        serde_json::from_str::<Value>(&made.out).unwrap()
    };
    let full = make(&[
        "--name",
        "gate, 1",
        "--write",
        "acme/*",
        "--write",
        r"a\,b",
        "--read",
        "*",
        "--readings",
        "30/m",
        "--readings-burst",
        "500",
        "--requests",
        "2/s",
        "--connections",
        "1",
        "--subscriptions",
        "2",
        "--expires",
        "2099-01-01T00:00:00Z",
    ]);
    let bare = make(&["--name", "bare"]);
    assert_eq!(full["record"]["hash"], hash(full["key"].as_str().unwrap()));
    assert_eq!(fixture.db.psql("select count(*) from rowcast.api_key"), "0");
    let file = format!("{}\n{}\n", full["record"], bare["record"]);
    assert_eq!(fixture.import(&file).out, "2 created, 0 changed, 0 unchanged\n");
    let state =
        "select changed, k.* from rowcast.api_key k order by id; select count(*) from rowcast.key_audit";
    let before = fixture.db.psql(state);
    assert_eq!(fixture.import(&file).out, "0 created, 0 changed, 2 unchanged\n");
    assert_eq!(fixture.db.psql(state), before);

    let exported = fixture.run(&["keys", "export"]).out;
    let lines = |text: &str| {
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.sort_by_key(|line| line["id"].to_string());
        lines
    };
    assert_eq!(lines(&exported), lines(&file));
    fixture.json(&["keys", "rotate", bare["record"]["id"].as_str().unwrap()]);
    let exported = fixture.run(&["keys", "export"]).out;
    let other = Fixture::new().await;
    assert_eq!(other.import(&exported).out, "2 created, 0 changed, 0 unchanged\n");
    assert_eq!(other.run(&["keys", "export"]).out, exported);

    let broken = fixture.import(&format!("{}\n{{\"id\":1}}", bare["record"]));
    assert_eq!((broken.code, broken.out.as_str()), (Some(1), ""));
    assert!(broken.err.contains("rowcast: line 2: "), "{}", broken.err);
    let key = full["key"].as_str().unwrap();
    let mistaken = fixture.import(&format!("{key:?}"));
    assert!(mistaken.err.contains("line 1: it has a key") && !mistaken.err.contains(key), "{}", mistaken.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_revoked_listed_and_restored() {
    let fixture = Fixture::new().await;
    let (until, jti) = ("2099-01-01T00:00:00Z", ["--issuer", "https://id.example", "--jti", "t-1"]);
    let revoke = [&["tokens", "revoke"], &jti[..], &["--until", until]].concat();
    let expected: Value = serde_json::json!({"issuer": "https://id.example", "jti": "t-1", "until": until});
    assert_eq!(fixture.json(&revoke), expected);
    assert_eq!(fixture.json(&["tokens", "list"]), expected);
    fixture.check(&revoke, 0, "t-1", "nothing to do");
    fixture.check(
        &["tokens", "revoke", "--issuer", "i", "--subject", "s", "--for", "12h"],
        0,
        "subject s",
        "",
    );
    fixture.check(&[&["tokens", "restore"], &jti[..]].concat(), 0, "restored", "");
    fixture.check(&[&["tokens", "restore"], &jti[..]].concat(), 1, "", "no such revocation");
    assert_eq!(fixture.json(&["tokens", "list"])["subject"], "s");
    let past = [&["tokens", "revoke"], &jti[..], &["--until", "2020-01-01T00:00:00Z"]].concat();
    fixture.check(&past, 1, "", "must be in the future");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_a_sentence_without_the_password() {
    let fixture = Fixture::new().await;
    let id = "000000000000";
    for verb in ["rotate", "retire", "revoke"] {
        fixture.check(&["keys", verb, id], 1, "", &format!("rowcast: there is no key {id}"));
    }
    fixture.check(&["keys", "revoke", "rck_1"], 2, "", "12 characters");
    fixture.check(&["keys", "create", "--name", ""], 1, "", "a name has 1 to 100 characters");
    fixture.check(&["keys", "create", "--name", "x", "--write", "a*b"], 1, "", r#"invalid pattern "a*b""#);
    fixture.check(&["keys", "create", "--name", "x", "--requests", "1e9"], 1, "", "a rate is");
    fixture.check(&["keys", "import", "/no/such/file"], 1, "", "/no/such/file cannot be read");
    let with = |name: &str, value: &str| {
        let mut list = fixture.command(&["keys", "list"]);
        list.env_remove("ROWCAST_DATABASE__URL");
        if !name.is_empty() {
            list.env(name, value);
        }
        let ended = ended(list.output().unwrap());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
        ended.err
    };
    assert!(with("", "").contains("no database: set --database-url"), "{}", with("", ""));
    let url = "postgres://somebody:geheim@127.0.0.1:1/x";
    for (name, value, expected) in [
        ("ROWCAST_DATABASE__URL", url, "database unreachable"),
        ("ROWCAST_DATABASE__URL", "mysql://geheim@x", "database.url: not a Postgres URL"),
        ("ROWCAST_DATABASE__SSLMODE", "require", "database.url: is missing"),
        ("ROWCAST_DATABASE__HOTS", "geheim", "unknown key: did you mean database.host?"),
    ] {
        let error = with(name, value);
        assert!(error.contains(expected) && !error.contains("geheim"), "{name}: {error}");
    }
    // one who may not
    let services = fixture.db.url_as("rowcast_gateway");
    fixture.check(&["keys", "list", "--database-url", &services], 1, "", "permission denied");
    fixture.db.psql("delete from rowcast._sqlx_migrations where version = 11");
    fixture.check(
        &["keys", "list"],
        1,
        "",
        "the schema is at version 10, this release needs 11: run `migrate`",
    );
}
