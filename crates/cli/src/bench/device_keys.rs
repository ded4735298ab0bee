//! Device keys of a load: each request presents the next of them.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use auth::{KeyId, KeyRecord, KeyText, Limits, Scope, Secrets};
use tokio::time::{Instant, sleep};

use super::{http::Connection, socket::Address};
use crate::database;

/// Each change of keys is known everywhere after 5 s; so many of them at once may take longer.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(100);

/// The header field with each key, in the order of their use.
#[derive(Debug, Clone)]
pub(super) struct DeviceKeys(Arc<[String]>);

impl DeviceKeys {
    /// Stores so many keys, and waits until ingest knows them. Their secrets are no secrets: they are of a stack that is measured.
    pub(super) async fn store(count: u32, database: &str, ingest: &Address) -> anyhow::Result<Self> {
        let write = Scope::parse(&["bench-*"])?;
        let keys = (0..u64::from(count)).map(|number| {
            let mut secret = [0; 32];
            secret[..8].copy_from_slice(&number.to_le_bytes());
            let key = KeyText::new(KeyId::from_random(number.to_le_bytes()), secret);
            let record = KeyRecord {
                id: key.id(),
                name: "bench".to_owned(),
                write: write.clone(),
                read: Scope::none(),
                limits: Limits::default(),
                expires_at: None,
                is_revoked: false,
                secrets: Secrets::one(key.hash()),
            };
            (format!("Authorization: Bearer {}\r\n", key.expose()), record)
        });
        let (fields, records): (Vec<String>, Vec<KeyRecord>) = keys.unzip();
        database::keys(Some(database)).await?.import(&records).await?;
        let last = fields.last().context("at least one key is needed")?;
        let until = Instant::now() + KNOWN_WITHIN;
        // nothing is stored of an empty list
        while Connection::open(ingest).await?.post(last, b"[]").await?.status == 401 {
            ensure!(Instant::now() < until, "ingest does not know the keys after {KNOWN_WITHIN:?}");
            sleep(POLL).await;
        }
        Ok(Self(fields.into()))
    }

    /// That of the load's request with this number.
    pub(super) fn of(&self, request: u64) -> &str {
        // a count of keys fits into u32
        &self.0[(request % self.0.len() as u64) as usize]
    }
}
