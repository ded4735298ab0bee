//! Readings of a span of time, as they are or in buckets.

use axum::{extract::State, response::Response};
use chassis::Problem;
use http::{HeaderMap, Uri};
use store::history::{BucketPlace, Place, Wanted};
use time::OffsetDateTime;

use super::App;
use crate::history::{
    answer::{Answer, reply},
    asked::{Readings, Rows},
    cursor::Cursor,
    failed,
    media::Media,
    no_buckets,
};

/// A page is closed when its metadata has so many bytes.
const MAX_BYTES: usize = 4 << 20;

pub(super) async fn readings(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    reply(&headers, read(&app, &uri, &headers)).await
}

async fn read(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<Answer, Problem> {
    let asked = Readings::read(uri.query().unwrap_or_default(), OffsetDateTime::now_utc())?;
    let media = Media::accepted(headers)?;
    let turn = app.history.turn().await?;
    let Readings { filter, span, order, limit, rows } = &asked;
    let (filter, span, order, limit) = (filter, *span, *order, *limit);
    match rows {
        Rows::Readings(after) => {
            let wanted = Wanted { filter, span, order, after: *after, limit };
            let page = turn.database.readings(wanted, MAX_BYTES).await.map_err(|error| failed(&error))?;
            let last = page.rows.last().filter(|_| page.more);
            let next = last.map(|last| Place { timestamp: last.timestamp, id: last.id }.token());
            Ok(Answer::rows(media, &page.rows, next.as_deref(), None, (&app.prefix, uri)))
        }
        Rows::Buckets(length, after) => {
            let wanted = Wanted { filter, span, order, after: after.clone(), limit };
            let page = turn.database.buckets(wanted, *length).await.map_err(|error| no_buckets(&error))?;
            let last = page.rows.last().filter(|_| page.more);
            let next = last
                .map(|last| BucketPlace { bucket: last.bucket, sensor_id: last.sensor_id.clone() }.token());
            Ok(Answer::rows(media, &page.rows, next.as_deref(), None, (&app.prefix, uri)))
        }
    }
}
