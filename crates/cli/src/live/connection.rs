//! The IO around [`Live`]: connects, reads with a timeout, reconnects, until it must stop.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::{net::TcpStream, time};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};
use wire::{SUBPROTOCOL, ServerMessage};

use super::{After, Ended, Live, Received};
use crate::{args::Trust, tls};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connection that is not open by then is given up.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// What the caller is notified of.
#[derive(Debug)]
pub(crate) enum Update<'a> {
    /// What a message means.
    Received(&'a Received),
    /// The connection ended and another follows after the wait.
    Disconnected(&'a Ended, Duration),
    /// The gateway could not keep what was missed.
    Lost,
}

/// Follows until `notify` breaks, or until an error that a retry would not fix.
pub(crate) async fn follow<B>(
    gateway: &str,
    trust: &Trust,
    mut live: Live,
    mut notify: impl FnMut(Update<'_>) -> ControlFlow<B>,
) -> anyhow::Result<B> {
    let mut request = request(gateway)?;
    request.headers_mut().extend(trust.headers());
    let tls = tls::config(request.uri().scheme_str() == Some("wss"), trust.ca.as_deref())?;
    loop {
        let why = match listen(&request, &tls, &mut live, &mut notify).await? {
            ControlFlow::Break(result) => return Ok(result),
            ControlFlow::Continue(why) => why,
        };
        let wait = match live.on_end(&why, rand::random()) {
            After::Stop => bail!("{why}"),
            After::Wait(wait) => wait,
            After::Snapshot(wait) => {
                if let ControlFlow::Break(result) = notify(Update::Lost) {
                    return Ok(result);
                }
                wait
            }
        };
        if let ControlFlow::Break(result) = notify(Update::Disconnected(&why, wait)) {
            return Ok(result);
        }
        time::sleep(wait).await;
    }
}

/// The address of the socket for a gateway's base URL.
pub(crate) fn socket_url(gateway: &str) -> anyhow::Result<String> {
    let plain = gateway.strip_prefix("http://").or_else(|| gateway.strip_prefix("ws://"));
    let encrypted = gateway.strip_prefix("https://").or_else(|| gateway.strip_prefix("wss://"));
    let rest = plain.map(|rest| ("ws", rest)).or(encrypted.map(|rest| ("wss", rest)));
    let (scheme, rest) = rest.with_context(|| {
        format!("the gateway's URL must begin with http://, https://, ws:// or wss://: {gateway:?}")
    })?;
    Ok(format!("{scheme}://{}/ws/sensors/", rest.trim_end_matches('/')))
}

fn request(gateway: &str) -> anyhow::Result<Request> {
    let url = socket_url(gateway)?;
    let mut request = url.as_str().into_client_request().with_context(|| format!("invalid URL {url:?}"))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(request)
}

/// One connection from its opening to its end.
async fn listen<B>(
    request: &Request,
    tls: &Arc<ClientConfig>,
    live: &mut Live,
    notify: &mut impl FnMut(Update<'_>) -> ControlFlow<B>,
) -> anyhow::Result<ControlFlow<B, Ended>> {
    let connector = Connector::Rustls(tls.clone());
    let open =
        tokio_tungstenite::connect_async_tls_with_config(request.clone(), None, false, Some(connector));
    let mut socket = match time::timeout(OPEN_LIMIT, open).await {
        Err(_) => return Ok(ControlFlow::Continue(Ended::Unreachable("no answer".to_owned()))),
        Ok(Err(Error::Http(response))) => {
            return Ok(ControlFlow::Continue(Ended::Status(response.status().as_u16())));
        }
        Ok(Err(error)) => return Ok(ControlFlow::Continue(Ended::Unreachable(error.to_string()))),
        Ok(Ok((socket, _))) => socket,
    };
    if let Err(error) = socket.send(Message::text(live.on_open())).await {
        return Ok(ControlFlow::Continue(Ended::Broken(error.to_string())));
    }
    loop {
        let text = match next_text(&mut socket, live.silence()).await {
            Ok(text) => text,
            Err(why) => return Ok(ControlFlow::Continue(why)),
        };
        let messages =
            ServerMessage::parse_frame(&text).context("the gateway does not support rowcast.v1")?;
        for message in messages {
            let received = live.on_message(message);
            if let Received::Refused(why) = &received {
                bail!("the gateway refuses the subscription: {why}");
            }
            if let ControlFlow::Break(result) = notify(Update::Received(&received)) {
                return Ok(ControlFlow::Break(result));
            }
        }
    }
}

/// The next text message; pings are answered by the library, and any frame counts as activity.
async fn next_text(socket: &mut Socket, silence: Duration) -> Result<String, Ended> {
    loop {
        match time::timeout(silence, socket.next()).await {
            Err(_) => return Err(Ended::Silent),
            Ok(None) => return Err(Ended::Broken("it ended without a close frame".to_owned())),
            Ok(Some(Err(error))) => return Err(Ended::Broken(error.to_string())),
            Ok(Some(Ok(Message::Text(text)))) => return Ok(text.as_str().to_owned()),
            Ok(Some(Ok(Message::Close(Some(close))))) => {
                return Err(Ended::Closed(close.code.into(), close.reason.to_string()));
            }
            Ok(Some(Ok(Message::Close(None)))) => return Err(Ended::Closed(1005, String::new())),
            Ok(Some(Ok(_))) => {}
        }
    }
}

#[cfg(test)]
mod tests;
