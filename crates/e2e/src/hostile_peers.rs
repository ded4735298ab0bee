//! Hostile peers that never read, send bad input, flood, stop half-way or disappear. While they are connected, every
//! guarantee to other clients must hold.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use testkit::hostile::{PING, Peer, TEXT_BEGIN, TEXT_END, frame, text};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// How many there are at a time.
const PEERS: u64 = 40;

/// How long a flood lasts: floods are as fast as the machine allows, and a few of them keep a core busy.
const FLOODS: Duration = Duration::from_millis(300);

/// The behaviour of a hostile peer.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Pings, commands or nonsense without end, and nothing is read.
    Flood,
    /// A frame whose length is more than it sends, or more than is permitted.
    FalseLength,
    /// Subscribes to everything and reads nothing.
    NoReads,
    /// Requests large responses over HTTP and reads nothing.
    Unread,
    /// Half of a head, of a handshake, or of a body.
    Half,
    /// Subscribes and disconnects at once.
    Brief,
    /// Bytes of no protocol.
    Nonsense,
}

const ACTS: [Act; 7] =
    [Act::Flood, Act::FalseLength, Act::NoReads, Act::Unread, Act::Half, Act::Brief, Act::Nonsense];

/// They run until this is dropped.
#[derive(Debug)]
pub struct HostilePeers {
    _tasks: JoinSet<()>,
}

struct HostilePeer {
    rng: StdRng,
    ingest: SocketAddr,
    gateways: Arc<[SocketAddr]>,
}

impl HostilePeers {
    /// They connect to these addresses; the same seed gives the same acts.
    pub fn start(ingest: SocketAddr, gateways: &[SocketAddr], seed: u64) -> Self {
        let gateways: Arc<[SocketAddr]> = gateways.into();
        let mut tasks = JoinSet::new();
        for number in 0..PEERS {
            let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000) + 500 + number);
            tasks.spawn(HostilePeer { rng, ingest, gateways: gateways.clone() }.run());
        }
        Self { _tasks: tasks }
    }
}

impl HostilePeer {
    async fn run(mut self) {
        loop {
            let act = *ACTS.choose(&mut self.rng).unwrap_or(&Act::Brief);
            // refused and closed connections are expected
            let _ = timeout(Duration::from_secs(20), self.act(act)).await;
            let pause = Duration::from_millis(self.rng.random_range(0..200));
            sleep(pause).await;
        }
    }

    async fn act(&mut self, act: Act) -> io::Result<()> {
        let (gateway, ingest) = (*self.gateways.choose(&mut self.rng).unwrap_or(&self.ingest), self.ingest);
        let stays = Duration::from_millis(self.rng.random_range(0..8_000));
        let mut peer = match act {
            Act::Flood => {
                let mut peer =
                    Peer::socket(gateway, self.one_of(&["/ws/sensors/?v=1", "/ws/sensors/"])).await?;
                let message = self.one_of(&["", r#"{"id":1,"publish":{}}"#, "[{},{},{},{}]"]);
                let bytes = if message.is_empty() { frame(PING, 0, b"") } else { text(message) };
                peer.flood(&bytes, FLOODS).await;
                peer
            }
            Act::FalseLength => {
                let mut peer = Peer::socket(gateway, "/ws/sensors/").await?;
                let length = *[u64::MAX, 1 << 63, 1 << 32, 70_000].choose(&mut self.rng).unwrap_or(&1);
                peer.send(&[frame(TEXT_BEGIN, 1, b"x"), frame(TEXT_END, length, b"")].concat()).await?;
                peer
            }
            Act::NoReads => {
                let from = self.one_of(&["", "&from=latest", "&last=1m", "&mode=latest"]);
                let path = format!("/ws/sensors/?v=1&sensor=*{from}");
                Peer::socket(gateway, &path).await?
            }
            Act::Unread => {
                let path = self.one_of(&[
                    "/sse/sensors/?last=1m",
                    "/sse/sensors/?mode=latest",
                    "/api/readings?limit=5000",
                    "/api/latest?limit=1000",
                    "/api/sensors/?limit=1000",
                    "/",
                ]);
                let addr = if path.starts_with("/api/sensors") { ingest } else { gateway };
                Peer::requesting(addr, self.one_of(&["GET", "HEAD"]), path).await?
            }
            Act::Half => {
                let addr = *[gateway, ingest].choose(&mut self.rng).unwrap_or(&gateway);
                let bytes = self.one_of(&[
                    "",
                    "P",
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    "GET / HTTP/1.1\r\nhost: x\r\ncookie: ",
                    "POST /api/sensors/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n[",
                ]);
                Peer::sending(addr, bytes.as_bytes()).await?
            }
            Act::Brief => {
                let peer = Peer::socket(gateway, "/ws/sensors/?v=1&sensor=*&last=1m").await?;
                return if self.rng.random_bool(0.5) { peer.reset() } else { Ok(()) };
            }
            Act::Nonsense => {
                let addr = *[gateway, ingest].choose(&mut self.rng).unwrap_or(&gateway);
                let bytes: Vec<u8> =
                    (0..self.rng.random_range(1..2_000)).map(|_| self.rng.random()).collect();
                Peer::sending(addr, &bytes).await?
            }
        };
        sleep(stays).await;
        match self.rng.random_range(0..3) {
            0 => peer.reset(),
            1 => peer.half_close().await,
            _ => Ok(()),
        }
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices.choose(&mut self.rng).copied().unwrap_or_default()
    }
}
