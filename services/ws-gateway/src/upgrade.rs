//! From an HTTP request to a socket (RFC 6455 §4.2).

use axum::{
    body::Body,
    extract::{Extension, Request, State},
    response::{IntoResponse, Response},
};
use chassis::{Problem, Seat};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wire::{SUBPROTOCOL, Start, Subscribe};

use crate::{routes::App, socket::Socket};

/// What a connection speaks from its first frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Speaks {
    /// The demo's protocol, until a v1 message says otherwise.
    Demo,
    /// v1, with the subscription of the query, if it has one.
    V1(Option<Subscribe>),
}

/// Answers the handshake and hands the socket to its session.
pub(crate) async fn upgrade(
    State(app): State<App>,
    Extension(seat): Extension<Seat>,
    mut request: Request,
) -> Response {
    let handshake = match Handshake::read(&request) {
        Ok(handshake) => handshake,
        Err(problem) => return problem.into_response(),
    };
    let Some(head) = app.hub.head().filter(|_| app.hub.feed_is_up() && !app.life.is_stopping()) else {
        let problem =
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", "this gateway has no feed now");
        return problem.retry_after(1).into_response();
    };
    let upgrading = hyper::upgrade::on(&mut request);
    let answer = handshake.answer();
    let life = app.life.clone();
    life.spawn_work(async move {
        let Ok(upgraded) = upgrading.await else { return };
        let Ok((stream, read_ahead)) = chassis::into_tcp(upgraded) else { return };
        Socket::open(app, stream, read_ahead.to_vec(), handshake.speaks, head).await.serve().await;
        drop(seat);
    });
    answer
}

struct Handshake {
    accept: String,
    subprotocol: bool,
    speaks: Speaks,
}

impl Handshake {
    fn read(request: &Request) -> Result<Self, Problem> {
        let headers = request.headers();
        let refuse = |status, detail: &str| Problem::new(status, "no-websocket", detail);
        if !has_token(headers, header::CONNECTION, "upgrade")
            || !has_token(headers, header::UPGRADE, "websocket")
        {
            return Err(refuse(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket: ask for an upgrade"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(refuse(StatusCode::UPGRADE_REQUIRED, "the WebSocket version must be 13"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
        let key = key.ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "there is no Sec-WebSocket-Key"))?;
        let subprotocol = has_token(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
        let speaks = speaks(request.uri().query().unwrap_or(""), subprotocol)?;
        Ok(Self { accept: derive_accept_key(key.as_bytes()), subprotocol, speaks })
    }

    fn answer(&self) -> Response {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if self.subprotocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }
        answer
    }
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// What the query and the subprotocol choose.
fn speaks(query: &str, subprotocol: bool) -> Result<Speaks, Problem> {
    let refuse = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail);
    let (mut v1, mut sensors, mut from) = (subprotocol, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "v" if value == "1" => v1 = true,
            "v" => return Err(refuse("v: there is only version 1")),
            "sensor" => sensors = Some(value.split(',').map(str::to_owned).collect()),
            "from" => {
                from = Some(value.parse::<Start>().map_err(|refusal| refuse(&refusal.message))?);
            }
            _ => {}
        }
    }
    if !v1 {
        return Ok(Speaks::Demo);
    }
    let subscribes = sensors.is_some() || from.is_some();
    Ok(Speaks::V1(subscribes.then(|| Subscribe {
        sensors,
        from: from.unwrap_or_default(),
        ..Subscribe::default()
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_and_the_subprotocol_choose_what_is_spoken() {
        assert_eq!(speaks("", false).unwrap(), Speaks::Demo);
        assert_eq!(speaks("token=x&sensor=a", false).unwrap(), Speaks::Demo);
        assert_eq!(speaks("", true).unwrap(), Speaks::V1(None));
        let Speaks::V1(Some(subscribe)) = speaks("v=1&sensor=a,b*&from=latest", false).unwrap() else {
            panic!("a subscription")
        };
        assert_eq!(subscribe.sensors, Some(vec!["a".to_owned(), "b*".to_owned()]));
        assert_eq!(subscribe.from, Start::Latest);
        assert!(speaks("v=2", false).is_err());
        assert!(speaks("v=1&from=yesterday", false).is_err());
    }
}
