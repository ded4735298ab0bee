//! Webhooks: `/hooks/<name>` takes what a sender of its own format sends.

use std::sync::Arc;

use access::Caller;
use axum::{
    extract::{Extension, Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use chassis::Problem;
use http::{HeaderMap, Method, StatusCode, header};
use store::NewReading;
use time::OffsetDateTime;

use super::post::traced;
use crate::{
    app::App, encoding::Coding, hooks::Hook, permission::may_store, receive::receive, refusals,
    writer::Writer,
};

/// How browsers say who makes a request (Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

pub(super) async fn take(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let hook = name.ok().and_then(|Path(name)| app.hooks.get(&name));
    let stored = match hook {
        Some(hook) => store(&app, &caller, hook, request).await,
        None => Err(refusals::no_such_hook()),
    };
    stored.map_or_else(IntoResponse::into_response, |()| StatusCode::NO_CONTENT.into_response())
}

/// Stores all that the request says, which may be nothing.
async fn store(app: &App, caller: &Caller, hook: &Hook, request: Request) -> Result<(), Problem> {
    caller.writer()?;
    let writer = Writer::of(request.extensions());
    let readings = readings(app, hook, request).await?;
    if !readings.is_empty() {
        may_store(caller, &readings, false)?;
        app.gate.take_readings(caller, readings.len())?;
        app.committer.store(&writer, traced(readings)).await.map_err(refusals::not_stored)?;
    }
    Ok(())
}

async fn readings(app: &App, hook: &Hook, request: Request) -> Result<Vec<NewReading>, Problem> {
    let (head, body) = request.into_parts();
    match head.method {
        Method::POST => {}
        // HEAD must not store anything
        Method::GET if hook.takes_query() && is_from_page(&head.headers) => return Err(refusals::from_page()),
        Method::GET if hook.takes_query() => {
            return hook.of_query(head.uri.query().unwrap_or(""), OffsetDateTime::now_utc());
        }
        method => {
            let allowed = if hook.takes_query() { "GET, POST" } else { "POST" };
            return Err(refusals::method(&method, allowed));
        }
    }
    // a sender signs what it sends, and what is checked is what is read
    if hook.is_signed() && Coding::of(&head.headers) != Some(Coding::Identity) {
        return Err(refusals::unread(refusals::signed_coding()));
    }
    let received = receive(app, &head.headers, body).await?;
    hook.check(&head.headers, received.body())?;
    hook.readings(received.body(), OffsetDateTime::now_utc())
}

/// Whether another site's page makes a browser send this. A GET for an image has no `Origin`, by which others are refused.
fn is_from_page(headers: &HeaderMap) -> bool {
    let says = |site: &http::HeaderValue| site != "none" && site != "same-origin";
    !headers.contains_key(header::ORIGIN) && headers.get_all(FETCH_SITE).iter().any(says)
}
