//! One socket: reads frames for the session, writes its outbox, and does what the session wishes.

mod receiver;

use std::{future::pending, io, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use prometheus::IntGauge;
use store::{ReadError, Resume};
use tokio::{
    net::{TcpStream, tcp::OwnedWriteHalf},
    time::{Instant, sleep, sleep_until, timeout},
};
use wire::{Close, Position, Reading};

use self::receiver::{Heard, Receiver};
use crate::{
    mailbox::Mailbox,
    outbox::Outbox,
    replay::Piece,
    routes::App,
    session::{IDLE_MS, Session, Wish},
    upgrade::Speaks,
    ws_frame,
};

/// How often the session's heartbeat beats: marks at least every `idle_ms`, with room for a slow moment.
const HEARTBEAT: Duration = Duration::from_millis(IDLE_MS * 2 / 3);

/// A peer that says nothing for so long, not even a pong, is gone.
const DEADLINE: Duration = Duration::from_secs(45);

/// A peer that takes no byte for so long, while some wait, reads no more.
const STALL: Duration = Duration::from_secs(20);

/// From our close frame to the end of the connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// Sessions of a draining gateway are told to go within this time, each at its own moment.
const DRAIN_SPREAD: Duration = Duration::from_secs(5);

/// Between tries to read the log.
const RETRY: Duration = Duration::from_millis(250);

/// What the log answered to a wish.
enum Answer {
    Verdict(u32, Resume),
    Page(u32, Piece),
    Forgotten(u32),
    Snapshot(u32, Vec<Reading>),
}

type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Why a connection ended.
enum End {
    /// This side closes it, with a frame if the peer can still be told.
    Close(Close),
    /// The peer closed it.
    Closed(Option<u16>),
    /// The peer is gone.
    Lost(io::Error),
}

/// A socket with its session.
pub(crate) struct Socket {
    app: App,
    receiver: Receiver,
    writer: OwnedWriteHalf,
    mailbox: Arc<Mailbox>,
    session: Session,
    outbox: Outbox,
    answers: FuturesUnordered<Pending>,
    heard_at: Instant,
    /// When the peer last took a byte, or when the first of those that wait came.
    progress_at: Instant,
    _open: Open,
}

/// Counts the socket as open, whichever way it ends.
struct Open(IntGauge);

impl Open {
    fn count(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Socket {
    /// Makes the session that the handshake chose.
    pub(crate) async fn open(
        app: App,
        stream: TcpStream,
        read_ahead: Vec<u8>,
        speaks: Speaks,
        head: Position,
    ) -> Self {
        let (reader, writer) = stream.into_split();
        let receiver = Receiver::new(reader, read_ahead).await;
        let mailbox = Mailbox::new();
        let name = format!("{:x}", mailbox.session);
        let mut outbox = Outbox::default();
        let (session, wishes) = match speaks {
            Speaks::Demo => Session::demo(name),
            Speaks::V1(query) => Session::v1(name, head, query, &mut outbox),
        };
        let now = Instant::now();
        let mut socket = Self {
            receiver,
            writer,
            mailbox,
            session,
            outbox,
            answers: FuturesUnordered::new(),
            heard_at: now,
            progress_at: now,
            _open: Open::count(&app.metrics.sessions),
            app,
        };
        // neither first wish can end the connection
        let _ = socket.grant(wishes);
        socket
    }

    /// Serves it to its end.
    pub(crate) async fn serve(mut self) {
        let end = self.until_end().await;
        self.app.hub.leave(self.mailbox.session);
        let reason = match &end {
            End::Close(close) => close.reason(),
            End::Closed(_) => Close::Normal.reason(),
            End::Lost(_) => "lost",
        };
        self.app.metrics.closes.with_label_values(&[reason]).inc();
        let position = self.session.position().map(|position| position.to_string());
        let session = self.mailbox.session;
        match end {
            End::Close(close) => {
                tracing::info!(
                    session,
                    code = close.code(),
                    reason,
                    position,
                    unsent = self.outbox.bytes(),
                    "closed"
                );
                self.farewell(close).await;
            }
            End::Closed(code) => tracing::debug!(session, code, position, "closed by the peer"),
            End::Lost(error) => tracing::debug!(session, %error, position, "lost"),
        }
    }

    /// Everything happens here: a closed set of events, each handled in a few lines, until one ends the connection.
    async fn until_end(&mut self) -> End {
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let drain = drain(self.app.life.clone(), self.mailbox.session);
        let mut drain = std::pin::pin!(drain);
        loop {
            let idle = self.outbox.is_empty();
            let outcome = tokio::select! {
                biased;
                written = write(&self.writer, &self.outbox), if !self.outbox.is_empty() => match written {
                    Ok(written) => {
                        self.outbox.advance(written);
                        self.progress_at = Instant::now();
                        Ok(())
                    }
                    Err(error) => Err(End::Lost(error)),
                },
                () = self.mailbox.arrival() => self.take_mail(),
                heard = self.receiver.hear() => self.on_heard(heard),
                answer = next(&mut self.answers) => self.on_answer(answer),
                _ = heartbeat.tick() => self.beat(),
                () = &mut drain => Err(End::Close(Close::Drain)),
                () = sleep_until(self.progress_at + STALL), if !idle => Err(End::Close(Close::TooSlow)),
            };
            if let Err(end) = outcome.and_then(|()| self.go_on()) {
                return end;
            }
            if idle {
                self.progress_at = Instant::now();
            }
        }
    }

    fn take_mail(&mut self) -> Result<(), End> {
        let mail = self.mailbox.take();
        for delivery in &mail.deliveries {
            let wishes = self.session.on_delivery(delivery, &mut self.outbox);
            self.grant(wishes)?;
        }
        if mail.overflowed {
            self.app.metrics.fell_behind.inc();
            self.session.on_overflow();
        }
        Ok(())
    }

    fn on_heard(&mut self, heard: Result<Heard, io::Error>) -> Result<(), End> {
        self.heard_at = Instant::now();
        let replies = self.receiver.take_replies();
        if !replies.is_empty() {
            self.outbox.push(replies);
        }
        match heard {
            Ok(Heard::Text(text)) => {
                let head = self.app.hub.head().unwrap_or_default();
                let wishes = self.session.on_text(&text, head, &mut self.outbox);
                self.grant(wishes)
            }
            Ok(Heard::Control) => Ok(()),
            Ok(Heard::Fault(close)) => Err(End::Close(close)),
            Ok(Heard::Closed(code)) => Err(End::Closed(code)),
            Err(error) => Err(End::Lost(error)),
        }
    }

    fn on_answer(&mut self, answer: Answer) -> Result<(), End> {
        let out = &mut self.outbox;
        let wishes = match answer {
            Answer::Verdict(sub, verdict) => self.session.on_verdict(sub, verdict, out),
            Answer::Page(sub, piece) => self.session.on_page(sub, &piece.batches, piece.covered, out),
            Answer::Forgotten(sub) => self.session.on_forgotten(sub),
            Answer::Snapshot(sub, newest) => self.session.on_snapshot(sub, &newest, out),
        };
        self.grant(wishes)
    }

    fn beat(&mut self) -> Result<(), End> {
        if self.heard_at.elapsed() > DEADLINE {
            return Err(End::Close(Close::NoPong));
        }
        self.outbox.push(ws_frame::PING);
        // a gateway without a feed does not know whether it is live, and so does not say it
        if let Some(head) = self.app.hub.head().filter(|_| self.app.hub.feed_is_up()) {
            self.take_mail()?;
            self.session.on_heartbeat(head, &mut self.outbox);
        }
        Ok(())
    }

    /// After each event: a session that was paused reads on when there is room.
    fn go_on(&mut self) -> Result<(), End> {
        if self.session.is_paused() && self.outbox.has_room() {
            let wishes = self.session.on_room();
            self.grant(wishes)?;
        }
        Ok(())
    }

    fn grant(&mut self, wishes: Vec<Wish>) -> Result<(), End> {
        let mut wishes = std::collections::VecDeque::from(wishes);
        while let Some(wish) = wishes.pop_front() {
            match wish {
                Wish::Attach { sub, filter, after } => {
                    let attach = self.app.hub.attach(&self.mailbox, sub, &filter, after);
                    wishes.extend(self.session.on_attach(sub, attach, &mut self.outbox));
                }
                Wish::Detach { sub } => self.app.hub.detach(self.mailbox.session, sub),
                Wish::Close(close) => return Err(End::Close(close)),
                Wish::Verdict { sub, from } => {
                    self.answers.push(Box::pin(verdict(self.app.clone(), sub, from)))
                }
                Wish::Read { sub, after } => self.answers.push(Box::pin(page(self.app.clone(), sub, after))),
                Wish::Snapshot { sub, filter, at } => {
                    self.answers.push(Box::pin(snapshot(self.app.clone(), sub, filter, at)));
                }
            }
        }
        Ok(())
    }

    /// Says why, writes what is left, and waits a moment for the peer's own close.
    async fn farewell(mut self, close: Close) {
        if self.outbox.is_full() {
            // a peer that did not take what waits will not take this either
            return;
        }
        let after_ms = (close == Close::Drain).then(|| self.mailbox.session % 2_000);
        self.session.on_close(close, after_ms, &mut self.outbox);
        let said = async {
            while !self.outbox.is_empty() {
                let written = write(&self.writer, &self.outbox).await?;
                self.outbox.advance(written);
            }
            while !matches!(self.receiver.hear().await?, Heard::Closed(_) | Heard::Fault(_)) {}
            io::Result::Ok(())
        };
        // a peer that is gone needs no goodbye
        let _ = timeout(FAREWELL, said).await;
    }
}

/// One vectored write of what comes first.
async fn write(writer: &OwnedWriteHalf, outbox: &Outbox) -> io::Result<usize> {
    loop {
        writer.writable().await?;
        match writer.try_write_vectored(&outbox.chunks()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return written,
        }
    }
}

async fn next(answers: &mut FuturesUnordered<Pending>) -> Answer {
    match answers.next().await {
        Some(answer) => answer,
        None => pending().await,
    }
}

/// Returns at this session's moment of the drain.
async fn drain(life: chassis::Life, session: u64) {
    life.stopping().await;
    // a multiplicative hash spreads consecutive numbers evenly (Knuth, TAOCP vol. 3, 6.4)
    let share = session.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    sleep(DRAIN_SPREAD.mul_f64(share as f64 / f64::from(u32::MAX))).await;
}

async fn verdict(app: App, sub: u32, from: Position) -> Answer {
    loop {
        match app.replay.verdict(from).await {
            Ok(verdict) => return Answer::Verdict(sub, verdict),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the log cannot be asked")
            }
        }
        sleep(RETRY).await;
    }
}

async fn page(app: App, sub: u32, after: Position) -> Answer {
    loop {
        app.metrics.replay_reads.inc();
        match app.replay.read(after).await {
            // the log has no more, and the hub could not attach: the feed stands elsewhere and will come
            Ok(piece) if piece.covered <= after => {}
            Ok(piece) => return Answer::Page(sub, piece),
            Err(ReadError::Forgotten(_)) => return Answer::Forgotten(sub),
            Err(ReadError::Database(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the log cannot be read");
            }
        }
        sleep(RETRY).await;
    }
}

async fn snapshot(app: App, sub: u32, filter: wire::Filter, at: Position) -> Answer {
    loop {
        match app.replay.snapshot(&filter, at).await {
            Ok(newest) => return Answer::Snapshot(sub, newest),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "no snapshot can be read")
            }
        }
        sleep(RETRY).await;
    }
}
