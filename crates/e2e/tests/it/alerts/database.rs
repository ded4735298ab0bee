//! Faults inside Postgres.

use e2e::session::Session;
use testkit::wait_for;

use super::scene::{SOON, Scene};

/// So many pages of the queue of notifications.
fn notify(pages: usize) -> String {
    format!("select pg_notify('other', n || repeat('x', 7900)) from generate_series(1, {pages}) n")
}

/// Waits until a session has listened and is in its next transaction.
async fn listens(scene: &Scene) {
    let idle =
        "select count(*) from pg_stat_activity where state = 'idle in transaction' and query = 'select 1;'";
    wait_for("a session that listens", SOON, async || match scene.stack.psql(idle).as_str() {
        "1" => Ok(()),
        other => Err(other.to_owned()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_the_database_fire_in_their_fault_and_resolve() {
    let mut scene = Scene::begin().await;

    let newest = "version = (select max(version) from rowcast._sqlx_migrations)";
    scene.stack.psql(&format!(
        "create table newest as select * from rowcast._sqlx_migrations where {newest};
         delete from rowcast._sqlx_migrations where {newest}"
    ));
    let expected = ["RowcastMigrationFailed", "RowcastConditionFails"];
    scene.fire("the schema is too old", &expected).await;
    scene.stack.psql("insert into rowcast._sqlx_migrations select * from newest");
    scene.healthy("the schema is as needed").await;

    let arguments = "(interval, interval, integer)";
    scene.stack.psql(&format!("alter function rowcast.maintain{arguments} rename to maintain_not"));
    scene.stack.listeners[0].crash_and_start().unwrap();
    let expected = ["RowcastUpkeepFailing", "RowcastPartitionsRunningOut", "RowcastConditionFails"];
    scene.fire("the upkeep fails", &expected).await;
    scene.stack.psql(&format!("alter function rowcast.maintain_not{arguments} rename to maintain"));
    scene.healthy("the upkeep has succeeded").await;

    // its transaction is open: it takes no notification, and those after its place are kept
    let mut session = Session::begin(&scene.stack).unwrap();
    session.run("commit; listen other; begin; select 1;").unwrap();
    listens(&scene).await;
    scene.stack.psql(&notify(300));
    scene.fire("notifications are kept", &["RowcastNotificationQueueFilling"]).await;
    session.commit().unwrap();
    // those that have been taken are removed when a page is full
    scene.stack.psql(&notify(10));
    scene.healthy("they are taken").await;
}
