//! Many candidates and a real API server, which is stopped and goes on again. Runs where `KUBECONFIG` names a cluster
//! and `ROWCAST_CLUSTER_PAUSE_API`, `ROWCAST_CLUSTER_RESUME_API` hold the commands that stop its API server and let it go on.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that says what it measured")]

use std::{
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use lease::{Candidate, Change, Config, Elections, Metrics, Mode, Timing};
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const CANDIDATES: usize = 12;

/// A leadership as its holder had it.
#[derive(Debug, Clone, Copy)]
struct Reign {
    who: usize,
    term: u64,
    by: Change,
    began: Instant,
    ended: Option<Instant>,
}

type Reigns = Arc<Mutex<Vec<Reign>>>;

async fn candidate(name: &str, number: usize) -> (Candidate, Elections) {
    let config = Config { mode: Mode::Kubernetes, name: name.to_owned(), ..Config::default() };
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let (candidate, elections, _silent) =
        lease::stand(&config, &format!("pod-{number}"), "1", metrics).await.unwrap();
    (candidate, elections)
}

async fn lead(number: usize, mut elections: Elections, reigns: Reigns) {
    loop {
        let leadership = elections.won().await;
        let reign = Reign {
            who: number,
            term: leadership.term(),
            by: leadership.by(),
            began: Instant::now(),
            ended: None,
        };
        let at = {
            let mut reigns = reigns.lock().unwrap();
            reigns.push(reign);
            reigns.len() - 1
        };
        leadership.lost().await;
        reigns.lock().unwrap()[at].ended = Some(Instant::now());
    }
}

/// Who leads now.
fn leader(reigns: &Reigns) -> Option<Reign> {
    reigns.lock().unwrap().iter().copied().find(|reign| reign.ended.is_none())
}

/// Waits for a leader other than in `before`; how long it took.
async fn next_leader(reigns: &Reigns, before: u64, within: Duration) -> (Reign, Duration) {
    let began = Instant::now();
    let found = timeout(within, async {
        loop {
            match leader(reigns) {
                Some(reign) if reign.term > before => return reign,
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    });
    (found.await.expect("somebody leads in time"), began.elapsed())
}

fn command(variable: &str) {
    let command = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
}

/// The API server stands still as long as it exists, also when the test fails.
struct Pause;

impl Pause {
    fn begin() -> Self {
        command("ROWCAST_CLUSTER_PAUSE_API");
        Self
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        command("ROWCAST_CLUSTER_RESUME_API");
    }
}

#[tokio::test]
async fn one_of_many_leads_through_releases_and_an_api_server_that_stops() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let name = format!("elections-{}", std::process::id());
    let reigns = Reigns::default();
    let (mut running, mut leading) = (JoinSet::new(), JoinSet::new());
    let mut stops = Vec::new();
    for number in 0..CANDIDATES {
        let (candidate, elections) = candidate(&name, number).await;
        let (stop, stopped) = oneshot::channel::<()>();
        stops.push(Some(stop));
        running.spawn(candidate.run(async move { drop(stopped.await) }));
        leading.spawn(lead(number, elections, reigns.clone()));
    }
    let (mut reign, _) = next_leader(&reigns, 0, Duration::from_secs(20)).await;

    for _ in 0..4 {
        stops[reign.who].take();
        let (next, took) = next_leader(&reigns, reign.term, Duration::from_secs(20)).await;
        println!("released by {}, taken by {} after {took:?}", reign.who, next.who);
        assert!(took < Duration::from_secs(1), "a vacancy is seen at once: {took:?}");
        assert_eq!(next.by, Change::Free);
        reign = next;
    }

    for outage in [4, 12] {
        let stopped = Instant::now();
        let pause = Pause::begin();
        sleep(Duration::from_secs(outage)).await;
        let ended = reigns.lock().unwrap().iter().find(|r| r.term == reign.term).unwrap().ended;
        let ended = ended.expect("it ends while the API hangs") - stopped;
        println!("the API hangs, and leadership ends after {ended:?}");
        assert!(ended <= Timing::default().renew_deadline + Duration::from_millis(500), "{ended:?}");
        assert!(leader(&reigns).is_none(), "without the API nobody is elected");
        drop(pause);
        (reign, _) = next_leader(&reigns, reign.term, Duration::from_secs(60)).await;
    }

    running.abort_all();
    let reigns = reigns.lock().unwrap();
    for pair in reigns.windows(2) {
        assert!(pair[0].term < pair[1].term, "{pair:?}");
        assert!(pair[0].ended.is_some_and(|ended| ended <= pair[1].began), "two led at once: {pair:?}");
    }
    println!("{} leaderships, one after the other", reigns.len());
}
