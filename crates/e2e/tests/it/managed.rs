//! A managed server, whose administrator is no superuser: the SQL of k8s/databases/README.md prepares it.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use e2e::stack::binary;
use testkit::{Postgres, Process, process::Program};

/// Runs a script, as `psql` has it.
fn run(url: &str, script: &str) {
    let mut psql = Command::new("psql")
        .args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let ran = psql.wait_with_output().unwrap();
    assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn the_documented_sql_prepares_a_server_whose_administrator_is_no_superuser() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/databases/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let blocks: Vec<&str> =
        readme.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [before, after] = blocks[..] else { panic!("two blocks of SQL, not {}", blocks.len()) };
    let server = Postgres::start().unwrap();
    server.psql("postgres", "create role administrator login createdb createrole").unwrap();
    let url = |user: &str, database: &str| {
        server.url(database).replace("postgres://postgres@", &format!("postgres://{user}@"))
    };
    run(&url("administrator", "postgres"), before);
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("migrate.log");
    let migrate = Program::new(binary("migrate").unwrap(), &log)
        .env("ROWCAST_DATABASE__URL", url("rowcast", "rowcast"));
    let code = Process::start(migrate).unwrap().wait(Duration::from_secs(60)).unwrap();
    assert_eq!(code, Some(0), "{}", std::fs::read_to_string(log).unwrap());
    run(&url("administrator", "rowcast"), after);
    run(
        &url("rowcast_ingest_user", "rowcast"),
        "insert into sensor_readings (sensor_id, value) values ('a', 1);",
    );
    run(&url("rowcast_gateway_user", "rowcast"), "select * from sensor_readings;");
    run(&url("rowcast_listener_user", "rowcast"), "select * from rowcast.maintain(null, '1 day', 1);");
    let made = Command::new(binary("rowcast").unwrap())
        .args(["keys", "create", "--name", "boiler", "--write", "*", "--database-url"])
        .arg(url("rowcast_keys_user", "rowcast"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
