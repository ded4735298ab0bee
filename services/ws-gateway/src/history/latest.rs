//! The newest reading of each sensor as of a position, from which a client can go on live.

use access::Caller;
use axum::{
    extract::{Extension, State},
    response::Response,
};
use chassis::Problem;
use http::{HeaderMap, Uri};
use store::ReadError;
use wire::Position;

use super::{
    answer::{Answer, ETag, reply},
    cursor::{Cursor, LatestKey},
    media::Media,
    query::Latest,
    refusal::{cursor_expired, no_latest, unreadable},
};
use crate::gateway::App;

pub(crate) async fn latest(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    reply(&headers, Some(&caller), read(&app, &caller, &uri, &headers)).await
}

async fn read(app: &App, caller: &Caller, uri: &Uri, headers: &HeaderMap) -> Result<Answer, Problem> {
    let query = uri.query().unwrap_or_default();
    caller.reader()?;
    let request = Latest::read(query)?;
    let filter = caller.grant.narrow(&request.filter);
    let media = Media::accepted(headers)?;
    let head = app.head()?;
    let at = request.after.as_ref().map_or(head, |after| after.at);
    if at.epoch != head.epoch {
        return Err(cursor_expired());
    }
    // as of one position, the same query of the same sensors has the same answer: readings are inserted and, when old, dropped, not changed
    let sensors = format!("{filter:?}");
    let etag = |at: Position| {
        let (at, media) = (at.to_string(), media.content_type());
        ETag::of(&[at.as_bytes(), query.as_bytes(), media.as_bytes(), sensors.as_bytes()])
    };
    if etag(at).is_known_to(headers) {
        return Ok(Answer::unchanged(etag(at)));
    }
    app.charge_rows(caller, request.limit)?;
    let after = request.after.as_ref().map(|after| after.sensor_id.as_str());
    let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
    let permit = app.history.permit().await?;
    let read = async |at| permit.database.latest(&filter, at, after, limit).await;
    let (at, latest) = match read(at).await {
        // a new epoch has begun, and none of its readings was delivered yet
        Err(ReadError::Forgotten(_)) if after.is_none() => {
            let head = permit.database.head().await.map_err(|error| unreadable(&error))?;
            let at = Position::after_tick(head.epoch, head.last_tick);
            (at, read(at).await)
        }
        latest => (at, latest),
    };
    let latest = latest.map_err(|error| no_latest(&error))?;
    let next = latest.next.map(|sensor_id| LatestKey { at, sensor_id }.token());
    Ok(Answer::rows(media, &latest.newest, next.as_deref(), Some(at), (&app.prefix, uri)).with_etag(etag(at)))
}
