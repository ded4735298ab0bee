//! From an HTTP request to a socket (RFC 6455 §4.2).

use access::{Caller, Denial};
use axum::{
    body::Body,
    extract::{Extension, Request, State},
    response::{IntoResponse, Response},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use chassis::{Client, Permit, Problem, Query};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wire::{SUBPROTOCOL, Subscribe};

use super::{arrival::arriving, query::LiveQuery};
use crate::{
    connection::{Connection, web_socket::WebSocket},
    encode::Protocol,
    gateway::{Admitted, App},
};

/// A subprotocol that is a token: what a page's socket can send with its handshake. It is never the one that is chosen.
const BEARER: &str = "bearer.";

/// Answers the handshake and hands the socket to its session.
pub(super) async fn upgrade(
    State(app): State<App>,
    Extension(port): Extension<Permit>,
    Extension(client): Extension<Client>,
    mut request: Request,
) -> Response {
    let handshake = match Handshake::read(&request) {
        Ok(handshake) => handshake,
        Err(problem) => return problem.into_response(),
    };
    let head = (request.headers(), request.uri());
    let (caller, admitted) = match admit(&app, client, &handshake, head).await {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    let upgrading = hyper::upgrade::on(&mut request);
    let answer = handshake.answer();
    let life = app.life.clone();
    life.spawn_work(async move {
        let Ok(upgraded) = upgrading.await else { return };
        let Ok((stream, read_ahead)) = chassis::into_socket(upgraded) else { return };
        let socket = WebSocket::new(stream, &read_ahead, app.limits.clone());
        // the read buffer of the handshake would live as long as the socket, which may be for days
        drop(read_ahead);
        let Handshake { protocol, query, .. } = handshake;
        let begun = Connection::begin(app, socket, admitted, caller, (protocol, query.as_ref()));
        let mut connection = Box::new(begun);
        drop(query);
        connection.serve().await;
        drop(port);
    });
    answer
}

async fn admit(
    app: &App,
    client: Client,
    handshake: &Handshake,
    (headers, uri): (&HeaderMap, &Uri),
) -> Result<(Option<Caller>, Admitted), Problem> {
    let mut tokens = subprotocols(headers).filter_map(|offered| offered.strip_prefix(BEARER));
    let token = tokens.next();
    if token.is_some() && tokens.next().is_some() {
        return Err(Denial::Ambiguous.into());
    }
    let caller = arriving(app, (client, headers), token, uri.query().unwrap_or_default()).await?;
    if caller.is_none() && handshake.protocol != Protocol::V1 {
        return Err(app.gate.missing().into());
    }
    let admitted = app.admit(client, caller.as_ref())?;
    if let (Some(caller), Some(query)) = (&caller, &handshake.query) {
        app.charge_subscription(caller, query)?;
    }
    Ok((caller, admitted))
}

struct Handshake {
    accept: String,
    subprotocol: bool,
    /// The protocol from the first frame on.
    protocol: Protocol,
    /// The subscription of the query, if it has one.
    query: Option<Subscribe>,
}

impl Handshake {
    fn read(request: &Request) -> Result<Self, Problem> {
        let headers = request.headers();
        let refuse = |status, detail: &str| Problem::new(status, "no-websocket", detail);
        // what is wanted instead (RFC 9110 §15.5.22, RFC 6455 §4.4)
        let upgrade = |detail: &str| {
            refuse(StatusCode::UPGRADE_REQUIRED, detail)
                .header(header::UPGRADE, "websocket")
                .header(header::CONNECTION, "Upgrade")
                .header(header::SEC_WEBSOCKET_VERSION, "13")
        };
        if request.method() != Method::GET || request.version() != Version::HTTP_11 {
            return Err(upgrade("a WebSocket begins with GET over HTTP/1.1"));
        }
        if !has_token(headers, header::CONNECTION, "upgrade")
            || !has_token(headers, header::UPGRADE, "websocket")
        {
            return Err(upgrade("a WebSocket needs an upgrade"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(upgrade("the WebSocket version must be 13"));
        }
        let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
        let key = keys.next().filter(|key| keys.next().is_none() && is_key(key.as_bytes()));
        let key = key.ok_or_else(|| {
            refuse(StatusCode::BAD_REQUEST, "the request needs one Sec-WebSocket-Key, of 16 bytes in base64")
        })?;
        let subprotocol = has_token(headers, header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
        let (protocol, query) = requested(request.uri().query().unwrap_or(""), subprotocol)?;
        Ok(Self { accept: derive_accept_key(key.as_bytes()), subprotocol, protocol, query })
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

/// Sixteen bytes in base64 (RFC 6455 §4.1).
fn is_key(key: &[u8]) -> bool {
    BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    list(headers, name).any(|part| part.eq_ignore_ascii_case(token))
}

/// The subprotocols that the client offers.
fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    list(headers, header::SEC_WEBSOCKET_PROTOCOL)
}

fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The protocol that the query and the subprotocol choose: the demo's, until the first v1 message, or v1.
fn requested(query: &str, subprotocol: bool) -> Result<(Protocol, Option<Subscribe>), Problem> {
    let live = match LiveQuery::parse(query) {
        Ok(live) => live,
        // an old client's query may be anything
        Err(_) if !subprotocol && !has_version(query) => return Ok((Protocol::Demo, None)),
        Err(problem) => return Err(problem),
    };
    match live.version.as_deref() {
        None if !subprotocol => Ok((Protocol::Demo, None)),
        None | Some("1") => Ok((Protocol::V1, live.subscribes.then_some(live.subscribe))),
        Some(_) => Err(Query::refusal("v", "the only version is 1")),
    }
}

fn has_version(query: &str) -> bool {
    Query::parse(query).is_given("v")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_and_the_subprotocol_choose_the_protocol() {
        assert_eq!(requested("", false).unwrap(), (Protocol::Demo, None));
        assert_eq!(requested("token=x&sensor=a&from=there", false).unwrap(), (Protocol::Demo, None));
        assert_eq!(requested("", true).unwrap(), (Protocol::V1, None));
        assert_eq!(requested("v=1&token=x", false).unwrap(), (Protocol::V1, None));
        let (protocol, query) = requested("v=1&sensor=a,b*&from=latest", false).unwrap();
        assert_eq!((protocol, query.unwrap().sensors.unwrap().len()), (Protocol::V1, 2));
        for wrong in ["v=2", "v=1&from=yesterday"] {
            assert!(requested(wrong, false).is_err(), "{wrong}");
        }
    }
}
