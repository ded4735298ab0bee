//! One subscription of a session: what it wants, how far it has come, how its events are written.

use bytes::Bytes;
use wire::{
    Filter, Position, Reading, ServerMessage,
    frame::{self, Attached, Gap},
};

use crate::{
    batch::{Batch, FIRST_SUB},
    mailbox::Rows,
    outbox::Outbox,
    ws_frame,
};

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A frame for each reading, as the demo did.
    Demo,
    /// Events with number and position, a tick's in one frame.
    V1,
}

/// What a subscription waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The first attach, at the head.
    Starting,
    /// The log's word on the position it asked for.
    Judged,
    /// The snapshot.
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
    pub(super) filter: Filter,
    /// The `id` of its command.
    pub(super) command: Option<u64>,
    pub(super) state: State,
    /// Everything that matches up to here has been sent; nothing up to here is sent again.
    pub(super) sent: Position,
    /// Events since `ok`.
    pub(super) count: u64,
    /// It goes on when the outbox has room.
    pub(super) paused: bool,
    /// `,{"sub":N,`, which every event but a frame's first begins with.
    next_head: Bytes,
}

impl Subscription {
    pub(super) fn new(sub: u32, form: Form, filter: Filter, command: Option<u64>) -> Self {
        let mut next_head = vec![b','];
        frame::write_event_head(sub, &mut next_head);
        Self {
            sub,
            form,
            filter,
            command,
            state: State::Starting,
            sent: Position::default(),
            count: 0,
            paused: false,
            next_head: next_head.into(),
        }
    }

    pub(super) fn fall_behind(&mut self) {
        self.state = State::Behind;
        self.paused = true;
    }

    pub(super) fn say(&self, message: ServerMessage, out: &mut Outbox) {
        if self.form == Form::V1 {
            super::say(&ServerMessage { sub: Some(self.sub), ..message }, out);
        }
    }

    pub(super) fn say_ok(&self, pos: Option<Position>, resumed: Option<bool>, out: &mut Outbox) {
        if self.form == Form::V1 {
            let ok = Attached { sub: self.sub, pos, resumed };
            super::say(&ServerMessage { id: self.command, ok: Some(ok), ..ServerMessage::default() }, out);
        }
    }

    pub(super) fn say_gap(&self, gap: Gap, out: &mut Outbox) {
        self.say(ServerMessage { gap: Some(gap), ..ServerMessage::default() }, out);
    }

    /// Sends those of the batch's readings that are chosen, wanted and new.
    pub(super) fn send(&mut self, batch: &Batch, rows: &Rows, out: &mut Outbox) {
        let first = batch.first_after(self.sent);
        if first == batch.count() {
            return;
        }
        match (rows, &self.filter) {
            (Rows::All, Filter::All) => self.send_from(batch, first, out),
            (Rows::All, filter) => {
                let sensors = batch.sensors().enumerate().skip(first);
                let wanted =
                    sensors.filter(|(_, sensor)| filter.matches(sensor)).map(|(row, _)| row).collect();
                self.send_rows(batch, wanted, out);
            }
            (Rows::Some(rows), _) => {
                let new = rows.iter().map(|row| *row as usize).filter(|row| *row >= first).collect();
                self.send_rows(batch, new, out);
            }
        }
        self.sent = batch.end;
    }

    fn send_from(&mut self, batch: &Batch, first: usize, out: &mut Outbox) {
        let fresh = batch.count() - first;
        match self.form {
            Form::Demo => out.push(batch.demo().from(first)),
            Form::V1 if first == 0 && self.sub == FIRST_SUB => out.push(batch.whole()),
            Form::V1 => return self.send_rows(batch, (first..batch.count()).collect(), out),
        }
        self.count += fresh as u64;
    }

    fn send_rows(&mut self, batch: &Batch, rows: Vec<usize>, out: &mut Outbox) {
        self.count += rows.len() as u64;
        if self.form == Form::Demo {
            rows.into_iter().for_each(|row| out.push(batch.demo().one(row)));
            return;
        }
        if rows.is_empty() {
            return;
        }
        let tails: Vec<Bytes> = rows.into_iter().map(|row| batch.events().one(row)).collect();
        let alone = tails.len() == 1;
        let heads = self.next_head.len() * tails.len();
        let length = heads + tails.iter().map(Bytes::len).sum::<usize>() + if alone { 0 } else { 2 } - 1;
        let mut opening = Vec::with_capacity(ws_frame::MAX_HEADER + self.next_head.len());
        ws_frame::write_text_header(length, &mut opening);
        if !alone {
            opening.push(b'[');
        }
        opening.extend_from_slice(&self.next_head[1..]);
        out.push(opening);
        for (index, tail) in tails.into_iter().enumerate() {
            if index > 0 {
                out.push(self.next_head.clone());
            }
            out.push(tail);
        }
        if !alone {
            out.push(&b"]"[..]);
        }
    }

    /// Sends the newest reading of each sensor. Snapshot events carry no position: only their end is one.
    pub(super) fn send_snapshot(&mut self, newest: &[Reading], out: &mut Outbox) {
        const EVENTS_PER_FRAME: usize = 200;
        let mut data = Vec::new();
        for chunk in newest.chunks(EVENTS_PER_FRAME) {
            let mut text = Vec::new();
            for (index, reading) in chunk.iter().enumerate() {
                text.push(if index == 0 { b'[' } else { b',' });
                data.clear();
                reading.write_json(&mut data);
                frame::write_snapshot_event(self.sub, &data, &mut text);
            }
            text.push(b']');
            let mut out_frame = Vec::with_capacity(text.len() + ws_frame::MAX_HEADER);
            ws_frame::write_text(&text, &mut out_frame);
            out.push(out_frame);
        }
        self.count += newest.len() as u64;
    }
}
