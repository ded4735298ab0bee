//! A migrated database for each test, in one Postgres per test program.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::postgres::Postgres;

static SERVER: OnceLock<Postgres> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);
static TEMPLATE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();

/// A database that no other test uses.
#[derive(Debug)]
pub struct TestDatabase {
    /// Its name on the server.
    pub name: String,
    /// How to reach it.
    pub url: String,
}

impl TestDatabase {
    /// With the current schema.
    pub async fn migrated() -> Self {
        TEMPLATE
            .get_or_init(|| async {
                let template = Self::create("migrated", "template0");
                let options = template.options();
                store::schema::migrate(&options, Duration::from_secs(30)).await.expect("the schema is made");
            })
            .await;
        Self::create(&format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed)), "migrated")
    }

    /// Without any schema.
    pub fn empty() -> Self {
        Self::create(&format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed)), "template0")
    }

    /// The server of all of them.
    pub fn server() -> &'static Postgres {
        server()
    }

    /// The URL of a new user who has this role only.
    pub fn url_as(&self, role: &str) -> String {
        let user = format!("{role}_of_{}", self.name);
        self.psql(&format!("create role {user} login in role {role}"));
        self.url.replace("postgres@", &format!("{user}@"))
    }

    /// How the store reaches it.
    pub fn options(&self) -> store::Options {
        store::Options::new(&self.url, "test").expect("a URL made here")
    }

    /// Runs SQL with psql and gives what it printed.
    pub fn psql(&self, sql: &str) -> String {
        server().psql(&self.name, sql).expect("the SQL runs")
    }

    fn create(name: &str, template: &str) -> Self {
        server()
            .psql("postgres", &format!("create database {name} template {template}"))
            .expect("a database is made");
        Self { name: name.to_owned(), url: server().url(name) }
    }
}

fn server() -> &'static Postgres {
    SERVER.get_or_init(|| Postgres::start().expect("Postgres starts"))
}
