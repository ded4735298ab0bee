//! One subscription of a session: what it wants, how far it has come, how its events are written.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use wire::{
    Filter, Position, Reading, ServerMessage,
    frame::{self, Attached, Gap, Live, Mark},
};

use super::latest::Latest;
use crate::{
    batch::{Batch, FIRST_SUB, Pieces},
    form::{Form, text, write_sse},
    kept::Room,
    mailbox::Rows,
    outbox::Outbox,
    ws_frame,
};

/// What a subscription waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The first attach, at the head.
    Starting,
    /// The log's word on where it asked to start.
    Judged,
    /// The snapshot's next page.
    Snapshot,
    /// The log's next page, before its first `live`.
    Replay,
    /// The hub's next delivery.
    Live,
    /// The log's next page, after it could not keep up or the feed started anew.
    Behind,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) sub: u32,
    pub(super) form: Form,
    pub(super) filter: Arc<Filter>,
    /// The `id` of its command.
    pub(super) command: Option<u64>,
    pub(super) state: State,
    /// Everything that matches up to here has been sent; nothing up to here is sent again.
    pub(super) sent: Position,
    /// In a snapshot: the last sensor that was sent.
    pub(super) snapshot_after: Option<String>,
    /// It goes on when there is room.
    pub(super) paused: bool,
    /// Events since `ok`.
    count: u64,
    /// What mode `latest` holds back; none in mode `all`.
    pub(super) latest: Option<Box<Latest>>,
    /// What its patterns take of what all clients may make the gateway keep.
    pub(super) room: Option<Room>,
    /// `,{"sub":N,`, which every event but a frame's first begins with.
    next_head: Bytes,
}

impl Subscription {
    /// To everything, as the demo's clients have it.
    pub(super) fn demo(sub: u32) -> Self {
        Self::new(sub, Form::Demo, Arc::new(Filter::All), None, None)
    }

    pub(super) fn new(
        sub: u32,
        form: Form,
        filter: Arc<Filter>,
        command: Option<u64>,
        latest: Option<Latest>,
    ) -> Self {
        Self {
            sub,
            form,
            filter,
            command,
            state: State::Starting,
            sent: Position::default(),
            snapshot_after: None,
            paused: false,
            count: 0,
            latest: latest.map(Box::new),
            room: None,
            next_head: next_head(sub),
        }
    }

    pub(super) fn fall_behind(&mut self) {
        self.state = State::Behind;
        self.paused = true;
    }

    /// Whether it must stop taking: what it sends, or what it holds back, is at its bound.
    pub(super) fn is_full(&self, out: &Outbox) -> bool {
        self.latest.as_ref().map_or(out.is_full(), |latest| latest.is_full())
    }

    /// Whether it may take again.
    pub(super) fn has_room(&self, out: &Outbox) -> bool {
        out.has_room() && self.latest.as_ref().is_none_or(|latest| !latest.is_full())
    }

    fn say(&self, message: ServerMessage, out: &mut Outbox) {
        self.form.say(&ServerMessage { sub: Some(self.sub), ..message }, out);
    }

    pub(super) fn say_ok(&self, pos: Option<Position>, resumed: Option<bool>, out: &mut Outbox) {
        let ok = Attached { sub: self.sub, pos, resumed };
        self.form.say(&ServerMessage { id: self.command, ok: Some(ok), ..ServerMessage::default() }, out);
    }

    pub(super) fn say_gap(&self, gap: Gap, out: &mut Outbox) {
        self.say(ServerMessage { gap: Some(gap), ..ServerMessage::default() }, out);
    }

    pub(super) fn say_live(&self, out: &mut Outbox) {
        let live = Live { pos: self.safe() };
        self.say(ServerMessage { live: Some(live), ..ServerMessage::default() }, out);
    }

    /// The heartbeat's word.
    pub(super) fn mark(&self, stale: bool) -> ServerMessage {
        let mark = Mark { pos: self.safe(), n: self.count, stale };
        ServerMessage { sub: Some(self.sub), mark: Some(mark), ..ServerMessage::default() }
    }

    /// Everything that matches up to here has been sent, or merged into what was.
    pub(super) fn safe(&self) -> Position {
        self.latest.as_ref().map_or(self.sent, |latest| latest.safe(self.sent))
    }

    /// Sends those of the batch's readings that are chosen, wanted and new.
    pub(super) fn send(&mut self, batch: &Batch, rows: &Rows, now: Instant, out: &mut Outbox) {
        let first = batch.first_after(self.sent);
        if first == batch.count() {
            return;
        }
        self.sent = batch.end;
        if self.latest.is_none() && *rows == Rows::All && *self.filter == Filter::All {
            return self.send_from(batch, first, out);
        }
        let chosen: Vec<usize> = match rows {
            Rows::All => {
                let sensors = batch.sensors().enumerate().skip(first);
                sensors.filter(|(_, sensor)| self.filter.matches(sensor)).map(|(row, _)| row).collect()
            }
            Rows::Some(rows) => rows.iter().map(|row| *row as usize).filter(|row| *row >= first).collect(),
        };
        match &mut self.latest {
            Some(latest) => {
                for row in chosen {
                    let (sensor, pos, data) = batch.row(row);
                    latest.take(sensor, pos, data, now);
                }
                self.flush(now, out);
            }
            None => self.send_rows(batch, &chosen, out),
        }
    }

    /// Mode `latest`: sends what is due.
    pub(super) fn flush(&mut self, now: Instant, out: &mut Outbox) {
        if let Some(latest) = &mut self.latest {
            self.count += latest.flush(self.form, self.sub, now, out);
        }
    }

    fn send_from(&mut self, batch: &Batch, first: usize, out: &mut Outbox) {
        match self.form {
            Form::Demo => push_from(batch.demo(), first, out),
            Form::Sse => push_from(batch.sse(), first, out),
            Form::V1 if first == 0 && self.sub == FIRST_SUB => out.push(batch.whole()),
            Form::V1 => return self.send_rows(batch, &(first..batch.count()).collect::<Vec<_>>(), out),
        }
        self.count += (batch.count() - first) as u64;
    }

    fn send_rows(&mut self, batch: &Batch, rows: &[usize], out: &mut Outbox) {
        self.count += rows.len() as u64;
        match (self.form, rows) {
            (_, []) => {}
            (Form::Demo, rows) => push_each(batch.demo(), rows, out),
            (Form::Sse, rows) => push_each(batch.sse(), rows, out),
            (Form::V1, [_]) if self.sub == FIRST_SUB => push_each(batch.alone(), rows, out),
            (Form::V1, rows) => self.send_frame(batch, rows, out),
        }
    }

    /// One frame, put together from slices of the batch and the subscription's own head.
    fn send_frame(&self, batch: &Batch, rows: &[usize], out: &mut Outbox) {
        let events = batch.events();
        let tails: Vec<Bytes> = rows.iter().map(|row| events.one(*row)).collect();
        let brackets = if tails.len() == 1 { 0 } else { 2 };
        let heads = self.next_head.len() * tails.len() - 1;
        let mut opening = Vec::with_capacity(ws_frame::MAX_HEADER + self.next_head.len());
        let length = heads + tails.iter().map(Bytes::len).sum::<usize>() + brackets;
        ws_frame::write_text_header(length, &mut opening);
        if brackets > 0 {
            opening.push(b'[');
        }
        opening.extend_from_slice(&self.next_head[1..]);
        out.push(opening);
        for (index, tail) in tails.into_iter().enumerate() {
            if index > 0 {
                out.push_part(self.next_head.clone(), events.len());
            }
            out.push_part(tail, events.len());
        }
        if brackets > 0 {
            out.push(&b"]"[..]);
        }
    }

    /// Sends the newest reading of each sensor. Snapshot events carry no position: only their end is one.
    pub(super) fn send_snapshot(&mut self, newest: &[Reading], out: &mut Outbox) {
        const EVENTS_PER_FRAME: usize = 200;
        let mut data = Vec::new();
        for chunk in newest.chunks(EVENTS_PER_FRAME) {
            let mut events = Vec::new();
            for (index, reading) in chunk.iter().enumerate() {
                data.clear();
                reading.write_json(&mut data);
                if self.form == Form::Sse {
                    write_sse(None, &data, &mut events);
                } else {
                    events.push(if index == 0 { b'[' } else { b',' });
                    frame::write_snapshot_event(self.sub, &data, &mut events);
                }
            }
            if self.form == Form::Sse {
                out.push(events);
            } else {
                events.push(b']');
                text(&events, out);
            }
        }
        self.count += newest.len() as u64;
    }
}

fn push_from(pieces: &Pieces, first: usize, out: &mut Outbox) {
    out.push_part(pieces.from(first), pieces.len());
}

fn push_each(pieces: &Pieces, rows: &[usize], out: &mut Outbox) {
    for row in rows {
        out.push_part(pieces.one(*row), pieces.len());
    }
}

fn next_head(sub: u32) -> Bytes {
    if sub == FIRST_SUB {
        return Bytes::from_static(br#",{"sub":1,"#);
    }
    let mut head = vec![b','];
    frame::write_event_head(sub, &mut head);
    head.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subscription_s_head_is_as_any_other_s() {
        let mut head = vec![b','];
        frame::write_event_head(FIRST_SUB, &mut head);
        assert_eq!(next_head(FIRST_SUB), head);
    }
}
