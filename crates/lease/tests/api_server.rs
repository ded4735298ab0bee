//! Many candidates and a real API server, which is stopped and resumed. Runs where `KUBECONFIG` names a cluster and
//! `ROWCAST_CLUSTER_PAUSE_API`, `ROWCAST_CLUSTER_RESUME_API` hold the commands that stop its API server and resume it.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints its measurements")]

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
struct Term {
    who: usize,
    term: u64,
    by: Change,
    began: Instant,
    ended: Option<Instant>,
}

type Terms = Arc<Mutex<Vec<Term>>>;

async fn candidate(name: &str, number: usize) -> (Candidate, Elections) {
    let config = Config { mode: Mode::Kubernetes, name: name.to_owned(), ..Config::default() };
    let metrics = Metrics::register(&instruments::Registry::new()).unwrap();
    let (candidate, elections, _announcer) =
        lease::stand(&config, &format!("pod-{number}"), "1", metrics).await.unwrap();
    (candidate, elections)
}

async fn lead(number: usize, mut elections: Elections, terms: Terms) {
    loop {
        let leadership = elections.won().await;
        let term = Term {
            who: number,
            term: leadership.term(),
            by: leadership.by(),
            began: Instant::now(),
            ended: None,
        };
        let at = {
            let mut terms = terms.lock().unwrap();
            terms.push(term);
            terms.len() - 1
        };
        leadership.lost().await;
        terms.lock().unwrap()[at].ended = Some(Instant::now());
    }
}

/// The current leader.
fn leader(terms: &Terms) -> Option<Term> {
    terms.lock().unwrap().iter().copied().find(|term| term.ended.is_none())
}

/// Waits for a leader other than in `before`; how long it took.
async fn next_leader(terms: &Terms, before: u64, within: Duration) -> (Term, Duration) {
    let began = Instant::now();
    let found = timeout(within, async {
        loop {
            match leader(terms) {
                Some(term) if term.term > before => return term,
                _ => sleep(Duration::from_millis(5)).await,
            }
        }
    });
    (found.await.expect("a leader in time"), began.elapsed())
}

fn command(variable: &str) {
    let command = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
}

/// The API server is stopped as long as this exists, also when the test fails.
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
    let terms = Terms::default();
    let (mut running, mut leading) = (JoinSet::new(), JoinSet::new());
    let mut stops = Vec::new();
    for number in 0..CANDIDATES {
        let (candidate, elections) = candidate(&name, number).await;
        let (stop, stopped) = oneshot::channel::<()>();
        stops.push(Some(stop));
        running.spawn(candidate.run(async move { drop(stopped.await) }));
        leading.spawn(lead(number, elections, terms.clone()));
    }
    let (mut term, _) = next_leader(&terms, 0, Duration::from_secs(20)).await;

    for _ in 0..4 {
        stops[term.who].take();
        let (next, took) = next_leader(&terms, term.term, Duration::from_secs(20)).await;
        println!("released by {}, taken by {} after {took:?}", term.who, next.who);
        assert!(took < Duration::from_secs(1), "a vacancy is seen at once: {took:?}");
        assert_eq!(next.by, Change::Free);
        term = next;
    }

    for outage in [4, 12] {
        let stopped = Instant::now();
        let pause = Pause::begin();
        sleep(Duration::from_secs(outage)).await;
        let ended = terms.lock().unwrap().iter().find(|r| r.term == term.term).unwrap().ended;
        let ended = ended.expect("it ends while the API hangs") - stopped;
        println!("the API hangs, and leadership ends after {ended:?}");
        assert!(ended <= Timing::default().renew_deadline + Duration::from_millis(500), "{ended:?}");
        assert!(leader(&terms).is_none(), "without the API no candidate is elected");
        drop(pause);
        (term, _) = next_leader(&terms, term.term, Duration::from_secs(60)).await;
    }

    running.abort_all();
    let terms = terms.lock().unwrap();
    for pair in terms.windows(2) {
        assert!(pair[0].term < pair[1].term, "{pair:?}");
        assert!(pair[0].ended.is_some_and(|ended| ended <= pair[1].began), "two led at once: {pair:?}");
    }
    println!("{} leaderships, one after the other", terms.len());
}
