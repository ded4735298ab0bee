//! Keeps what is known up to date: a service that checks credentials asks for what has changed, and needs no LISTEN.

use std::{sync::Arc, time::Duration};

use chassis::{Condition, Fault, Life, Outage};
use store::{Database, keys::Followed};
use tokio::time::{Instant, sleep};

use crate::{judge::Judge, known::Renewal, meter::Metering};

/// How often Postgres is asked for changes of keys and revocations. They are in force everywhere within 5 s, a slow answer
/// included.
const EVERY: Duration = Duration::from_secs(1);

/// How often it is noted which keys were used, and revocations that have ended are forgotten.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked which issuers' keys are due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Follows keys and revocations. While Postgres is away, the last known ones stay in force.
pub(crate) async fn follow_keys(judge: Arc<Judge>, database: Database, ready: Condition, life: Life) {
    let (mut followed, mut outage) = (Followed::default(), Outage::new("following device keys"));
    let (mut is_known, mut note_at) = (false, Instant::now() + NOTE_EVERY);
    loop {
        match catch_up(&judge, &database, &mut followed).await {
            Ok(()) => {
                outage.ends();
                is_known = true;
                ready.hold();
            }
            Err(error) => {
                judge.metrics.failures.inc();
                let cause = outage.fails(&error);
                if !is_known {
                    ready.fail(Fault::Shared(format!("the device keys were not read yet: {cause}")));
                }
            }
        }
        if Instant::now() >= note_at {
            note_at = Instant::now() + NOTE_EVERY;
            note(&judge, &database).await;
        }
        if life.soft().run_until_cancelled(sleep(EVERY)).await.is_none() {
            note(&judge, &database).await;
            return;
        }
    }
}

/// Reads to the last change.
async fn catch_up(judge: &Judge, database: &Database, followed: &mut Followed) -> store::Result<()> {
    let (mut at, mut renewal, mut changed) = (followed.clone(), Renewal::default(), false);
    loop {
        let page = database.changes_since(&at).await?;
        at = page.followed.clone();
        let more = page.more;
        changed |= judge.known.apply(page, &mut renewal);
        if !more {
            break;
        }
    }
    judge.known.renew(renewal);
    *followed = at;
    if changed {
        judge.metrics.keys.set(i64::try_from(judge.known.keys()).unwrap_or(i64::MAX));
        judge.tell();
    }
    Ok(())
}

/// Notes which keys were used. What cannot be noted is left out: it only tells people which keys are idle.
async fn note(judge: &Judge, database: &Database) {
    judge.known.purge(judge.now());
    let used = judge.known.take_used();
    if !used.is_empty()
        && let Err(error) = database.note_use(&used).await
    {
        tracing::debug!(error = &error as &dyn std::error::Error, "cannot note which keys were used");
    }
}

/// Reads the keys of issuers when they are due.
pub(crate) async fn follow_issuers(judge: Arc<Judge>, ready: Condition, life: Life) {
    loop {
        judge.issuers.refresh_due().await;
        match judge.issuers.missing() {
            None => ready.hold(),
            Some(issuer) => ready.fail(format!("the keys of {issuer} were not read yet")),
        }
        if life.soft().run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Forgets the rates of those who were silent for long.
pub(crate) async fn forget_silent(metering: Arc<Metering>, life: Life) {
    while life.soft().run_until_cancelled(sleep(NOTE_EVERY)).await.is_some() {
        metering.purge();
    }
}
