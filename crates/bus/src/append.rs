//! The leader's side: compare and append.

use std::{collections::VecDeque, sync::LazyLock};

use redis::{Script, aio::MultiplexedConnection};
use wire::{Epoch, Position};

use crate::{EntryId, Error, Options, Result};

static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));

/// The stream of an epoch that nobody extends goes away after a day.
const UNUSED_SECONDS: u64 = 24 * 3600;

/// The most entries that the stream keeps.
const KEEP_ENTRIES: usize = 20_000;

/// About how many bytes of readings the stream keeps.
const KEEP_BYTES: usize = 64 << 20;

/// An entry to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Its tick and the id of its last reading.
    pub id: EntryId,
    /// Where the entry before it ends: whoever is not there yet has a gap to fill from Postgres.
    pub predecessor: Position,
    /// Its readings, as [`wire::EntryBuilder`] makes them.
    pub readings: Vec<u8>,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// The entries are in the stream.
    Appended,
    /// The stream ends elsewhere (none: it is empty); nothing was changed.
    Mismatch(Option<EntryId>),
    /// A later epoch has begun; nothing was changed.
    Superseded(Epoch),
}

/// A connection that extends the stream. Its calls wait for as long as the server takes: an append that was sent may be
/// carried out, so whoever cannot wait must take its fate for unknown.
pub struct Appender {
    options: Options,
    connection: MultiplexedConnection,
    /// The ids and sizes of what it appended, to trim by bytes; what others appended is bounded by their number.
    kept: VecDeque<(EntryId, usize)>,
    kept_bytes: usize,
}

impl Appender {
    /// Connects.
    pub async fn connect(options: &Options) -> Result<Self> {
        let connection = options.connect(None).await?;
        Ok(Self { options: options.clone(), connection, kept: VecDeque::new(), kept_bytes: 0 })
    }

    /// The last entry of the epoch's stream; none if the stream is empty.
    pub async fn end(&mut self, epoch: Epoch) -> Result<Option<EntryId>> {
        let entries: Vec<(String, redis::Value)> = redis::cmd("XREVRANGE")
            .arg(self.options.stream_key(epoch))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .query_async(&mut self.connection)
            .await?;
        entries.first().map(|(id, _)| parse(id)).transpose()
    }

    /// How often a leader has said [`Appender::beat`]: while the number moves, there is one.
    pub async fn beats(&mut self) -> Result<u64> {
        let beats: Option<u64> =
            redis::cmd("GET").arg(self.options.beat_key()).query_async(&mut self.connection).await?;
        Ok(beats.unwrap_or_default())
    }

    /// Says that everything committed that this leader has seen is in the stream.
    pub async fn beat(&mut self) -> Result<()> {
        let mut beat = redis::cmd("INCR");
        beat.arg(self.options.beat_key());
        Ok(beat.exec_async(&mut self.connection).await?)
    }

    /// Appends the entries behind `expected`, all or none.
    pub async fn append(
        &mut self,
        epoch: Epoch,
        expected: Option<EntryId>,
        entries: &[NewEntry],
    ) -> Result<Append> {
        let mut call = APPEND.prepare_invoke();
        call.key(self.options.stream_key(epoch))
            .key(self.options.epochs_key())
            .arg(epoch.0)
            .arg(expected.map(|id| id.to_string()).unwrap_or_default())
            .arg(UNUSED_SECONDS)
            .arg(KEEP_ENTRIES)
            .arg(self.oldest_to_keep(entries).map(|id| id.to_string()).unwrap_or_default());
        for entry in entries {
            call.arg(entry.id.to_string())
                .arg(EntryId::at(entry.predecessor).to_string())
                .arg(&entry.readings[..]);
        }
        let (verdict, detail): (String, String) = call.invoke_async(&mut self.connection).await?;
        match verdict.as_str() {
            "appended" => Ok(Append::Appended),
            "mismatch" if detail.is_empty() => Ok(Append::Mismatch(None)),
            "mismatch" => Ok(Append::Mismatch(Some(parse(&detail)?))),
            "superseded" => {
                Ok(Append::Superseded(Epoch(detail.parse().map_err(|_| Error::Reply("not an epoch"))?)))
            }
            _ => Err(Error::Reply("no verdict of the script")),
        }
    }

    fn oldest_to_keep(&mut self, entries: &[NewEntry]) -> Option<EntryId> {
        for entry in entries {
            self.kept.push_back((entry.id, entry.readings.len()));
            self.kept_bytes += entry.readings.len();
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

fn parse(id: &str) -> Result<EntryId> {
    id.parse().map_err(|_| Error::Reply("not an entry id"))
}
