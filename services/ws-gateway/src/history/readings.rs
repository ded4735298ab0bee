//! Readings of a span of time, as they are or in buckets.

use access::Caller;
use axum::{
    extract::{Extension, State},
    response::Response,
};
use chassis::Problem;
use http::{HeaderMap, Uri};
use store::history::{BucketKey, PageQuery, ReadingKey};
use time::OffsetDateTime;

use super::{
    answer::{Answer, reply},
    cursor::Cursor,
    media::Media,
    query::{Readings, Rows},
    refusal::{no_buckets, unreadable},
};
use crate::gateway::App;

/// A page is closed when its metadata has so many bytes.
const MAX_BYTES: usize = 4 << 20;

pub(crate) async fn readings(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    reply(&headers, Some(&caller), read(&app, &caller, &uri, &headers)).await
}

async fn read(app: &App, caller: &Caller, uri: &Uri, headers: &HeaderMap) -> Result<Answer, Problem> {
    caller.reader()?;
    let request = Readings::read(uri.query().unwrap_or_default(), OffsetDateTime::now_utc())?;
    let media = Media::accepted(headers)?;
    app.charge_rows(caller, request.limit)?;
    let permit = app.history.permit().await?;
    let Readings { filter, span, order, limit, rows } = &request;
    let (filter, span, order, limit) = (&caller.grant.narrow(filter), *span, *order, *limit);
    match rows {
        Rows::Readings(after) => {
            let wanted = PageQuery { filter, span, order, after: *after, limit };
            let page =
                permit.database.readings(wanted, MAX_BYTES).await.map_err(|error| unreadable(&error))?;
            let last = page.rows.last().filter(|_| page.more);
            let next = last.map(|last| ReadingKey { timestamp: last.timestamp, id: last.id }.token());
            Ok(Answer::rows(media, &page.rows, next.as_deref(), None, (&app.prefix, uri)))
        }
        Rows::Buckets(length, after) => {
            let wanted = PageQuery { filter, span, order, after: after.clone(), limit };
            let page = permit.database.buckets(wanted, *length).await.map_err(|error| no_buckets(&error))?;
            let last = page.rows.last().filter(|_| page.more);
            let next =
                last.map(|last| BucketKey { bucket: last.bucket, sensor_id: last.sensor_id.clone() }.token());
            Ok(Answer::rows(media, &page.rows, next.as_deref(), None, (&app.prefix, uri)))
        }
    }
}
