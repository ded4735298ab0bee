//! What the roles may not do: every statement on every object of the schema is tried as every role.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use sqlx::{Connection, Executor, PgConnection};
use store::Options;
use testkit::TestDatabase;

/// In the order of the columns of the tables below.
const ROLES: [&str; 4] = ["rowcast_keys", "rowcast_ingest", "rowcast_gateway", "rowcast_listener"];

/// What each role may do with some column of a table: `r`ead, `i`nsert, `u`pdate; nobody may `d`elete or `t`runcate.
const TABLES: &[(&str, [&str; 4])] = &[
    ("public.sensor_readings", ["", "ri", "r", "r"]),
    ("rowcast._sqlx_migrations", ["r", "r", "r", "r"]),
    ("rowcast.api_key", ["riu", "r", "r", ""]),
    ("rowcast.deletion", ["", "", "", ""]),
    ("rowcast.epoch", ["", "", "r", "r"]),
    ("rowcast.key_audit", ["r", "", "", ""]),
    ("rowcast.partition", ["", "", "", ""]),
    ("rowcast.reading_key", ["", "ri", "", ""]),
    // every partition
    ("rowcast.readings_*", ["", "", "", ""]),
    ("rowcast.request_key", ["", "ri", "", ""]),
    ("rowcast.revocation", ["riu", "r", "r", ""]),
    ("rowcast.tick", ["", "", "r", "ri"]),
    ("rowcast.unfit_readings", ["", "", "", ""]),
];

/// What each role may do with a sequence: `r`ead, take the `n`ext value, `s`et it.
const SEQUENCES: &[(&str, [&str; 4])] = &[
    ("public.sensor_readings_id_seq", ["", "n", "", ""]),
    ("rowcast.change", ["", "", "", ""]),
    // writers see whether the gate is closed
    ("rowcast.gate", ["r", "r", "r", "rns"]),
    ("rowcast.key_audit_no_seq", ["", "", "", ""]),
];

/// The roles that may call a function. One that everyone may call acts with the caller's rights.
const ALL: [&str; 4] = ["x"; 4];
const NONE: [&str; 4] = [""; 4];
const KEYS: [&str; 4] = ["x", "", "", ""];
const INGEST: [&str; 4] = ["", "x", "", ""];
const FOLLOWERS: [&str; 4] = ["", "x", "x", ""];
const LISTENER: [&str; 4] = ["", "", "", "x"];

const FUNCTIONS: &[(&str, [&str; 4])] = &[
    ("public.notify_sensor_update", ALL),
    ("rowcast.adopt", LISTENER),
    ("rowcast.advance", ALL),
    ("rowcast.are_patterns", ALL),
    ("rowcast.audit_key", NONE),
    ("rowcast.audit_revocation", NONE),
    ("rowcast.begin_change", ALL),
    ("rowcast.begin_epoch", LISTENER),
    ("rowcast.between_snapshots", ALL),
    ("rowcast.change_state", FOLLOWERS),
    ("rowcast.claim_requests", INGEST),
    ("rowcast.correct_row", ALL),
    ("rowcast.count_between", ALL),
    ("rowcast.count_deletion", NONE),
    ("rowcast.days_ahead", ALL),
    ("rowcast.difference", ALL),
    ("rowcast.first_tick_past", ALL),
    ("rowcast.forget_keys", LISTENER),
    ("rowcast.identity", ALL),
    ("rowcast.is_rate", ALL),
    ("rowcast.keep_xid", ALL),
    ("rowcast.last_tick_before", ALL),
    ("rowcast.log_chunk", ALL),
    ("rowcast.log_page", ALL),
    ("rowcast.maintain", LISTENER),
    ("rowcast.make_partition", NONE),
    ("rowcast.note_use", FOLLOWERS),
    ("rowcast.number_change", NONE),
    ("rowcast.purge_keys", KEYS),
    ("rowcast.refuse_change", ALL),
    ("rowcast.renumber", LISTENER),
    ("rowcast.start_count", ALL),
    ("rowcast.take_tick", ALL),
    ("rowcast.tick_chunk", ALL),
    ("rowcast.tick_page", ALL),
    ("rowcast.ticks_page", ALL),
    ("rowcast.told", ALL),
    ("rowcast.told_large", ALL),
    ("rowcast.trace_of", ALL),
];

/// Statements that no role may run, beside those of the tables above.
const EVERYONE: &[&str] = &[
    "update rowcast.api_key set used_at = now()",
    "update rowcast.api_key set id = 'zzzzzzzzzzzz'",
    "update rowcast.api_key set changed = 0",
    "update rowcast.revocation set value = 'x'",
    "alter table rowcast.api_key disable trigger all",
    "drop table rowcast.tick",
    "set session_replication_role = replica",
    "create trigger forged before insert on rowcast.api_key for each row execute function rowcast.audit_key()",
    "create temp table t (); create trigger forged after insert on t for each row execute function rowcast.audit_key()",
    "insert into rowcast.request_key (id, request, status, body, created_at) values (sha256('x'), sha256('x'), 204, '', now())",
    "create table rowcast.more ()",
    "create table public.more ()",
    "create function rowcast.more() returns int language sql as 'select 1'",
    "create schema more",
    "create role more",
    "set role postgres",
    "copy rowcast._sqlx_migrations to program 'true'",
];

/// What a role may do with a key in part only: it is refused for the other columns.
const IN_PART: &[(&str, &str)] = &[
    (
        "rowcast_keys",
        "insert into rowcast.api_key (id, name, hashes, used_at) values ('zzzzzzzzzzzz', 'x', array[sha256('x')], now())",
    ),
    (
        "rowcast_keys",
        "insert into rowcast.revocation (issuer, kind, value, expires_at, changed) values ('i', 'jti', 'x', now(), 1)",
    ),
    ("rowcast_ingest", "select used_at from rowcast.api_key"),
    ("rowcast_gateway", "select used_at from rowcast.api_key"),
    (
        "rowcast_ingest",
        "insert into public.sensor_readings (sensor_id, value, created_at) values ('a', 1, now())",
    ),
    ("rowcast_ingest", "insert into public.sensor_readings (sensor_id, value, xid) values ('a', 1, default)"),
];

struct Tried {
    connection: PgConnection,
    role: &'static str,
}

impl Tried {
    async fn connect(db: &TestDatabase, role: &'static str) -> Self {
        let options = Options::new(&db.url_as(role), "test").unwrap();
        Self { connection: options.connect().await.unwrap(), role }
    }

    /// The message with which a statement is refused for a lack of rights; it changes nothing in any case.
    async fn refusal(&mut self, sql: &str) -> Option<String> {
        let mut transaction = self.connection.begin().await.unwrap();
        let error = transaction.execute(sqlx::AssertSqlSafe(sql)).await.err();
        transaction.rollback().await.unwrap();
        let error = error?.into_database_error().unwrap();
        (error.code().as_deref() == Some("42501")).then(|| error.message().to_owned())
    }

    async fn is_refused(&mut self, sql: &str) {
        assert!(self.refusal(sql).await.is_some(), "{} may: {sql}", self.role);
    }
}

/// Each object with the rights that are not refused, of each role; `statements` are object, right, and how to use it.
async fn found(db: &TestDatabase, tried: &mut [Tried], statements: &str) -> BTreeMap<String, [String; 4]> {
    let mut found: BTreeMap<String, [String; 4]> = BTreeMap::new();
    for line in db.psql(statements).lines() {
        let [object, right, sql] = line.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let rights = found.entry(object.to_owned()).or_default();
        for (role, rights) in tried.iter_mut().zip(rights) {
            let refusal = role.refusal(sql).await;
            // a function that may be called may be refused something within
            let is_refused = refusal.is_some_and(|refusal| {
                right != "x" || refusal.ends_with(&format!("function {}", object.split_once('.').unwrap().1))
            });
            if !is_refused && !rights.contains(right) {
                rights.push_str(right);
            }
        }
    }
    found
}

/// Finds exactly these objects with exactly these rights.
#[track_caller]
fn check(found: &BTreeMap<String, [String; 4]>, expected: &[(&str, [&str; 4])]) {
    let expected: BTreeMap<String, [String; 4]> =
        expected.iter().map(|(object, rights)| ((*object).to_owned(), rights.map(str::to_owned))).collect();
    let differ = |(object, rights): &(&String, &[String; 4])| expected.get(*object) != Some(rights);
    let more: Vec<_> = found.iter().filter(differ).collect();
    assert!(more.is_empty(), "of {ROLES:?}: {more:#?}");
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
}

#[tokio::test]
async fn every_role_is_refused_what_is_not_listed_here() {
    let db = TestDatabase::migrated().await;
    let mut tried = Vec::new();
    for role in ROLES {
        tried.push(Tried::connect(&db, role).await);
    }
    // one partition stands for its kind in the list, and all of them are tried
    let tables = "
        with tables as (
            select c.oid, case when relispartition then 'rowcast.readings_*' else c.oid::regclass::text end as named,
                   format('%I.%I', nspname, relname) as name
              from pg_class c join pg_namespace n on n.oid = relnamespace
             where nspname in ('rowcast', 'public') and relkind in ('r', 'p', 'v', 'm', 'f')),
        columns as (select tables.*, quote_ident(attname) as col from tables join pg_attribute on attrelid = tables.oid
                     where attnum > 0 and not attisdropped)
        select named, r, format(sql, name, col) from columns,
               (values ('r', 'select %2$s from %1$s'), ('i', 'insert into %1$s (%2$s) values (default)'),
                       ('u', 'update %1$s set %2$s = default')) of_columns (r, sql)
        union all
        select named, r, format(sql, name) from tables, (values ('d', 'delete from %s'), ('t', 'truncate %s')) whole (r, sql)
        order by 1, 3";
    let tables = found(&db, &mut tried, &format!("set search_path = pg_catalog; {tables}")).await;
    check(&sorted(tables), TABLES);
    let sequences = "
        select s.oid::regclass, r, format(sql, s.oid::regclass) from pg_class s join pg_namespace n on n.oid = relnamespace,
               (values ('r', 'select last_value from %s'), ('n', 'select nextval(''%s'')'), ('s', 'select setval(''%s'', 1)')) of_all (r, sql)
         where nspname in ('rowcast', 'public') and relkind = 'S'";
    let sequences = found(&db, &mut tried, &format!("set search_path = pg_catalog; {sequences}")).await;
    check(&sorted(sequences), SEQUENCES);
    let functions = "
        select p.oid::regproc, 'x', format('select %s(%s)', p.oid::regproc,
               (select string_agg('null::' || format_type(t, null), ', ') from unnest(proargtypes::oid[]) t))
          from pg_proc p where pronamespace in ('rowcast'::regnamespace, 'public'::regnamespace)";
    let functions = found(&db, &mut tried, &format!("set search_path = pg_catalog; {functions}")).await;
    check(&functions, FUNCTIONS);
    // two triggers of every writer, and two that read what is no secret
    let open = "select string_agg(oid::regproc::text, ' ' order by proname) from pg_proc
                 where pronamespace in ('rowcast'::regnamespace, 'public'::regnamespace) and prosecdef
                   and has_function_privilege('public', oid, 'execute')";
    let listed = "rowcast.correct_row rowcast.days_ahead rowcast.identity notify_sensor_update";
    assert_eq!(db.psql(open), listed, "functions with their owner's rights that everyone may call");
}

/// With the rights of each role in one order.
fn sorted(found: BTreeMap<String, [String; 4]>) -> BTreeMap<String, [String; 4]> {
    let order = |rights: String| "rinusdtx".chars().filter(|right| rights.contains(*right)).collect();
    found.into_iter().map(|(object, rights)| (object, rights.map(order))).collect()
}

#[tokio::test]
async fn what_is_outside_a_roles_columns_and_schema_is_refused() {
    let db = TestDatabase::migrated().await;
    db.psql(
        "insert into rowcast.api_key (id, name, write_patterns, hashes, changed)
         values ('000000000001', 'boiler', '{*}', array[sha256('secret')], 0)",
    );
    for role in ROLES {
        let mut tried = Tried::connect(&db, role).await;
        for sql in EVERYONE {
            tried.is_refused(sql).await;
        }
        for other in ROLES.into_iter().filter(|other| *other != role) {
            tried.is_refused(&format!("grant {other} to current_user")).await;
            tried.is_refused(&format!("set role {other}")).await;
        }
        for (_, sql) in IN_PART.iter().filter(|(of, _)| *of == role) {
            tried.is_refused(sql).await;
        }
    }
    let now = "select name, used_at is null, revoked_at is null from rowcast.api_key";
    assert_eq!(db.psql(now), "boiler|t|t");
}
