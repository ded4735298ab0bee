//! Tickets: `EventSource` and the demo's clients can neither set a header nor send a first message; they bring one in their URL.
//! Redis keeps for whom it was made, so that any gateway can take it, and only one does.

use std::time::{Duration, Instant};

use access::Holder;
use auth::Ticket;
use chassis::Outage;
use store::Database;
use tokio::{sync::Mutex, time::timeout};

/// After this time the connection is made anew: the database may be another one by then, and so are the names of its keys.
const RENEW_AFTER: Duration = Duration::from_secs(60);

/// How long a client waits for Redis, however many others wait for a connection.
const LIMIT: Duration = Duration::from_secs(3);

/// Tickets of all gateways of a database.
pub(crate) struct Tickets {
    redis: bus::Options,
    database: Database,
    kept: Mutex<Option<(Instant, bus::Tickets)>>,
    /// Anybody can send what looks like a ticket: that they fail is logged once.
    outage: parking_lot::Mutex<Outage>,
}

/// Why a ticket could not be kept or looked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("redis does not keep tickets at present")]
    Redis(#[from] bus::Error),
    #[error("the database's name for its tickets cannot be read")]
    Database(#[from] store::Error),
    #[error("neither Redis nor the database answers in time")]
    Silent,
    #[error("a ticket cannot be written")]
    Text(#[from] serde_json::Error),
}

impl Tickets {
    pub(crate) fn new(redis: bus::Options, database: Database) -> Self {
        let outage = parking_lot::Mutex::new(Outage::new("keeping tickets"));
        Self { redis, database, kept: Mutex::default(), outage }
    }

    /// Makes a ticket for this holder.
    pub(crate) async fn issue(&self, holder: &Holder) -> Result<Ticket, Unavailable> {
        let ticket = Ticket::new(rand::random());
        let (name, holder) = (ticket.hash().to_hex(), serde_json::to_string(holder)?);
        let put = async { Ok(self.connection().await?.put(&name, &holder, Ticket::LIFETIME).await?) };
        self.in_time(put).await?;
        Ok(ticket)
    }

    /// For whom this ticket was made; none if it is not known, was used or has expired. It is used from now on.
    pub(crate) async fn redeem(&self, ticket: &Ticket) -> Result<Option<Holder>, Unavailable> {
        let name = ticket.hash().to_hex();
        let taken = self.in_time(async { Ok(self.connection().await?.take(&name).await?) }).await?;
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
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let answer = timeout(LIMIT, answer).await.unwrap_or(Err(Unavailable::Silent));
        match &answer {
            Ok(_) => self.outage.lock().ends(),
            Err(error) => {
                // whoever holds it makes it anew
                if let Ok(mut kept) = self.kept.try_lock() {
                    *kept = None;
                }
                self.outage.lock().fails(error);
            }
        }
        answer
    }
}
