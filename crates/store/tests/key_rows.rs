//! The table of keys takes what services understand, and nothing else.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;

use auth::Rate;
use proptest::{prelude::*, string::string_regex, test_runner::TestRunner};
use sqlx::{Connection, PgConnection};
use testkit::TestDatabase;
use tokio::runtime::{Builder, Runtime};
use wire::Pattern;

#[tokio::test]
async fn rows_that_no_service_could_use_are_refused_to_all() {
    let db = TestDatabase::migrated().await;
    let hash = format!("'\\x{}'::bytea", "ab".repeat(32));
    let insert = |id: &str, column: &str, value: &str| {
        let column = if column.is_empty() { String::new() } else { format!(", {column}") };
        let value = if value.is_empty() { String::new() } else { format!(", {value}") };
        let sql = format!(
            "insert into rowcast.api_key (id, name, hashes{column}) values ('{id}', 'n', array[{hash}]{value})"
        );
        testkit::postgres::psql(&db.url, &sql).map_err(|error| error.to_string())
    };
    insert("0123456789ab", "write_patterns, readings_per_second, readings_burst", "array['a','b*'], 0.5, 2")
        .unwrap();
    for (id, column, value) in [
        ("short", "", ""),
        ("0123456789aB", "", ""),
        ("0123456789az", "write_patterns", "array['a*b']"),
        ("0123456789az", "read_patterns", "array[null]"),
        ("0123456789az", "read_patterns", "array[['a'],['b']]"),
        ("0123456789az", "read_patterns", "array(select 'a' || n from generate_series(1, 1001) n)"),
        ("0123456789az", "readings_per_second", "1"),
        ("0123456789az", "requests_burst", "1"),
        ("0123456789az", "readings_per_second, readings_burst", "'NaN', 1"),
        ("0123456789az", "readings_per_second, readings_burst", "0, 1"),
        ("0123456789az", "readings_per_second, readings_burst", "1000001, 1"),
        ("0123456789az", "requests_per_second, requests_burst", "1, 0"),
        ("0123456789az", "requests_per_second, requests_burst", "0.001, 32000"),
        ("0123456789az", "connections", "0"),
        ("0123456789az", "subscriptions", "-1"),
        ("0123456789az", "expires_at", "'infinity'"),
        ("0123456789az", "revoked_at", "'-infinity'"),
    ] {
        let error = insert(id, column, value).unwrap_err();
        assert!(error.contains("violates check constraint"), "{id} {column} {value}: {error}");
    }
    for hashes in [
        "'{}'",
        "array['\\xab'::bytea]",
        &format!("array[{hash},{hash},{hash}]"),
        &format!("array[{hash},null]"),
    ] {
        let sql =
            format!("insert into rowcast.api_key (id, name, hashes) values ('0123456789az', 'n', {hashes})");
        let error = testkit::postgres::psql(&db.url, &sql).unwrap_err().to_string();
        assert!(error.contains("hashes_are_one_or_two"), "{hashes}: {error}");
    }
    let moved = "update rowcast.api_key set id = '000000000000'";
    let error = testkit::postgres::psql(&db.url, moved).unwrap_err().to_string();
    assert!(error.contains("never changes"), "{error}");
}

/// Runs SQL that takes one text and gives a boolean.
struct Judge {
    runtime: Runtime,
    connection: RefCell<PgConnection>,
    _db: TestDatabase,
}

impl Judge {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (db, connection) = runtime.block_on(async {
            let db = TestDatabase::migrated().await;
            let connection = PgConnection::connect(&db.url).await.unwrap();
            (db, connection)
        });
        Self { runtime, connection: connection.into(), _db: db }
    }

    fn takes(&self, pattern: &str) -> bool {
        let query = sqlx::query_scalar("select rowcast.are_patterns(array[$1])").bind(pattern);
        self.runtime.block_on(query.fetch_one(&mut *self.connection.borrow_mut())).unwrap()
    }

    fn takes_rate(&self, per_second: f64, burst: i32) -> bool {
        let query = sqlx::query_scalar("select rowcast.is_rate($1, $2)").bind(per_second).bind(burst);
        self.runtime.block_on(query.fetch_one(&mut *self.connection.borrow_mut())).unwrap()
    }
}

#[test]
fn the_table_takes_the_patterns_and_rates_that_services_understand_and_no_others() {
    let judge = Judge::new();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(2_000));
    let odd = prop_oneof![
        string_regex(r"[a*,\\ä\x07\x7f\u{85}\u{2028}\n ]{0,6}").unwrap(),
        string_regex(r"(a|\\\*|ä){97,102}\*?").unwrap(),
    ];
    runner
        .run(&odd, |text| {
            prop_assert_eq!(judge.takes(&text), text.parse::<Pattern>().is_ok(), "{:?}", text);
            Ok(())
        })
        .unwrap();
    let per_second = prop_oneof![
        Just(Rate::MIN_PER_SECOND),
        Just(Rate::MAX_PER_SECOND),
        Just(f64::NAN),
        -1.0f64..2.0,
        1e5f64..2e6,
        (-6.0f64..-3.0).prop_map(|exponent| 10f64.powf(exponent)),
    ];
    runner
        .run(&(per_second, prop_oneof![-1i32..500, any::<i32>()]), |(per_second, burst)| {
            let ours = u32::try_from(burst).is_ok_and(|burst| Rate::new(per_second, burst).is_ok());
            prop_assert_eq!(judge.takes_rate(per_second, burst), ours, "{} {}", per_second, burst);
            Ok(())
        })
        .unwrap();
}
