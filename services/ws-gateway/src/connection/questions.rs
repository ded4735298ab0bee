//! What a session asks the log, until it is answered: an unreachable database is asked again; a question that can never be
//! answered fails.

use std::{collections::VecDeque, future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use access::{Caller, Denial};
use store::ReadError;
use tokio::time::{Instant, sleep};
use wire::{Filter, Position, Resume};

use crate::{
    fanout::{log::LogPage, snapshot::SnapshotPage},
    gateway::App,
    session::effect::Token,
};

/// Before the second try to read the log; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a subscription that was live waits for a log that does not reach its position: that of a server which is
/// behind for a moment, as in a failover.
const AHEAD_LIMIT: Duration = Duration::from_secs(30);

/// Questions of one connection that are asked at once; its others wait, so that each client has the same share of the
/// readers.
const AT_ONCE: usize = 2;

/// The number of no subscription.
const NO_SUB: u32 = u32::MAX;

/// The answer to an effect.
pub(super) enum Answer {
    Resolve(u32, Resume),
    Since(u32, (Position, bool)),
    Page(u32, LogPage),
    Forgotten(u32),
    Snapshot(u32, SnapshotPage),
    /// It never will.
    Failed(u32),
    /// Who the client is.
    Identified(Result<Caller, Denial>),
}

type Question = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A connection's questions. Each ends with the subscription that asked. Most connections never have one.
#[derive(Default)]
pub(super) struct Questions {
    open: VecDeque<(u32, Question)>,
}

impl Questions {
    pub(super) fn ask(&mut self, sub: u32, question: Question) {
        self.open.push_back((sub, question));
    }

    /// Asks before all others: a connection has one such question at most.
    pub(super) fn ask_first(&mut self, question: Question) {
        self.open.push_front((NO_SUB, question));
    }

    /// Drops what a subscription asked.
    pub(super) fn forget(&mut self, sub: u32) {
        self.open.retain(|(own, _)| *own != sub);
    }

    /// The next answer; for ever pending while there is no question.
    pub(super) async fn next(&mut self) -> Answer {
        poll_fn(|cx| {
            let open = &mut self.open;
            let answered = open.iter_mut().take(AT_ONCE).enumerate().find_map(|(index, (_, question))| {
                match question.as_mut().poll(cx) {
                    Poll::Ready(answer) => Some((index, answer)),
                    Poll::Pending => None,
                }
            });
            let Some((index, answer)) = answered else { return Poll::Pending };
            open.remove(index);
            if open.is_empty() {
                // most connections ask once, when they begin
                *open = VecDeque::new();
            }
            Poll::Ready(answer)
        })
        .await
    }
}

/// The pauses between tries.
struct Pauses(Duration);

impl Pauses {
    fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    async fn pause(&mut self) {
        sleep(self.0).await;
        self.0 = (2 * self.0).min(LONGEST_PAUSE);
    }
}

/// Whether the log can be read on from a position. `first`: its client has had no answer yet, and is refused at once if it is ahead.
pub(super) async fn resolve(app: App, sub: u32, from: Position, first: bool) -> Answer {
    let (mut pauses, asked_at) = (Pauses::new(), Instant::now());
    loop {
        match app.replay.resolve(from).await {
            Ok(Resume::Ahead) if !first && asked_at.elapsed() < AHEAD_LIMIT => {}
            Ok(resume) => return Answer::Resolve(sub, resume),
            Err(error) if is_final(&error) => return Answer::Failed(sub),
            Err(error) => note(&error),
        }
        pauses.pause().await;
    }
}

pub(super) async fn since(app: App, sub: u32, last: Duration) -> Answer {
    let mut pauses = Pauses::new();
    loop {
        match app.replay.since(last).await {
            Ok(start) => return Answer::Since(sub, start),
            Err(error) if is_final(&error) => return Answer::Failed(sub),
            Err(error) => note(&error),
        }
        pauses.pause().await;
    }
}

pub(super) async fn page(app: App, sub: u32, after: Position) -> Answer {
    let mut pauses = Pauses::new();
    loop {
        match app.replay.read(after).await {
            // the log has no more, and the hub could not attach: the feed will reach this position
            Ok(page) if page.covered <= after => {}
            Ok(page) => return Answer::Page(sub, page),
            Err(ReadError::Forgotten(_)) => {
                app.replay.forget_extent().await;
                return Answer::Forgotten(sub);
            }
            Err(ReadError::Database(error)) if is_final(&error) => return Answer::Failed(sub),
            Err(ReadError::Database(error)) => note(&error),
        }
        pauses.pause().await;
    }
}

pub(super) async fn snapshot(
    app: App,
    sub: u32,
    filter: Arc<Filter>,
    at: Option<Position>,
    after: Option<String>,
) -> Answer {
    let mut pauses = Pauses::new();
    loop {
        match app.replay.snapshot(filter.clone(), at, after.clone()).await {
            Ok(page) => return Answer::Snapshot(sub, page),
            Err(ReadError::Forgotten(_)) if at.is_some() => return Answer::Forgotten(sub),
            Err(ReadError::Database(error)) if is_final(&error) => return Answer::Failed(sub),
            Err(error) => note(&error),
        }
        pauses.pause().await;
    }
}

/// Whether the same statement will fail again, so that the question has no answer.
fn is_final(error: &store::Error) -> bool {
    let fails = error.is_permanent();
    if fails {
        tracing::error!(error = error as &dyn std::error::Error, "the log cannot answer a client");
    }
    fails
}

pub(super) async fn identify(app: App, token: Token) -> Answer {
    Answer::Identified(app.gate.identify(&token.0).await)
}

fn note(error: &(dyn std::error::Error + 'static)) {
    tracing::debug!(error, "the log cannot be read");
}
