//! Injected faults: each begins, lasts and is removed; the installation must then recover by itself.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use testkit::proxy::LinkState;
use tokio::time::{Instant, sleep};

use crate::{session::Session, stack::Stack};

/// The duration of a fault that has no end of its own.
const LASTS: Duration = Duration::from_secs(3);

/// A network connection between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// ingest and Postgres.
    IngestPostgres,
    /// A gateway and Postgres.
    GatewayPostgres,
    /// A gateway and Redis.
    GatewayRedis,
    /// A listener and Postgres.
    ListenerPostgres,
    /// A listener and Redis.
    ListenerRedis,
}

impl Link {
    /// Every pair of connected processes.
    pub const ALL: [Self; 5] = [
        Self::IngestPostgres,
        Self::GatewayPostgres,
        Self::GatewayRedis,
        Self::ListenerPostgres,
        Self::ListenerRedis,
    ];
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to a listener, and a new one.
    ListenerKilled,
    /// SIGSTOP to a listener; it continues later, when another may have become leader.
    ListenerStopped,
    /// SIGKILL to Redis, which restarts empty.
    RedisKilled,
    /// FLUSHALL.
    RedisFlushed,
    /// The stream's last entries deleted by hand.
    TailRolledBack,
    /// The LISTEN session terminated by the server, every second.
    ListenSessionKilled,
    /// No notifications: the trigger is disabled.
    TriggerDisabled,
    /// Postgres stopped at once, as a crash would, and started.
    PostgresCrashed,
    /// A transaction that stays open for 10 s while others commit.
    LongTransaction,
    /// Ids that commit in reverse.
    ReverseCommits,
    /// 50,000 rows in one transaction.
    HugeTransaction,
    /// A row of 60 kB.
    BigRow,
    /// SIGKILL to a gateway, and a new one.
    GatewayKilled,
    /// A connection that carries nothing for a while.
    Frozen(Link),
    /// A connection that is cut and restored.
    Cut(Link),
}

impl Fault {
    /// Every fault.
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::ListenerKilled,
            Self::ListenerStopped,
            Self::RedisKilled,
            Self::RedisFlushed,
            Self::TailRolledBack,
            Self::ListenSessionKilled,
            Self::TriggerDisabled,
            Self::PostgresCrashed,
            Self::LongTransaction,
            Self::ReverseCommits,
            Self::HugeTransaction,
            Self::BigRow,
            Self::GatewayKilled,
        ];
        all.extend(Link::ALL.map(Self::Frozen));
        all.extend(Link::ALL.map(Self::Cut));
        all
    }

    /// Injects it, waits for its duration, and removes it.
    pub async fn inject(self, stack: &mut Stack) -> Result<()> {
        match self {
            Self::ListenerKilled => stack.listeners[0].crash_and_start(),
            Self::ListenerStopped => {
                stack.listeners[0].process.signal(Signal::SIGSTOP)?;
                sleep(LASTS).await;
                stack.listeners[0].process.signal(Signal::SIGCONT)
            }
            Self::RedisKilled => stack.redis.crash_and_start(),
            Self::RedisFlushed => stack.redis.command(&["FLUSHALL"]).map(|_| ()),
            Self::TailRolledBack => roll_back_tail(stack),
            Self::ListenSessionKilled => kill_listen_sessions(stack).await,
            Self::TriggerDisabled => {
                stack.psql("alter table sensor_readings disable trigger sensor_update_trigger");
                sleep(LASTS).await;
                stack.psql("alter table sensor_readings enable always trigger sensor_update_trigger");
                Ok(())
            }
            Self::PostgresCrashed => stack.postgres.crash_and_start(),
            Self::LongTransaction => {
                let mut session = Session::begin(stack)?;
                session.run("insert into sensor_readings (sensor_id, value) values ('long', 1);")?;
                sleep(Duration::from_secs(10)).await;
                session.run("insert into sensor_readings (sensor_id, value) values ('long', 2);")?;
                session.commit()
            }
            Self::ReverseCommits => reverse_commits(stack),
            Self::HugeTransaction => {
                stack.psql("insert into sensor_readings (sensor_id, value) select 'huge', n from generate_series(1, 50000) n");
                Ok(())
            }
            Self::BigRow => {
                stack.psql("insert into sensor_readings (sensor_id, value, metadata) values ('big', 1, jsonb_build_object('text', repeat('x', 60000)))");
                Ok(())
            }
            Self::GatewayKilled => stack.gateways[0].crash_and_start(),
            Self::Frozen(link) => set_for_a_while(stack, link, LinkState::Frozen).await,
            Self::Cut(link) => set_for_a_while(stack, link, LinkState::Cut).await,
        }
        .with_context(|| format!("injecting {self:?}"))
    }
}

/// Sets the state of a link, and opens it again.
async fn set_for_a_while(stack: &Stack, link: Link, state: LinkState) -> Result<()> {
    let proxy = match link {
        Link::IngestPostgres => Some(&stack.ingest.to_postgres),
        Link::GatewayPostgres => Some(&stack.gateways[0].to_postgres),
        Link::GatewayRedis => stack.gateways[0].to_redis.as_ref(),
        Link::ListenerPostgres => Some(&stack.listeners[0].to_postgres),
        Link::ListenerRedis => stack.listeners[0].to_redis.as_ref(),
    };
    let proxy = proxy.context("this service has no such link")?;
    proxy.set(state);
    sleep(LASTS).await;
    proxy.set(LinkState::Open);
    Ok(())
}

fn roll_back_tail(stack: &Stack) -> Result<()> {
    let epoch = stack.psql("select max(epoch) from rowcast.epoch");
    let identity = stack.psql("select rowcast.identity()");
    let key = format!("{{rowcast:{identity}}}:stream:{epoch}");
    let last = stack.redis.command(&["XREVRANGE", &key, "+", "-", "COUNT", "5"])?;
    let ids = last.lines().filter(|line| {
        let id = line.split_once('-');
        id.is_some_and(|(tick, id)| {
            [tick, id].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    });
    for id in ids {
        stack.redis.command(&["XDEL", &key, id])?;
    }
    Ok(())
}

async fn kill_listen_sessions(stack: &Stack) -> Result<()> {
    let until = Instant::now() + LASTS;
    while Instant::now() < until {
        stack.psql(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where query ilike 'listen %' or query = 'select 1' and application_name = 'rowcast notify-listener'",
        );
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Five transactions take ids one after the other and commit from the last to the first.
fn reverse_commits(stack: &Stack) -> Result<()> {
    let mut sessions = Vec::new();
    for value in 0..5 {
        let mut session = Session::begin(stack)?;
        session
            .run(&format!("insert into sensor_readings (sensor_id, value) values ('reverse', {value});"))?;
        sessions.push(session);
    }
    sessions.into_iter().rev().try_for_each(Session::commit)
}
