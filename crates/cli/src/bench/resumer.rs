//! A client that reconnects: it resumes until it is live and has everything.

use std::{cell::RefCell, time::Duration};

use anyhow::{bail, ensure};
use tokio::time::timeout;
use wire::Start;

use super::{
    audience::{GRACE, Received, messages},
    clock::Clock,
    frames::Frame,
    ledger::Ledger,
    scan::IdScanner,
    socket::{Address, Read, SCRATCH_BYTES, Socket},
};
use crate::live::Live;

/// Where clients resume, and what they must have then.
pub(super) struct Resumer<'a> {
    gateway: &'a Address,
    ledger: &'a Ledger,
    clock: Clock,
    scratch: RefCell<Vec<u8>>,
    scanner: IdScanner,
}

/// In microseconds of the clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    /// `ok`.
    pub(super) attached: Option<u64>,
    /// `live`.
    pub(super) live: Option<u64>,
    /// Live, and everything had arrived.
    pub(super) complete: Option<u64>,
}

impl<'a> Resumer<'a> {
    pub(super) fn new(gateway: &'a Address, ledger: &'a Ledger, clock: Clock) -> Self {
        let scratch = RefCell::new(vec![0; SCRATCH_BYTES]);
        Self { gateway, ledger, clock, scratch, scanner: IdScanner::new() }
    }

    /// Continues from where a client was, until it has everything or at the limit; then duplicate readings get a moment
    /// to show.
    pub(super) async fn resume(&self, mut received: Received, limit: Duration) -> (Received, Times) {
        let mut times = Times::default();
        received.ended = None;
        match timeout(limit, self.until_complete(&mut received, &mut times)).await {
            Ok(Ok(mut socket)) => {
                let rest = async { while self.read(&mut socket, &mut received, &mut times).await.is_ok() {} };
                let _ = timeout(GRACE, rest).await;
            }
            Ok(Err(error)) => received.ended = Some(format!("{error:#}")),
            // what is missing is in the account
            Err(_) => {}
        }
        (received, times)
    }

    async fn until_complete(&self, received: &mut Received, times: &mut Times) -> anyhow::Result<Socket> {
        let from = received.pos.map_or(Start::Now, Start::After);
        let mut socket = Socket::open(self.gateway).await?;
        socket.send(&Live::new(Vec::new(), from).on_open()).await?;
        while times.complete.is_none() {
            self.read(&mut socket, received, times).await?;
        }
        Ok(socket)
    }

    async fn read(
        &self,
        socket: &mut Socket,
        received: &mut Received,
        times: &mut Times,
    ) -> anyhow::Result<()> {
        let (before, now) = (received.ids.len(), || Some(self.clock.micros()));
        let mut fault = None;
        let on_frame = |frame: Frame<'_>| match frame {
            Frame::Text(text) => {
                let events = received.ids.len();
                received.pos = self.scanner.scan(text, &mut received.ids).or(received.pos);
                if received.ids.len() == events {
                    for message in messages(text) {
                        received.note(&message);
                        times.attached = times.attached.or_else(|| message.ok.and_then(|_| now()));
                        times.live = times.live.or_else(|| message.live.and_then(|_| now()));
                        fault = message.error.map(|error| format!("{}: {}", error.code, error.message));
                    }
                }
            }
            Frame::Close(code) => fault = Some(format!("closed with {code}")),
            Frame::Ping(_) | Frame::Other => {}
        };
        let read = socket.read(&self.scratch, on_frame).await?;
        for id in &received.ids[before..] {
            received.account.arrive(self.ledger, *id);
        }
        if times.live.is_some() && times.complete.is_none() && received.account.missing() == 0 {
            times.complete = now();
        }
        if let Some(fault) = fault {
            bail!("{fault}");
        }
        ensure!(read == Read::More, "cut");
        Ok(())
    }
}
