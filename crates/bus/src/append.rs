//! The leader's side: compare and append.

use std::{collections::VecDeque, sync::LazyLock, time::Duration};

use redis::{Script, aio::MultiplexedConnection};
use wire::{Epoch, Position, Provenance};

use crate::{
    connect::Options,
    entry_id::EntryId,
    error::{Error, Result},
    metrics::Command,
};

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));
static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("beat.lua")));

/// Deletes the key of the leader's name, if it still has that value.
static UNSIGN: LazyLock<Script> = LazyLock::new(|| {
    Script::new("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end")
});

/// The stream of an epoch expires a day after the last append.
const UNUSED_SECONDS: u64 = 24 * 3600;

/// The most entries that the stream keeps.
const KEEP_ENTRIES: usize = 20_000;

/// About how many bytes of readings the stream keeps.
const KEEP_BYTES: usize = 64 << 20;

/// What the trace of a reading takes in the provenance of its entry: an index, a context of 55 characters, and what parts them.
const TRACE_BYTES: usize = 62;

/// The names and values of an entry.
type Fields = Vec<(String, Vec<u8>)>;

/// An entry to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Its tick and the id of its last reading.
    pub id: EntryId,
    /// Where the entry before it ends: a reader that is not there yet must fill the gap from Postgres.
    pub predecessor: Position,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its readings, as [`wire::EntryBuilder`] makes them.
    pub readings: Vec<u8>,
}

/// The outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// The entries are in the stream.
    Appended,
    /// The stream ends elsewhere (`None`: it is empty); nothing was changed.
    Mismatch(Option<EntryId>),
    /// A later epoch has begun; nothing was changed.
    Superseded(Epoch),
}

/// The end of an epoch's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The id of the last entry.
    pub id: EntryId,
    /// How many readings the epoch has up to it; `None` if its leader did not count them.
    pub count: Option<i64>,
}

/// The last leader of an epoch's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastLeader {
    /// The name that it registered.
    pub name: String,
    /// The time since the last append or beat.
    pub silent_for: Duration,
}

/// A connection that extends the stream. Its calls have no timeout: an append that was sent may still be executed, so a
/// caller that stops waiting must treat its outcome as unknown.
pub struct Appender {
    options: Options,
    connection: MultiplexedConnection,
    /// The ids and sizes of what it appended, to trim by bytes; entries of others are bounded by their number.
    kept: VecDeque<(EntryId, usize)>,
    kept_bytes: usize,
}

impl Appender {
    /// Connects.
    pub async fn connect(options: &Options) -> Result<Self> {
        let connection = options.connect(None).await?;
        Ok(Self { options: options.clone(), connection, kept: VecDeque::new(), kept_bytes: 0 })
    }

    /// The last entry of the epoch's stream; `None` if the stream is empty.
    pub async fn end(&mut self, epoch: Epoch) -> Result<Option<End>> {
        let key = self.options.stream_key(epoch);
        let last = self.last(&key).await?;
        Ok(last.map(|(id, fields)| End { id, count: count(&fields) }))
    }

    /// The newest epoch with an entry.
    pub async fn newest_epoch(&mut self) -> Result<Option<Epoch>> {
        let key = self.options.epochs_key();
        Ok(self.last(&key).await?.map(|(id, _)| Epoch(id.tick.0)))
    }

    /// The name of that stream, for messages.
    pub fn stream_of(&self, epoch: Epoch) -> String {
        self.options.stream_key(epoch)
    }

    /// The error when Redis names a later epoch that the database does not have.
    pub fn foreign(&self, epoch: Epoch) -> Error {
        self.options.foreign(epoch)
    }

    async fn last(&mut self, key: &str) -> Result<Option<(EntryId, Fields)>> {
        let mut range = redis::cmd("XREVRANGE");
        range.arg(key).arg("+").arg("-").arg("COUNT").arg(1);
        let answer = range.query_async(&mut self.connection);
        let entries: Vec<(String, Fields)> = answered(&self.options, Command::Range, &[key], answer).await?;
        entries.into_iter().next().map(|(id, fields)| Ok((parse(&id)?, fields))).transpose()
    }

    /// Registers the leader's name at the epoch's stream.
    pub async fn sign(&mut self, epoch: Epoch, name: &str) -> Result<()> {
        let key = self.options.leader_key(epoch);
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(name).arg("EX").arg(UNUSED_SECONDS);
        let answer = set.query_async(&mut self.connection);
        answered(&self.options, Command::Leader, &[&key], answer).await
    }

    /// Removes the leader's name.
    pub async fn unsign(&mut self, epoch: Epoch, name: &str) -> Result<()> {
        let key = self.options.leader_key(epoch);
        let mut call = UNSIGN.key(&key);
        let answer = call.arg(name).invoke_async(&mut self.connection);
        answered(&self.options, Command::Leader, &[&key], answer).await
    }

    /// The last leader of the epoch's stream; `None` where no name is registered, or where the leader removed its own at
    /// its regular end.
    pub async fn last_leader(&mut self, epoch: Epoch) -> Result<Option<LastLeader>> {
        let options = &self.options;
        let [leader, beat, stream] =
            [options.leader_key(epoch), options.beat_key(epoch), options.stream_key(epoch)];
        // the leader gives both keys the same time to live
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(&leader).cmd("PTTL").arg(&beat).cmd("PTTL").arg(&stream);
        let answer = pipe.query_async(&mut self.connection);
        let keys = [leader.as_str(), &beat, &stream];
        let (name, beat, stream): (Option<String>, i64, i64) =
            answered(options, Command::Leader, &keys, answer).await?;
        let left = Duration::from_millis(u64::try_from(beat.max(stream)).unwrap_or(0));
        let silent_for = Duration::from_secs(UNUSED_SECONDS).saturating_sub(left);
        Ok(name.map(|name| LastLeader { name, silent_for }))
    }

    /// The epoch's beat ([`Appender::beat`]): while it grows, there is a leader.
    pub async fn beats(&mut self, epoch: Epoch) -> Result<u64> {
        let key = self.options.beat_key(epoch);
        let mut get = redis::cmd("GET");
        let answer = get.arg(&key).query_async(&mut self.connection);
        let beats: Option<u64> = answered(&self.options, Command::ReadBeat, &[&key], answer).await?;
        Ok(beats.unwrap_or_default())
    }

    /// Moves the epoch's beat: everything committed that this leader has seen is in the stream. Returns a later epoch, if
    /// one has begun; then the beat was not moved.
    pub async fn beat(&mut self, epoch: Epoch) -> Result<Option<Epoch>> {
        let (beat, epochs) = (self.options.beat_key(epoch), self.options.epochs_key());
        let mut call = BEAT.key(&beat);
        call.key(&epochs).arg(epoch.0).arg(UNUSED_SECONDS);
        let answer = call.invoke_async(&mut self.connection);
        let later: String = answered(&self.options, Command::Beat, &[&beat, &epochs], answer).await?;
        (!later.is_empty()).then(|| parse_epoch(&later)).transpose()
    }

    /// Appends the entries behind `expected`, all or none.
    pub async fn append(
        &mut self,
        epoch: Epoch,
        expected: Option<EntryId>,
        entries: &[NewEntry],
    ) -> Result<Append> {
        let mut call = APPEND.prepare_invoke();
        let (stream, epochs) = (self.options.stream_key(epoch), self.options.epochs_key());
        call.key(&stream)
            .key(&epochs)
            .arg(epoch.0)
            .arg(expected.map(|id| id.to_string()).unwrap_or_default())
            .arg(UNUSED_SECONDS)
            .arg(KEEP_ENTRIES)
            .arg(self.oldest_to_keep(entries).map(|id| id.to_string()).unwrap_or_default());
        for entry in entries {
            call.arg(entry.id.to_string())
                .arg(EntryId::at(entry.predecessor).to_string())
                .arg(entry.provenance.to_string())
                .arg(&entry.readings[..]);
        }
        let answer = call.invoke_async(&mut self.connection);
        let (outcome, detail): (String, String) =
            answered(&self.options, Command::Append, &[&stream, &epochs], answer).await?;
        match outcome.as_str() {
            "appended" => Ok(Append::Appended),
            "mismatch" if detail.is_empty() => Ok(Append::Mismatch(None)),
            "mismatch" => Ok(Append::Mismatch(Some(parse(&detail)?))),
            "superseded" => Ok(Append::Superseded(parse_epoch(&detail)?)),
            _ => Err(Error::Reply("not a result of the script")),
        }
    }

    fn oldest_to_keep(&mut self, entries: &[NewEntry]) -> Option<EntryId> {
        for entry in entries {
            let bytes = entry.readings.len() + TRACE_BYTES * entry.provenance.traces.len();
            self.kept.push_back((entry.id, bytes));
            self.kept_bytes += bytes;
        }
        let mut dropped = None;
        while self.kept_bytes > KEEP_BYTES && self.kept.len() > 1 {
            if let Some((_, size)) = self.kept.pop_front() {
                self.kept_bytes -= size;
                dropped = self.kept.front().map(|(id, _)| *id);
            }
        }
        dropped
    }
}

/// The running count of an entry with these fields.
fn count(fields: &Fields) -> Option<i64> {
    let note = fields.iter().find(|(name, _)| name == "m")?;
    std::str::from_utf8(&note.1).ok()?.parse::<Provenance>().ok()?.count
}

/// Waits for the answer to a command on these keys.
async fn answered<T>(
    options: &Options,
    command: Command,
    keys: &[&str],
    answer: impl Future<Output = redis::RedisResult<T>>,
) -> Result<T> {
    let answer = async { answer.await.map_err(|error| Error::about(keys, error)) };
    options.metrics().of(command, answer).await
}

fn parse_epoch(epoch: &str) -> Result<Epoch> {
    epoch.parse().map(Epoch).map_err(|_| Error::Reply("not an epoch"))
}

fn parse(id: &str) -> Result<EntryId> {
    id.parse().map_err(|_| Error::Reply("not an entry id"))
}
