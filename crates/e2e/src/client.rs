//! A client as the protocol describes it: it keeps the last position it saw, reconnects and resumes with it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use std::sync::Mutex;
use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};
use wire::{Command, Position, SUBPROTOCOL, ServerMessage, Start, Subscribe, Verb, frame::Gap};

use crate::{http::HOST, ledger::Event};

/// The bare socket under a client.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The pause between attempts to connect: short, since tests measure seconds.
const RETRY: Duration = Duration::from_millis(50);

/// A connection that is silent for this long counts as lost: the services send something every 10 s.
const SILENCE: Duration = Duration::from_secs(12);

/// What a client has received.
#[derive(Debug, Default)]
pub struct Received {
    /// Events in the order of their arrival.
    pub log: Vec<Event>,
    /// Gaps it was notified of.
    pub gaps: Vec<Gap>,
    /// How often it connected.
    pub connections: usize,
}

/// No message that a test waits for takes longer.
const MESSAGE_WITHIN: Duration = Duration::from_secs(45);

/// A client that stays connected.
#[derive(Debug)]
pub struct Client {
    received: Arc<Mutex<Received>>,
    events: Arc<AtomicUsize>,
    gateway: watch::Sender<SocketAddr>,
    _task: JoinSet<()>,
}

impl Client {
    /// Connects to a gateway and subscribes to everything from now; returns when it is subscribed.
    pub async fn start(gateway: SocketAddr) -> Self {
        let (gateway, addr) = watch::channel(gateway);
        let (received, events) = (Arc::<Mutex<Received>>::default(), Arc::<AtomicUsize>::default());
        let (active, is_active) = tokio::sync::oneshot::channel();
        let mut task = JoinSet::new();
        let state = State {
            addr,
            received: received.clone(),
            events: events.clone(),
            position: None,
            active: Some(active),
        };
        task.spawn(state.run());
        timeout(Duration::from_secs(30), is_active)
            .await
            .expect("a subscription in time")
            .expect("a live client");
        Self { received, events, gateway, _task: task }
    }

    /// Uses this gateway from the next connection on.
    pub fn move_to(&self, gateway: SocketAddr) {
        self.gateway.send_replace(gateway);
    }

    /// How many events it has received.
    pub fn count(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    /// What it has received.
    pub fn received<T>(&self, read: impl FnOnce(&Received) -> T) -> T {
        read(&self.received.lock().expect("no client panics while it writes its log"))
    }
}

struct State {
    addr: watch::Receiver<SocketAddr>,
    received: Arc<Mutex<Received>>,
    events: Arc<AtomicUsize>,
    position: Option<Position>,
    /// Notified once when the subscription is active.
    active: Option<tokio::sync::oneshot::Sender<()>>,
}

impl State {
    async fn run(mut self) {
        loop {
            let addr = *self.addr.borrow();
            // whatever ended the connection, the position is kept
            let _ = self.follow(addr).await;
            sleep(RETRY).await;
        }
    }

    async fn follow(&mut self, addr: SocketAddr) -> Result<()> {
        let mut socket = timeout(SILENCE, connect_v1(addr)).await??;
        self.note(|received| received.connections += 1);
        let from = self.position.map_or(Start::Now, Start::After);
        let verb = Verb::Subscribe(Subscribe { from, ..Subscribe::default() });
        socket.send(Message::text(Command { id: Some(1), verb }.to_json())).await?;
        loop {
            for message in next_messages(&mut socket).await? {
                self.receive(message)?;
            }
        }
    }

    fn receive(&mut self, message: ServerMessage) -> Result<()> {
        if let Some(error) = message.error {
            bail!("refused: {error:?}");
        }
        if let Some(data) = message.data {
            let event = event(data.get()).context("an event that is not a reading")?;
            self.events.fetch_add(1, Ordering::Relaxed);
            self.note(|received| received.log.push(event));
        }
        let pos = message.ok.and_then(|ok| ok.pos).or(message.pos).or(message.mark.map(|mark| mark.pos));
        let pos = pos.or(message.live.map(|live| live.pos)).or(message.gap.map(|gap| gap.to));
        self.position = pos.or(self.position);
        if let Some(gap) = message.gap {
            self.note(|received| received.gaps.push(gap));
        }
        if message.ok.is_some()
            && let Some(active) = self.active.take()
        {
            let _ = active.send(());
        }
        Ok(())
    }

    fn note(&self, write: impl FnOnce(&mut Received)) {
        write(&mut self.received.lock().expect("no client panics while it writes its log"));
    }
}

/// A v1 connection, before its `hello`.
pub async fn connect_v1(addr: SocketAddr) -> Result<Socket> {
    let mut request = format!("ws://{addr}/ws/sensors/").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse()?);
    request.headers_mut().insert("host", HOST.parse()?);
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

/// A connection as the demo's page makes it.
pub async fn connect_demo(addr: SocketAddr, path: &str) -> Result<Socket> {
    Ok(tokio_tungstenite::connect_async(format!("ws://{addr}{path}")).await?.0)
}

/// Sends a message.
pub async fn send(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("the connection is open");
}

/// Sends a message, if the connection is still open.
pub async fn try_send(socket: &mut Socket, text: &str) -> Result<()> {
    Ok(socket.send(Message::text(text)).await?)
}

/// A v1 connection with one subscription, and the first message after its command.
pub async fn subscribed(gateway: SocketAddr, body: &str) -> (Socket, ServerMessage) {
    subscribe(connect_v1(gateway).await.expect("the gateway takes the connection"), body).await
}

/// The same on a new v1 connection.
pub async fn subscribe(mut socket: Socket, body: &str) -> (Socket, ServerMessage) {
    let hello = next_messages(&mut socket).await.expect("a first message").remove(0).hello;
    assert_eq!(hello.expect("it is hello").v, 1);
    send(&mut socket, &format!(r#"{{"id":1,"subscribe":{body}}}"#)).await;
    let first = next_messages(&mut socket).await.expect("an answer").remove(0);
    (socket, first)
}

/// The messages up to one for which `until` holds, with it.
pub async fn messages_until(
    socket: &mut Socket,
    until: impl Fn(&ServerMessage) -> bool,
) -> Vec<ServerMessage> {
    let mut all: Vec<ServerMessage> = Vec::new();
    let arrival = async {
        while !all.iter().any(&until) {
            all.extend(next_messages(socket).await.expect("the connection stays open"));
        }
    };
    timeout(MESSAGE_WITHIN, arrival).await.expect("the message arrives in time");
    all
}

/// The next text message, others before it are skipped.
pub async fn next_text(socket: &mut Socket) -> Result<String> {
    loop {
        match timeout(SILENCE, socket.next()).await.context("silence")? {
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(Message::Close(frame))) => bail!("closed: {frame:?}"),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the connection ended"),
        }
    }
}

/// The messages of the next v1 frame.
pub async fn next_messages(socket: &mut Socket) -> Result<Vec<ServerMessage>> {
    Ok(ServerMessage::parse_frame(&next_text(socket).await?)?)
}

/// A reading's JSON as an event.
pub fn event(data: &str) -> Option<Event> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    Some(Event {
        id: data["id"].as_i64()?,
        sensor: data["sensor_id"].as_str()?.to_owned(),
        value: data["value"].as_f64()? as i64,
    })
}
