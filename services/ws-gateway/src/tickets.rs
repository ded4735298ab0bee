//! Tickets: `EventSource` and the demo's clients can neither set a header nor send a first message; they bring one in their URL.
//! Redis keeps for whom it was made, so that any gateway can take it, and only one does.

use std::time::{Duration, Instant};

use access::Holder;
use auth::Ticket;
use store::Database;
use tokio::sync::Mutex;

/// After this time the connection is made anew: the database may be another one by then, and so are the names of its keys.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// Tickets of all gateways of a database.
pub(crate) struct Tickets {
    redis: bus::Options,
    database: Database,
    kept: Mutex<Option<(Instant, bus::Tickets)>>,
}

/// Why a ticket could not be kept or looked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("redis does not keep tickets at present")]
    Redis(#[from] bus::Error),
    #[error("the database's name for its tickets cannot be read")]
    Database(#[from] store::Error),
    #[error("a ticket cannot be written")]
    Text(#[from] serde_json::Error),
}

impl Tickets {
    pub(crate) fn new(redis: bus::Options, database: Database) -> Self {
        Self { redis, database, kept: Mutex::default() }
    }

    /// Makes a ticket for this holder.
    pub(crate) async fn issue(&self, holder: &Holder) -> Result<Ticket, Unavailable> {
        let ticket = Ticket::new(rand::random());
        let (name, holder) = (ticket.hash().to_hex(), serde_json::to_string(holder)?);
        let mut redis = self.connection().await?;
        let put = redis.put(&name, &holder, Ticket::LIFETIME).await;
        self.checked(put).await?;
        Ok(ticket)
    }

    /// For whom this ticket was made; none if it is not known, was used or has expired. It is used from now on.
    pub(crate) async fn redeem(&self, ticket: &Ticket) -> Result<Option<Holder>, Unavailable> {
        let mut redis = self.connection().await?;
        let taken = redis.take(&ticket.hash().to_hex()).await;
        let taken = self.checked(taken).await?;
        Ok(taken.and_then(|holder| serde_json::from_str(&holder).ok()))
    }

    async fn connection(&self) -> Result<bus::Tickets, Unavailable> {
        // others wait for the same connection
        let mut kept = self.kept.lock().await;
        if let Some((_, open)) = kept.as_ref().filter(|(since, _)| since.elapsed() < RENEW_AFTER) {
            return Ok(open.clone());
        }
        let identity = self.database.identity().await?;
        let open = bus::Tickets::connect(&self.redis.of(&identity)).await?;
        *kept = Some((Instant::now(), open.clone()));
        Ok(open)
    }

    /// A connection that failed is not used again.
    async fn checked<T>(&self, answer: bus::Result<T>) -> Result<T, Unavailable> {
        if answer.is_err() {
            *self.kept.lock().await = None;
        }
        Ok(answer?)
    }
}
