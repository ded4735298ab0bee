//! Several hosts in the services' URLs: after a promotion they follow the primary by themselves.

use std::time::Duration;

use e2e::{
    Plan, Stack, Trial,
    stack::{DATABASE, all_at, borrowed},
};
use nix::sys::signal::Signal;
use testkit::{Postgres, postgres::free_port};

#[tokio::test(flavor = "multi_thread")]
async fn all_services_follow_a_promotion_and_nothing_is_lost() {
    // what is acknowledged is at the standby too
    let primary = Postgres::start_with(&["synchronous_standby_names=*"]).unwrap();
    let standby = primary.start_standby().unwrap();
    let at = |port: u16| format!("127.0.0.1:{port}");
    let hosts = [free_port().unwrap(), primary.port(), standby.port()].map(at).join(",");
    let url = format!("postgres://postgres@{hosts}/{DATABASE}");
    let env = all_at(&url);
    let plan = Plan { gateways: 2, listeners: 1 };
    let mut trial = Trial::begin(Stack::start_on(primary, None, plan, &borrowed(&env)).await.unwrap()).await;
    trial.stack.postgres.process().end(Signal::SIGQUIT, Duration::from_secs(10)).unwrap();
    standby.promote().unwrap();
    let gone = std::mem::replace(&mut trial.stack.postgres, standby);
    drop(gone);
    for _ in 0..3 {
        trial.progress("readings by the promoted standby").await;
    }
    let summary = trial.end().await.unwrap();
    assert!(summary.readings > 40 && summary.clients == 4, "{summary:?}");
}
