//! The newest reading of each sensor as of a position, from which a client can go on live.

use axum::{extract::State, response::Response};
use chassis::Problem;
use http::{HeaderMap, Uri};
use store::ReadError;
use wire::Position;

use super::App;
use crate::history::{
    answer::{self, Answer, reply},
    asked::Latest,
    cursor::{Cursor, LatestPlace},
    failed, gone,
    media::Media,
    no_latest,
};

pub(super) async fn latest(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    reply(&headers, read(&app, &uri, &headers)).await
}

async fn read(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<Answer, Problem> {
    let query = uri.query().unwrap_or_default();
    let asked = Latest::read(query)?;
    let media = Media::accepted(headers)?;
    let head = app.head()?;
    let at = asked.after.as_ref().map_or(head, |after| after.at);
    if at.epoch != head.epoch {
        return Err(gone());
    }
    // as of one position, the same query has the same answer: readings are inserted and, when old, dropped, not changed
    let etag = |at: Position| {
        answer::etag(&[at.to_string().as_bytes(), query.as_bytes(), media.content_type().as_bytes()])
    };
    if answer::has(headers, &etag(at)) {
        return Ok(Answer::unchanged(etag(at)));
    }
    let after = asked.after.as_ref().map(|after| after.sensor_id.as_str());
    let limit = i64::try_from(asked.limit).unwrap_or(i64::MAX);
    let turn = app.history.turn().await?;
    let read = async |at| turn.database.latest(&asked.filter, at, after, limit).await;
    let (at, latest) = match read(at).await {
        // another history has begun, and no reading of it was told yet
        Err(ReadError::Forgotten(_)) if after.is_none() => {
            let head = turn.database.head().await.map_err(|error| failed(&error))?;
            let at = Position::after_tick(head.epoch, head.last_tick);
            (at, read(at).await)
        }
        latest => (at, latest),
    };
    let latest = latest.map_err(|error| no_latest(&error))?;
    let next = latest.next.map(|sensor_id| LatestPlace { at, sensor_id }.token());
    Ok(Answer::rows(media, &latest.newest, next.as_deref(), Some(at), (&app.prefix, uri)).with_etag(etag(at)))
}
