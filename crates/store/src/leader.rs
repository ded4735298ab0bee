//! The leader's connection: taking ticks, setting the notify gate, maintenance.

use std::time::Duration;

use sqlx::FromRow;
use time::OffsetDateTime;
use wire::{Epoch, Position, Tick, resume::Head};

use crate::{
    connect::Options,
    deadline::within,
    error::{Error, Result},
    interval::interval,
    log::{Budget, Page, ReadError, TickReadings, head, identity, read_page, total},
    metrics::Statement,
    readings::{MaybeRow, TracedReading},
    session::{Access, Session},
};

/// The leader's own session with Postgres; its commits wait for the disk.
pub struct Leader {
    session: Session,
    name: String,
    /// How long a statement may take.
    limit: Duration,
}

/// Rows of a restored history that one statement marks.
const ADOPTED_AT_ONCE: i64 = 20_000;

/// Keys that one statement forgets.
const KEYS_AT_ONCE: i64 = 10_000;

/// The error of `rowcast.take_tick` when two readings share an id.
const DUPLICATE_ID: &str = "RC001";

/// The log's state when a leader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// The log's end.
    pub head: Head,
    /// About as many readings as requested follow this tick.
    pub window_start: Tick,
    /// How many readings the epoch has up to the log's end; `None` after a tick of a release before.
    pub total: Option<i64>,
    /// The same up to `window_start`.
    pub window_total: Option<i64>,
}

/// The outcome of upkeep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    /// A description of each action.
    pub actions: Vec<String>,
    /// For how many days after this one there is a partition.
    pub days_ahead: i64,
}

/// The outcome of a step.
#[derive(Debug)]
pub enum Advance {
    /// Nothing new.
    Nothing {
        /// How many transactions of the cluster were open.
        open_transactions: i64,
    },
    /// A tick was made and committed.
    Made {
        /// Its first readings, up to the requested limit.
        first: TickReadings,
    },
    /// Another leader made this tick.
    Conflict,
}

#[derive(FromRow)]
struct StepRow {
    tick: Option<i64>,
    tick_rows: Option<i64>,
    tick_total: Option<i64>,
    tick_at: Option<OffsetDateTime>,
    open_transactions: Option<i64>,
    #[sqlx(flatten)]
    row: MaybeRow,
    traceparent: Option<String>,
}

impl Leader {
    /// Connects; `name` is written into the ticks.
    pub async fn connect(options: &Options, name: &str) -> Result<Self> {
        let session = options.clone().with_peer_detection().session(Access::Write).await?;
        Ok(Self { session, name: name.to_owned(), limit: options.limit() })
    }

    /// Uses another name from now on.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The identity of this database, which no other shares: its keys in Redis are named after it.
    pub async fn identity(&mut self) -> Result<String> {
        within(self.limit, identity(&mut self.session)).await?
    }

    /// Registers the listener of that name as the leader of this database, with a lock that lasts as long as the
    /// connection.
    pub async fn register(&mut self, listener: &str) -> Result<()> {
        let lock = "select pg_advisory_lock_shared(hashtext('rowcast.leader'), hashtext($1))";
        let lock = self.session.rows(Statement::Standby, sqlx::query(lock).bind(listener));
        within(self.limit, lock).await??;
        Ok(())
    }

    /// Whether the listener of that name is registered as leader in this very database, and not in a copy of it.
    pub async fn is_led_by(&mut self, listener: &str) -> Result<bool> {
        let query = sqlx::query_scalar(
            "select exists (select from pg_locks
                             where locktype = 'advisory'
                               and database = (select oid from pg_database where datname = current_database())
                               and classid = hashtext('rowcast.leader')::oid and objid = hashtext($1)::oid)",
        );
        within(self.limit, self.session.scalar(Statement::Standby, query.bind(listener))).await?
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Starts a new epoch where the history is not that of the last epoch, or where it was `rolled_back`.
    pub async fn begin_epoch(&mut self, rolled_back: bool) -> Result<bool> {
        // each call is a transaction of its own: after an interruption the next leader continues
        loop {
            let adopt = sqlx::query_scalar("select rowcast.adopt($1)").bind(ADOPTED_AT_ONCE);
            let adopted: i64 = self.session.scalar(Statement::Repair, adopt).await?;
            if adopted == 0 {
                break;
            }
        }
        let begin = sqlx::query_scalar("select started from rowcast.begin_epoch($1, $2)");
        self.session.scalar(Statement::Repair, begin.bind(&self.name).bind(rolled_back)).await
    }

    /// The log's end, and the tick about `window` before it, from which a lost stream is rebuilt.
    pub async fn load(&mut self, window: Budget) -> Result<Loaded> {
        let head = head(&mut self.session).await?.ok_or(Error(sqlx::Error::RowNotFound))?;
        let query = sqlx::query_scalar(
            "select coalesce(max(no), $1) from (
                 select no, sum(rows) over newer as rows, sum(coalesce(bytes, 0)) over newer as bytes from (
                     select no, rows, bytes from rowcast.tick where no > $1 order by no desc limit 20000) recent
                 window newer as (order by no desc)
             ) ticks where rows > $2 or bytes > $3",
        )
        .bind(head.first_tick.0.max(head.horizon.0))
        .bind(window.rows)
        .bind(i64::try_from(window.bytes).unwrap_or(i64::MAX));
        let window_start = Tick(self.session.scalar(Statement::Head, query).await?);
        let window_total = total(&mut self.session, head.epoch, window_start).await?;
        let total = total(&mut self.session, head.epoch, head.last_tick).await?;
        Ok(Loaded { head, window_start, total, window_total })
    }

    /// Takes the tick after `prev` if there is anything new to put into it.
    pub async fn advance(&mut self, epoch: Epoch, prev: Tick, budget: Budget) -> Result<Advance> {
        let mut stepped = self.step(epoch, prev, budget, false).await;
        // a row that another transaction has locked keeps its id, so the last attempt allows duplicates
        for allow_duplicates in [false, true] {
            if stepped.as_ref().err().and_then(Error::code).as_deref() == Some(DUPLICATE_ID) {
                self.renumber(prev).await?;
                stepped = self.step(epoch, prev, budget, allow_duplicates).await;
            }
        }
        let mut stepped = match stepped {
            Ok(rows) => rows,
            Err(error) if error.is_conflict() => return Ok(Advance::Conflict),
            Err(error) => return Err(error),
        };
        let last = stepped.pop().ok_or(Error(sqlx::Error::RowNotFound))?;
        match (last.tick, last.tick_rows, last.tick_at) {
            (Some(tick), Some(rows), Some(at)) => {
                let mut first = TickReadings { rows, ..TickReadings::empty(epoch, Tick(tick), at) };
                first.total = last.tick_total;
                let traced = |row: StepRow| Some(TracedReading::new(row.row.reading()?, row.traceparent));
                stepped.into_iter().filter_map(traced).for_each(|reading| first.push(reading));
                Ok(Advance::Made { first })
            }
            _ => Ok(Advance::Nothing { open_transactions: last.open_transactions.unwrap_or(0) }),
        }
    }

    /// With `allow_duplicates` two readings may share an id; without, they fail it with [`DUPLICATE_ID`].
    async fn step(
        &mut self,
        epoch: Epoch,
        prev: Tick,
        budget: Budget,
        allow_duplicates: bool,
    ) -> Result<Vec<StepRow>> {
        let query = sqlx::query_as("select * from rowcast.take_tick($1, $2, $3, $4, $5, $6)")
            .bind(epoch.0)
            .bind(prev.0)
            .bind(&self.name)
            .bind(budget.rows)
            .bind(i64::try_from(budget.bytes).unwrap_or(i64::MAX))
            .bind(allow_duplicates);
        self.session.all(Statement::Advance, query).await
    }

    /// Gives new ids to readings after `prev` that share theirs with another, since a position must identify one reading.
    async fn renumber(&mut self, prev: Tick) -> Result<()> {
        let renumber = sqlx::query_scalar("select rowcast.renumber($1)").bind(prev.0);
        let count: i64 = self.session.scalar(Statement::Repair, renumber).await?;
        tracing::warn!(count, "duplicate reading ids replaced");
        Ok(())
    }

    /// The readings in (after, end of `upto`], a page at a time.
    pub async fn read(
        &mut self,
        after: Position,
        upto: Tick,
        budget: Budget,
    ) -> std::result::Result<Page, ReadError> {
        read_page(&mut self.session, after, upto, budget).await
    }

    /// Sets the gate so that writers do not notify: the leader is busy and reads the table anyway.
    pub async fn disable_notify(&mut self) -> Result<()> {
        self.set_gate("begin; set local synchronous_commit = off; select setval('rowcast.gate', 1); commit")
            .await
    }

    /// Sets the gate so that writers notify. The call takes a transaction id and ends it, so that the next snapshot shows
    /// every writer that had its id before the gate changed, as ended or as open: a snapshot's upper bound is the last id
    /// that ended, and without this one a writer's id could be beyond it.
    pub async fn enable_notify(&mut self) -> Result<()> {
        self.set_gate(
            "begin; set local synchronous_commit = off; select setval('rowcast.gate', 2), pg_current_xact_id(); commit",
        )
        .await
    }

    async fn set_gate(&mut self, sql: &'static str) -> Result<()> {
        let running = self.session.begin_statement(Statement::Gate);
        running.ended(sqlx::raw_sql(sql).execute(self.session.own()).await)?;
        Ok(())
    }

    /// Creates partitions in advance and deletes readings past their retention.
    pub async fn maintain(&mut self, keep: Option<Duration>, replay: Duration, ahead: i32) -> Result<Upkeep> {
        let query = sqlx::query_as("select action, object from rowcast.maintain($1, $2, $3)")
            .bind(keep.map(interval))
            .bind(interval(replay))
            .bind(ahead);
        let done = self.session.all(Statement::Maintain, query);
        let done: Vec<(String, String)> = within(self.limit, done).await??;
        let actions = done.into_iter().map(|(action, object)| format!("{action} {object}")).collect();
        self.forget_keys().await?;
        let days = sqlx::query_scalar("select rowcast.days_ahead()");
        let days: i32 = within(self.limit, self.session.scalar(Statement::Maintain, days)).await??;
        Ok(Upkeep { actions, days_ahead: days.into() })
    }

    /// Forgets the keys that are past their time, in steps, each a short transaction of its own.
    async fn forget_keys(&mut self) -> Result<()> {
        loop {
            let forget = sqlx::query_scalar("select rowcast.forget_keys($1)").bind(KEYS_AT_ONCE);
            let forgotten: i64 =
                within(self.limit, self.session.scalar(Statement::Maintain, forget)).await??;
            if forgotten < KEYS_AT_ONCE {
                return Ok(());
            }
        }
    }
}
