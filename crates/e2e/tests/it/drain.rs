//! A gateway that stops: its clients are notified, spread over time, and miss nothing.

use std::time::Duration;

use e2e::{
    Plan, Stack,
    client::{messages_until, subscribed},
};
use nix::sys::signal::Signal;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_paced_spread_and_over_in_time() {
    let mut stack = Stack::start(Plan { gateways: 2, listeners: 1 }).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(subscribed(stack.gateways[0].public(), "{}").await.0);
    }
    stack.gateways[0].process.signal(Signal::SIGTERM).unwrap();
    let began = Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for mut socket in clients {
        waiting.spawn(async move {
            let last = messages_until(&mut socket, |message| message.bye.is_some()).await;
            (Instant::now(), last.last().unwrap().bye.clone().unwrap())
        });
    }
    let mut byes: Vec<_> = waiting.join_all().await;
    byes.sort_by_key(|(at, _)| *at);
    assert!(byes.iter().all(|(_, bye)| bye.code == 1012 && bye.resume));
    let (first, last) = (byes[0].0, byes[99].0);
    assert!(last - first > Duration::from_secs(2), "not all at once: {:?}", last - first);
    assert!(last - began < Duration::from_secs(15), "the demo's page would not reconnect later");
    let mut times: Vec<u64> = byes.iter().filter_map(|(_, bye)| bye.after_ms).collect();
    times.sort_unstable();
    times.dedup();
    assert!(times.len() > 50, "clients reconnect at different times: {times:?}");
    assert_eq!(stack.gateways.remove(0).process.wait(Duration::from_secs(25)).unwrap(), Some(0));
}
