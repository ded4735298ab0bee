//! A TCP proxy whose wire can be cut, frozen, slowed and healed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// By how much a late wire delays what it carries.
const LATE: Duration = Duration::from_millis(100);

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Carries bytes.
    Whole,
    /// Carries bytes, each piece a tenth of a second late.
    Late,
    /// Carries so many bytes a second, each way.
    Slow(u32),
    /// Carries nothing and reports nothing, as a lost network does.
    Frozen,
    /// Resets what is there and what comes.
    Cut,
}

/// A proxy in front of one address.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    wire: Arc<watch::Sender<Wire>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free loopback port and carries to `target`.
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let wire = Arc::new(watch::channel(Wire::Whole).0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, wire.subscribe()));
        Ok(Self { addr, wire, _tasks: tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes the wire do this from now on.
    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, wire: watch::Receiver<Wire>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(carry(client, target, wire.clone()));
    }
}

async fn carry(client: TcpStream, target: SocketAddr, mut wire: watch::Receiver<Wire>) {
    reset_on_close(&client);
    if whole(&mut wire).await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    reset_on_close(&server);
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let cut = async {
        let mut wire = wire.clone();
        let _ = wire.wait_for(|wire| *wire == Wire::Cut).await;
    };
    tokio::select! {
        () = pump(client_read, server_write, wire.clone()) => {}
        () = pump(server_read, client_write, wire.clone()) => {}
        () = cut => {}
    }
}

/// Waits until bytes may pass; none when the wire is cut.
async fn whole(wire: &mut watch::Receiver<Wire>) -> Option<()> {
    if *wire.borrow() == Wire::Late {
        sleep(LATE).await;
    }
    let state = wire.wait_for(|wire| *wire != Wire::Frozen).await.ok()?;
    (*state != Wire::Cut).then_some(())
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let speed = *wire.borrow();
        if let Wire::Slow(speed) = speed {
            sleep(Duration::from_secs_f64(length as f64 / f64::from(speed))).await;
        }
        if whole(&mut wire).await.is_none() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // a half-close travels on
    if whole(&mut wire).await.is_some() {
        let _ = to.shutdown().await;
    }
}

/// A cut connection is reset, not closed.
fn reset_on_close(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}
