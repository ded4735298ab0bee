//! What a session asks the log, until it is answered: a database that is away is asked again.

use std::{pin::Pin, sync::Arc, time::Duration};

use store::{ReadError, Resume};
use tokio::time::sleep;
use wire::{Filter, Position};

use crate::{replay::Piece, routes::App, session::SnapshotPage};

/// Between tries to read the log.
const RETRY: Duration = Duration::from_millis(250);

/// What the log answered to a wish.
pub(super) enum Answer {
    Verdict(u32, Resume),
    Since(u32, (Position, bool)),
    Page(u32, Piece),
    Forgotten(u32),
    Snapshot(u32, SnapshotPage),
}

pub(super) type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(super) async fn verdict(app: App, sub: u32, from: Position) -> Answer {
    loop {
        match app.replay.verdict(from).await {
            Ok(verdict) => return Answer::Verdict(sub, verdict),
            Err(error) => note(&error),
        }
        sleep(RETRY).await;
    }
}

pub(super) async fn since(app: App, sub: u32, last: Duration) -> Answer {
    loop {
        match app.replay.since(last).await {
            Ok(start) => return Answer::Since(sub, start),
            Err(error) => note(&error),
        }
        sleep(RETRY).await;
    }
}

pub(super) async fn page(app: App, sub: u32, after: Position) -> Answer {
    loop {
        match app.replay.read(after).await {
            // the log has no more, and the hub could not attach: the feed stands elsewhere and will come
            Ok(piece) if piece.covered <= after => {}
            Ok(piece) => return Answer::Page(sub, piece),
            Err(ReadError::Forgotten(_)) => {
                app.replay.doubt().await;
                return Answer::Forgotten(sub);
            }
            Err(ReadError::Database(error)) => note(&error),
        }
        sleep(RETRY).await;
    }
}

pub(super) async fn snapshot(
    app: App,
    sub: u32,
    filter: Arc<Filter>,
    at: Option<Position>,
    after: Option<String>,
) -> Answer {
    loop {
        match app.replay.snapshot(filter.clone(), at, after.clone()).await {
            Ok(page) => return Answer::Snapshot(sub, page),
            Err(ReadError::Forgotten(_)) if at.is_some() => return Answer::Forgotten(sub),
            Err(error) => note(&error),
        }
        sleep(RETRY).await;
    }
}

fn note(error: &(dyn std::error::Error + 'static)) {
    tracing::debug!(error, "the log cannot be read");
}
