//! A TCP proxy whose connections can be cut, frozen, slowed and restored.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// The delay of a delayed link.
const DELAY: Duration = Duration::from_millis(100);

/// What happens to the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Bytes pass.
    Open,
    /// Bytes pass, each read a tenth of a second late.
    Delayed,
    /// This many bytes a second pass, each way.
    Slow(u32),
    /// Nothing passes and no error is reported, like a lost network.
    Frozen,
    /// Existing and new connections are reset.
    Cut,
}

/// A proxy in front of one address.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    state: Arc<watch::Sender<LinkState>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free loopback port and forwards to `target`.
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(watch::channel(LinkState::Open).0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, state.subscribe()));
        Ok(Self { addr, state, _tasks: tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets the state of all connections from now on.
    pub fn set(&self, state: LinkState) {
        self.state.send_replace(state);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: watch::Receiver<LinkState>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(forward(client, target, state.clone()));
    }
}

async fn forward(client: TcpStream, target: SocketAddr, mut state: watch::Receiver<LinkState>) {
    reset_on_close(&client);
    if await_open(&mut state).await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    reset_on_close(&server);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let cut = async {
        let mut state = state.clone();
        let _ = state.wait_for(|state| *state == LinkState::Cut).await;
    };
    tokio::select! {
        () = pump(client_read, server_write, state.clone()) => {}
        () = pump(server_read, client_write, state.clone()) => {}
        () = cut => {}
    }
}

/// Waits until bytes may pass; none when the link is cut.
async fn await_open(state: &mut watch::Receiver<LinkState>) -> Option<()> {
    if *state.borrow() == LinkState::Delayed {
        sleep(DELAY).await;
    }
    let now = state.wait_for(|state| *state != LinkState::Frozen).await.ok()?;
    (*now != LinkState::Cut).then_some(())
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<LinkState>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let now = *state.borrow();
        if let LinkState::Slow(speed) = now {
            sleep(Duration::from_secs_f64(length as f64 / f64::from(speed))).await;
        }
        if await_open(&mut state).await.is_none() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // a half-close is forwarded
    if await_open(&mut state).await.is_some() {
        let _ = to.shutdown().await;
    }
}

/// A cut connection is reset, not closed.
fn reset_on_close(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}
