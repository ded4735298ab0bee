//! One subscription of a session: what it wants, how far it has come, and what it waits for.

use std::sync::Arc;

use tokio::time::Instant;
use wire::{
    Filter, Position, Reading, ServerMessage,
    frame::{Attached, Gap, Live, Mark},
};

use super::{effect::Effect, latest::Latest};
use crate::{
    admission::subjects::SubscriptionPermit,
    budget::MemoryPermit,
    encode::{Protocol, rows::Rows, v1::EventHead},
    fanout::{
        batch::{Batch, Times, Trace},
        mailbox::Delivery,
        selection::Selection,
    },
    outbox::Outbox,
};

/// What a subscription waits for. `paused`: it first waits for room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// The first attach, at the head.
    Starting,
    /// The log's answer on where it asked to start; its command has had none yet.
    Resolving,
    /// A snapshot's next page, of the sensors behind `after`.
    Snapshot { after: Option<String>, paused: bool },
    /// The log's next page. `resumed`: it was live before, and could not keep up, or the feed restarted.
    Replay { resumed: bool, paused: bool },
    /// The hub's next delivery.
    Live,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) sub: u32,
    pub(super) protocol: Protocol,
    /// What its client asked for.
    pub(super) wanted: Arc<Filter>,
    /// What of it the client may read.
    pub(super) filter: Arc<Filter>,
    /// The `id` of its command.
    pub(super) command: Option<u64>,
    pub(super) state: State,
    /// Everything that matches up to here has been sent; nothing up to here is sent again.
    pub(super) sent: Position,
    /// Whether events come with their trace contexts.
    trace: bool,
    /// Events since `ok`.
    count: u64,
    /// What mode `latest` holds back; none in mode `all`.
    pub(super) latest: Option<Box<Latest>>,
    /// The memory of the patterns that it asked for, and of those that are left of them.
    pub(super) permits: [Option<MemoryPermit>; 2],
    /// Its place among those of its client, where these are bounded.
    pub(super) place: Option<SubscriptionPermit>,
    event_head: EventHead,
}

impl Subscription {
    /// To everything, as the demo's clients have it.
    pub(super) fn demo(sub: u32, filter: Arc<Filter>) -> Self {
        Self::new(sub, Protocol::Demo, (Arc::new(Filter::All), filter), None, None)
    }

    pub(super) fn new(
        sub: u32,
        protocol: Protocol,
        (wanted, filter): (Arc<Filter>, Arc<Filter>),
        command: Option<u64>,
        latest: Option<Latest>,
    ) -> Self {
        Self {
            sub,
            protocol,
            wanted,
            filter,
            command,
            state: State::Starting,
            sent: Position::default(),
            trace: false,
            count: 0,
            latest: latest.map(Box::new),
            permits: [None, None],
            place: None,
            event_head: EventHead::new(sub),
        }
    }

    /// With the trace contexts of its events, if it asks for them.
    pub(super) fn with_trace(self, trace: bool) -> Self {
        Self { trace, ..self }
    }

    /// From here on it reads the log at its own pace.
    pub(super) fn fall_behind(&mut self) {
        self.state = State::Replay { resumed: true, paused: true };
    }

    /// Goes on with another filter, from what was sent: nothing is missed or doubled by the change.
    pub(super) fn refilter(&mut self, filter: Arc<Filter>, permit: MemoryPermit) -> Vec<Effect> {
        self.filter = filter.clone();
        self.permits[1] = Some(permit);
        if let Some(latest) = &mut self.latest {
            latest.retain(&filter);
        }
        let sub = self.sub;
        match &self.state {
            // what the old filter had delivered already lies before the head at which the new one is attached
            State::Live => {
                self.state = State::Replay { resumed: true, paused: false };
                vec![Effect::Detach { sub }, Effect::Attach { sub, filter, after: Some(self.sent) }]
            }
            State::Snapshot { paused: true, .. } => Vec::new(),
            State::Snapshot { after, paused: false } => {
                let at = (self.sent != Position::default()).then_some(self.sent);
                vec![Effect::Detach { sub }, Effect::Snapshot { sub, filter, at, after: after.clone() }]
            }
            // what is being read is whole batches; the filter is used when they come
            State::Starting | State::Resolving | State::Replay { .. } => Vec::new(),
        }
    }

    /// Whether it was live, and reads the log on because it could not keep up.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self.state, State::Replay { resumed: true, .. })
    }

    /// Whether it waits for room.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.state, State::Snapshot { paused: true, .. } | State::Replay { paused: true, .. })
    }

    /// Sets whether it waits for room, where its state can.
    pub(super) fn pause(&mut self, waits: bool) {
        if let State::Snapshot { paused, .. } | State::Replay { paused, .. } = &mut self.state {
            *paused = waits;
        }
    }

    /// What it does next, after it has waited.
    pub(super) fn read_on(&self) -> Effect {
        let (sub, filter) = (self.sub, self.filter.clone());
        match &self.state {
            State::Snapshot { after, .. } => {
                Effect::Snapshot { sub, filter, at: Some(self.sent), after: after.clone() }
            }
            // the history may have changed meanwhile
            _ => Effect::Resolve { sub, from: self.sent, first: false },
        }
    }

    /// Whether it must stop taking: what it sends, or what it holds back, is at its bound.
    pub(super) fn is_full(&self, out: &Outbox) -> bool {
        self.latest.as_ref().map_or(out.is_full(), |latest| latest.is_full())
    }

    /// Whether it may take again.
    pub(super) fn has_room(&self, out: &Outbox) -> bool {
        out.has_room() && self.latest.as_ref().is_none_or(|latest| !latest.is_full())
    }

    fn write(&self, message: ServerMessage, out: &mut Outbox) {
        self.protocol.message(&ServerMessage { sub: Some(self.sub), ..message }, out);
    }

    pub(super) fn write_ok(&self, pos: Option<Position>, resumed: Option<bool>, out: &mut Outbox) {
        let ok = Attached { sub: self.sub, pos, resumed };
        let message = ServerMessage { id: self.command, ok: Some(ok), ..ServerMessage::default() };
        self.protocol.message(&message, out);
    }

    pub(super) fn write_gap(&self, gap: Gap, out: &mut Outbox) {
        self.write(ServerMessage { gap: Some(gap), ..ServerMessage::default() }, out);
    }

    pub(super) fn write_live(&self, out: &mut Outbox) {
        let live = Live { pos: self.safe() };
        self.write(ServerMessage { live: Some(live), ..ServerMessage::default() }, out);
    }

    /// Its message at a heartbeat.
    pub(super) fn mark(&self, stale: bool) -> ServerMessage {
        let mark = Mark { pos: self.safe(), n: self.count, stale };
        ServerMessage { sub: Some(self.sub), mark: Some(mark), ..ServerMessage::default() }
    }

    /// Everything that matches up to here has been sent, or merged into what was.
    pub(super) fn safe(&self) -> Position {
        self.latest.as_ref().map_or(self.sent, |latest| latest.safe(self.sent))
    }

    /// Sends those of the batch's readings that are selected, match, and were not sent.
    pub(super) fn send(&mut self, batch: &Batch, selection: &Selection, now: Instant, out: &mut Outbox) {
        self.send_at(batch, selection, (None, None), now, out);
    }

    /// The same of a batch that the hub has just delivered: its events are as late as they are written.
    pub(super) fn send_live(&mut self, delivery: &Delivery, now: Instant, out: &mut Outbox) {
        let Delivery { batch, selection, trace, .. } = delivery;
        self.send_at(batch, selection, (batch.times(), trace.clone()), now, out);
    }

    fn send_at(
        &mut self,
        batch: &Batch,
        selection: &Selection,
        (times, trace): (Option<Times>, Option<Trace>),
        now: Instant,
        out: &mut Outbox,
    ) {
        let first = batch.first_after(self.sent);
        if first == batch.count() {
            return;
        }
        self.sent = batch.end;
        let rows = self.rows(batch, selection, first);
        match (&mut self.latest, &rows) {
            (Some(latest), Rows::These(rows)) => {
                for row in rows {
                    let (sensor, pos, data) = batch.row(*row);
                    latest.take(sensor, pos, data, now);
                }
                self.flush(now, out);
            }
            (_, rows) if rows.count(batch.count()) > 0 => {
                let count = rows.count(batch.count());
                self.count += count as u64;
                if self.trace {
                    self.protocol.traced_readings(&self.event_head, batch.frames(), rows, out);
                } else {
                    self.protocol.readings(&self.event_head, batch.frames(), rows, out);
                }
                out.note_events(count, times, trace);
            }
            _ => {}
        }
    }

    fn rows(&self, batch: &Batch, selection: &Selection, first: usize) -> Rows {
        let matched = match selection {
            Selection::All if *self.filter != Filter::All => batch.matched(&self.filter),
            known => known.clone(),
        };
        match matched {
            Selection::All | Selection::Each if self.latest.is_none() => Rows::From(first),
            Selection::All | Selection::Each => Rows::These((first..batch.count()).collect()),
            Selection::These(rows) => {
                Rows::These(rows.iter().map(|row| *row as usize).filter(|row| *row >= first).collect())
            }
        }
    }

    /// Mode `latest`: sends what is due.
    pub(super) fn flush(&mut self, now: Instant, out: &mut Outbox) {
        if let Some(latest) = &mut self.latest {
            let count = latest.flush(self.protocol.latest(self.sub), now, out);
            self.count += count;
            out.note_events(count as usize, None, None);
        }
    }

    /// Sends the newest reading of each sensor.
    pub(super) fn send_snapshot(&mut self, newest: &[Reading], out: &mut Outbox) {
        self.protocol.snapshot(self.sub, newest, out);
        self.count += newest.len() as u64;
        out.note_events(newest.len(), None, None);
    }
}
