//! The clients, on a thread of their own: they record what arrives and when, and evaluate it only after the load.

use std::{cell::RefCell, rc::Rc, sync::Arc, thread, time::Duration};

use anyhow::{Context, anyhow};
use futures_util::{StreamExt, stream};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinSet, LocalSet},
    time,
};
use wire::{Position, ServerMessage, Start};

use super::{
    clock::Clock,
    follows::Follows,
    frames::Frame,
    ledger::{Account, Ledger},
    scan::IdScanner,
    socket::{Address, Read, SCRATCH_BYTES, Socket},
};
use crate::live::Live;

/// How many sockets are opened at a time.
const OPENING: usize = 32;

/// After everything has arrived, duplicate readings get this long to show.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// What a client received, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// The readings' ids.
    pub(super) ids: Vec<i64>,
    /// For each read that brought readings: how many ids there were after it, and when it was.
    pub(super) moments: Vec<(usize, u64)>,
    /// What it subscribed to.
    pub(super) follows: Follows,
    /// Where to resume.
    pub(super) pos: Option<Position>,
    /// How many `gap`s the gateway sent.
    pub(super) gaps: u64,
    /// Why the connection ended, if it did.
    pub(super) ended: Option<String>,
    /// Filled when the load is over.
    pub(super) account: Account,
}

/// A client whose subscription is active.
struct Attached {
    socket: Socket,
    pos: Option<Position>,
    follows: Follows,
}

#[derive(Debug, Clone)]
enum Phase {
    Listen,
    Settle(Arc<Ledger>),
    Close,
}

/// N open clients.
#[derive(Debug)]
pub(super) struct Audience {
    phase: watch::Sender<Phase>,
    complete: mpsc::UnboundedReceiver<()>,
    result: oneshot::Receiver<anyhow::Result<Vec<Received>>>,
    clients: usize,
}

impl Audience {
    /// Opens the clients; returns when all are attached.
    pub(super) async fn open(
        gateway: Address,
        clients: usize,
        clock: Clock,
        follows: impl Fn(usize) -> Follows + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (phase, phases) = watch::channel(Phase::Listen);
        let (completed, complete) = mpsc::unbounded_channel();
        let (attached, all_attached) = oneshot::channel();
        let (send_result, result) = oneshot::channel();
        thread::Builder::new().name("audience".to_owned()).spawn(move || {
            let listening = async {
                let scratch = Rc::new(RefCell::new(vec![0; SCRATCH_BYTES]));
                let sockets = open_all(&gateway, clients, follows, &scratch).await?;
                // the receiver may have been dropped
                let _ = attached.send(());
                listen_all(sockets, scratch, clock, &phases, &completed).await
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let result = runtime
                .context("the clients' runtime")
                .and_then(|runtime| LocalSet::new().block_on(&runtime, listening));
            let _ = send_result.send(result);
        })?;
        let audience = Self { phase, complete, result, clients };
        match all_attached.await {
            Ok(()) => Ok(audience),
            Err(_) => Err(audience.close().await.err().unwrap_or_else(|| anyhow!("the clients ended early"))),
        }
    }

    /// Sets what the clients must get; returns when all have it, or at the deadline.
    pub(super) async fn settle(&mut self, ledger: Arc<Ledger>, limit: Duration) {
        self.phase.send_replace(Phase::Settle(ledger));
        let all_complete = async {
            for _ in 0..self.clients {
                self.complete.recv().await;
            }
        };
        // whatever is missing at the deadline is in the accounts
        let _ = time::timeout(limit, all_complete).await;
        time::sleep(GRACE).await;
    }

    /// Closes the clients and gives what each received.
    pub(super) async fn close(self) -> anyhow::Result<Vec<Received>> {
        self.phase.send_replace(Phase::Close);
        self.result.await.context("the clients' thread died")?
    }
}

async fn open_all(
    gateway: &Address,
    clients: usize,
    follows: impl Fn(usize) -> Follows,
    scratch: &RefCell<Vec<u8>>,
) -> anyhow::Result<Vec<Attached>> {
    let follows = &follows;
    let open = |n: usize| async move {
        let follows = follows(n);
        let socket = Socket::subscribed(gateway, Live::new(follows.sensors(), Start::Now), scratch);
        let socket = time::timeout(Duration::from_secs(30), socket).await;
        let socket = socket.unwrap_or_else(|_| Err(anyhow!("no answer")));
        let (socket, pos) = socket.with_context(|| format!("client {n}"))?;
        anyhow::Ok(Attached { socket, pos, follows })
    };
    let mut opening = stream::iter((0..clients).map(open)).buffer_unordered(OPENING);
    let mut sockets = Vec::with_capacity(clients);
    while let Some(socket) = opening.next().await {
        sockets.push(socket?);
    }
    Ok(sockets)
}

async fn listen_all(
    sockets: Vec<Attached>,
    scratch: Rc<RefCell<Vec<u8>>>,
    clock: Clock,
    phases: &watch::Receiver<Phase>,
    completed: &mpsc::UnboundedSender<()>,
) -> anyhow::Result<Vec<Received>> {
    let scanner = Rc::new(IdScanner::new());
    let mut clients = JoinSet::new();
    for Attached { socket, pos, follows } in sockets {
        let client = Client {
            scratch: scratch.clone(),
            scanner: scanner.clone(),
            clock,
            received: Received { pos, follows, ..Received::default() },
            accounted: 0,
        };
        clients.spawn_local(client.listen(socket, phases.clone(), completed.clone()));
    }
    Ok(clients.join_all().await)
}

struct Client {
    scratch: Rc<RefCell<Vec<u8>>>,
    scanner: Rc<IdScanner>,
    clock: Clock,
    received: Received,
    /// How many ids are in the account.
    accounted: usize,
}

impl Client {
    async fn listen(
        mut self,
        mut socket: Socket,
        mut phases: watch::Receiver<Phase>,
        completed: mpsc::UnboundedSender<()>,
    ) -> Received {
        let mut ledger: Option<Arc<Ledger>> = None;
        let mut reported = false;
        loop {
            tokio::select! {
                () = self.read(&mut socket), if self.received.ended.is_none() => {}
                changed = phases.changed() => match (changed, phases.borrow_and_update().clone()) {
                    (Ok(()), Phase::Listen) => {}
                    (Ok(()), Phase::Settle(writes)) => {
                        self.received.account = Account::new(&writes, &self.received.follows);
                        ledger = Some(writes);
                    }
                    (Ok(()), Phase::Close) | (Err(_), _) => return self.received,
                },
            }
            let Some(ledger) = &ledger else { continue };
            for id in &self.received.ids[self.accounted..] {
                self.received.account.arrive(ledger, *id);
            }
            self.accounted = self.received.ids.len();
            if !reported && (self.received.account.missing() == 0 || self.received.ended.is_some()) {
                reported = true;
                // nothing waits for it when the run is over
                let _ = completed.send(());
            }
        }
    }

    async fn read(&mut self, socket: &mut Socket) {
        let Self { scratch, scanner, clock, received, .. } = self;
        let before = received.ids.len();
        let read = socket
            .read(scratch, |frame| match frame {
                Frame::Text(text) => {
                    let before = received.ids.len();
                    received.pos = scanner.scan(text, &mut received.ids).or(received.pos);
                    if received.ids.len() == before {
                        received.receive(text);
                    }
                }
                Frame::Close(code) => received.ended = Some(format!("closed with {code}")),
                Frame::Ping(_) | Frame::Other => {}
            })
            .await;
        match read {
            Ok(Read::More) => {}
            Ok(Read::End) => received.ended = Some(received.ended.take().unwrap_or_else(|| "cut".to_owned())),
            Err(error) => received.ended = Some(error.to_string()),
        }
        if received.ids.len() > before {
            received.moments.push((received.ids.len(), clock.micros()));
        }
    }
}

impl Received {
    /// A frame without events.
    fn receive(&mut self, text: &[u8]) {
        messages(text).iter().for_each(|message| self.note(message));
    }

    /// A message other than an event.
    pub(super) fn note(&mut self, message: &ServerMessage) {
        self.gaps += u64::from(message.gap.is_some());
        let mark = message.mark.map(|mark| mark.pos);
        let pos = mark.or(message.live.map(|live| live.pos)).or(message.gap.map(|gap| gap.to));
        self.pos = pos.or(self.pos);
    }
}

/// The messages of a frame; none if it is not of the protocol.
pub(super) fn messages(text: &[u8]) -> Vec<ServerMessage> {
    let messages = std::str::from_utf8(text).ok().and_then(|text| ServerMessage::parse_frame(text).ok());
    messages.unwrap_or_default()
}
