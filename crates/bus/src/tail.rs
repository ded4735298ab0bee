//! A gateway's side: follow the stream.

use std::time::Duration;

use bytes::Bytes;
use redis::{Value, aio::MultiplexedConnection};
use wire::{Epoch, Position, Provenance};

use crate::{
    connect::Options,
    entry_id::EntryId,
    error::{Error, Result},
    metrics::Command,
};

/// The most entries of one read.
const ENTRIES_PER_READ: usize = 64;

/// How much longer than its block a read may take before the connection counts as lost.
const GRACE: Duration = Duration::from_secs(2);

/// An entry of the stream.
#[derive(Debug, Clone)]
pub struct StreamEntry {
    /// The position of its last reading.
    pub end: Position,
    /// Where the entry before it ends.
    pub predecessor: Position,
    /// Where it comes from; `None` where a leader of a release before noted nothing.
    pub provenance: Option<Provenance>,
    /// Its readings, for [`wire::Entry::decode`].
    pub readings: Bytes,
}

/// The result of a read.
#[derive(Debug)]
pub enum Read {
    /// Entries of the epoch, in order.
    Entries(Vec<StreamEntry>),
    /// A later epoch has begun.
    NewEpoch(Epoch),
    /// Nothing within the block.
    Quiet,
}

/// A connection that only waits for entries.
pub struct Tail {
    options: Options,
    connection: MultiplexedConnection,
}

impl Tail {
    /// Connects.
    pub async fn connect(options: &Options) -> Result<Self> {
        let connection = options.connect(None).await?;
        Ok(Self { options: options.clone(), connection })
    }

    /// The last entry of the epoch's stream.
    pub async fn end(&mut self, epoch: Epoch) -> Result<Option<StreamEntry>> {
        let key = self.options.stream_key(epoch);
        let mut range = redis::cmd("XREVRANGE");
        range.arg(&key).arg("+").arg("-").arg("COUNT").arg(1);
        let reply = self.call(Command::Range, &range, &[&key], GRACE).await?;
        Ok(parse_entries(reply, epoch)?.pop())
    }

    /// The newest entries up to `end`, oldest first, of about `limit` bytes.
    pub async fn past(&mut self, end: Position, limit: usize) -> Result<Vec<StreamEntry>> {
        let key = self.options.stream_key(end.epoch);
        let (mut past, mut bytes, mut upto) = (Vec::new(), 0, EntryId::at(end).to_string());
        while bytes < limit {
            let mut range = redis::cmd("XREVRANGE");
            range.arg(&key).arg(&upto).arg("-").arg("COUNT").arg(ENTRIES_PER_READ);
            let entries = parse_entries(self.call(Command::Range, &range, &[&key], GRACE).await?, end.epoch)?;
            let Some(oldest) = entries.last() else { break };
            upto = format!("({}", EntryId::at(oldest.end));
            bytes += entries.iter().map(|entry| entry.readings.len()).sum::<usize>();
            past.extend(entries);
        }
        past.reverse();
        Ok(past)
    }

    /// The epoch's beat, which grows as long as there is a leader; `None` before the first.
    pub async fn beat(&mut self, epoch: Epoch) -> Result<Option<i64>> {
        let key = self.options.beat_key(epoch);
        let mut get = redis::cmd("GET");
        get.arg(&key);
        match self.call(Command::ReadBeat, &get, &[&key], GRACE).await? {
            Value::BulkString(beat) => Ok(std::str::from_utf8(&beat).ok().and_then(|beat| beat.parse().ok())),
            _ => Ok(None),
        }
    }

    /// The entries after `after`; waits up to `block` for the first.
    pub async fn read(&mut self, after: Position, block: Duration) -> Result<Read> {
        let (stream, epochs) = (self.options.stream_key(after.epoch), self.options.epochs_key());
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT")
            .arg(ENTRIES_PER_READ)
            .arg("BLOCK")
            .arg(block.as_millis().max(1) as u64)
            .arg("STREAMS")
            .arg(&stream)
            .arg(&epochs)
            .arg(EntryId::at(after).to_string())
            .arg(format!("{}-0", after.epoch.0));
        let Value::Array(streams) =
            self.call(Command::Follow, &read, &[&stream, &epochs], block + GRACE).await?
        else {
            return Ok(Read::Quiet);
        };
        let mut newest = None;
        for found in streams {
            let [Value::BulkString(key), entries] = pair(found)? else {
                return Err(Error::Reply("no stream name"));
            };
            if key == stream.as_bytes() {
                return Ok(Read::Entries(parse_entries(entries, after.epoch)?));
            }
            newest = last_epoch(entries)?;
        }
        Ok(newest.map_or(Read::Quiet, Read::NewEpoch))
    }

    /// The error when the database does not have the epoch of [`Read::NewEpoch`].
    pub fn foreign(&self, epoch: Epoch) -> Error {
        self.options.foreign(epoch)
    }

    async fn call(
        &mut self,
        kind: Command,
        command: &redis::Cmd,
        keys: &[&str],
        limit: Duration,
    ) -> Result<Value> {
        let answer = async {
            let answer = tokio::time::timeout(limit, command.query_async(&mut self.connection));
            answer.await.map_err(|_| Error::Silent)?.map_err(|error| Error::about(keys, error))
        };
        self.options.metrics().of(kind, answer).await
    }
}

fn pair(value: Value) -> Result<[Value; 2]> {
    match value {
        Value::Array(items) => items.try_into().map_err(|_| Error::Reply("not a pair")),
        _ => Err(Error::Reply("not a list")),
    }
}

fn parse_entries(reply: Value, epoch: Epoch) -> Result<Vec<StreamEntry>> {
    let Value::Array(entries) = reply else { return Err(Error::Reply("no entries")) };
    entries.into_iter().map(|entry| parse_entry(entry, epoch)).collect()
}

fn parse_entry(entry: Value, epoch: Epoch) -> Result<StreamEntry> {
    let [id, Value::Array(fields)] = pair(entry)? else {
        return Err(Error::Reply("an entry without fields"));
    };
    let (mut predecessor, mut provenance, mut readings) = (None, None, None);
    let mut fields = fields.into_iter();
    while let (Some(Value::BulkString(name)), Some(value)) = (fields.next(), fields.next()) {
        match (name.as_slice(), value) {
            (b"p", value) => predecessor = Some(parse_id(&value)?.position(epoch)),
            (b"m", Value::BulkString(note)) => {
                provenance = std::str::from_utf8(&note).ok().and_then(|note| note.parse().ok());
            }
            (b"r", Value::BulkString(bytes)) => readings = Some(Bytes::from(bytes)),
            _ => {}
        }
    }
    Ok(StreamEntry {
        end: parse_id(&id)?.position(epoch),
        predecessor: predecessor.ok_or(Error::Reply("an entry without a predecessor"))?,
        provenance,
        readings: readings.ok_or(Error::Reply("an entry without readings"))?,
    })
}

fn parse_id(value: &Value) -> Result<EntryId> {
    let Value::BulkString(id) = value else { return Err(Error::Reply("an id that is no text")) };
    let id = std::str::from_utf8(id).map_err(|_| Error::Reply("an id that is no text"))?;
    id.parse().map_err(|_| Error::Reply("not an entry id"))
}

fn last_epoch(entries: Value) -> Result<Option<Epoch>> {
    let Value::Array(mut entries) = entries else { return Err(Error::Reply("no epochs")) };
    let Some(last) = entries.pop() else { return Ok(None) };
    let [id, _] = pair(last)?;
    Ok(Some(Epoch(parse_id(&id)?.tick.0)))
}
