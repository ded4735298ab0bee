//! Compare, append and follow, against a real Redis.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::OnceLock, time::Duration};

use bus::{Append, Appender, End, EntryId, NewEntry, Options, Read, Tail};
use testkit::{Redis, wait_for};
use wire::{EntryBuilder, Epoch, Position, Provenance, Tick};

const EPOCH: Epoch = Epoch(7);
const BLOCK: Duration = Duration::from_secs(5);

fn redis() -> &'static Redis {
    static REDIS: OnceLock<Redis> = OnceLock::new();
    REDIS.get_or_init(|| Redis::start().unwrap())
}

fn options(prefix: &str) -> Options {
    Options::at(&redis().url(), prefix).unwrap()
}

fn at(tick: i64, id: i64) -> Position {
    Position::new(EPOCH, Tick(tick), id)
}

fn entry(end: Position, predecessor: Position) -> NewEntry {
    let mut readings = EntryBuilder::new(0);
    readings.push(end.id, "s", |out| out.extend_from_slice(b"{}"));
    // a count by which the entries can be told apart
    let provenance = Provenance { count: Some(end.id), ..Provenance::default() };
    NewEntry { id: EntryId::at(end), predecessor, provenance, readings: readings.finish() }
}

async fn append(appender: &mut Appender, expected: Option<Position>, ends: &[Position]) -> Append {
    let mut predecessor = expected.unwrap_or(at(0, 0));
    let entries: Vec<NewEntry> =
        ends.iter().map(|end| entry(*end, std::mem::replace(&mut predecessor, *end))).collect();
    appender.append(EPOCH, expected.map(EntryId::at), &entries).await.unwrap()
}

async fn ends(tail: &mut Tail, after: Position) -> Vec<(Position, Position)> {
    match tail.read(after, Duration::from_millis(10)).await.unwrap() {
        Read::Entries(entries) => entries.into_iter().map(|e| (e.predecessor, e.end)).collect(),
        Read::Quiet => Vec::new(),
        Read::NewEpoch(epoch) => panic!("{epoch:?}"),
    }
}

#[tokio::test]
async fn only_the_expected_end_is_extended() {
    let mut appender = Appender::connect(&options("compare")).await.unwrap();
    assert_eq!(append(&mut appender, None, &[at(1, 5), at(2, 9)]).await, Append::Appended);
    assert_eq!(append(&mut appender, Some(at(2, 9)), &[at(3, 10)]).await, Append::Appended);
    let end = Some(EntryId::at(at(3, 10)));
    assert_eq!(append(&mut appender, Some(at(2, 9)), &[at(4, 11)]).await, Append::Mismatch(end));
    assert_eq!(append(&mut appender, None, &[at(4, 11)]).await, Append::Mismatch(end));
    assert_eq!(appender.end(EPOCH).await.unwrap(), end.map(|id| End { id, count: Some(10) }));
    let mut tail = Tail::connect(&options("compare")).await.unwrap();
    assert_eq!(ends(&mut tail, at(1, 5)).await, [(at(1, 5), at(2, 9)), (at(2, 9), at(3, 10))]);
    let last = tail.end(EPOCH).await.unwrap().unwrap();
    assert_eq!((last.end, last.provenance.unwrap().count), (at(3, 10), Some(10)));
}

#[tokio::test]
async fn a_wiped_stream_takes_the_same_ids_again() {
    let mut appender = Appender::connect(&options("wiped")).await.unwrap();
    append(&mut appender, None, &[at(1, 5), at(2, 9), at(3, 10)]).await;
    let key = "{wiped}:stream:7";
    redis().command(&["DEL", key]).unwrap();
    assert_eq!(append(&mut appender, Some(at(3, 10)), &[at(4, 11)]).await, Append::Mismatch(None));
    assert_eq!(append(&mut appender, None, &[at(2, 9), at(3, 10)]).await, Append::Appended);
    // a tail deleted by hand, whose ids the stream remembers
    redis().command(&["XDEL", key, "3-10"]).unwrap();
    assert_eq!(
        append(&mut appender, Some(at(3, 10)), &[at(4, 11)]).await,
        Append::Mismatch(Some(EntryId::at(at(2, 9))))
    );
    assert_eq!(append(&mut appender, Some(at(2, 9)), &[at(3, 10), at(4, 11)]).await, Append::Appended);
    let mut tail = Tail::connect(&options("wiped")).await.unwrap();
    assert_eq!(ends(&mut tail, at(2, 9)).await, [(at(2, 9), at(3, 10)), (at(3, 10), at(4, 11))]);
}

#[tokio::test]
async fn a_later_epoch_fences_the_earlier_and_wakes_its_readers() {
    let options = options("epochs");
    let mut appender = Appender::connect(&options).await.unwrap();
    append(&mut appender, None, &[at(1, 5)]).await;
    let mut tail = Tail::connect(&options).await.unwrap();
    let (read, _) = tokio::join!(tail.read(at(1, 5), BLOCK), async {
        let later = Position::new(Epoch(8), Tick(2), 6);
        let mut other = Appender::connect(&options).await.unwrap();
        other.append(Epoch(8), None, &[entry(later, later)]).await.unwrap()
    });
    assert!(matches!(read.unwrap(), Read::NewEpoch(Epoch(8))));
    assert_eq!(append(&mut appender, Some(at(1, 5)), &[at(2, 6)]).await, Append::Superseded(Epoch(8)));
}

#[tokio::test]
async fn a_reader_waits_for_the_first_entry_longer_than_the_client_library_would() {
    let options = options("blocking");
    let mut tail = Tail::connect(&options).await.unwrap();
    let quiet = tail.read(at(0, 0), Duration::from_millis(700)).await.unwrap();
    assert!(matches!(quiet, Read::Quiet), "the library's own 500 ms would have been an error");
    let (read, _) = tokio::join!(tail.read(at(0, 0), BLOCK), async {
        append(&mut Appender::connect(&options).await.unwrap(), None, &[at(1, 5)]).await
    });
    let Read::Entries(entries) = read.unwrap() else { panic!("an entry") };
    let decoded = wire::Entry::decode(entries[0].readings.clone()).unwrap();
    assert_eq!(decoded.rows().next().unwrap().id, 5);
}

#[tokio::test]
async fn databases_with_one_prefix_have_keys_of_their_own() {
    let shared = options("shared");
    for (database, epoch) in [("1a-5", 9), ("1a-6", 7)] {
        let options = shared.of(database);
        let mut appender = Appender::connect(&options).await.unwrap();
        assert_eq!(appender.newest_epoch().await.unwrap(), None);
        assert_eq!(appender.beat(Epoch(epoch)).await.unwrap(), None, "the later epoch is another's");
        assert_eq!(Tail::connect(&options).await.unwrap().beat(Epoch(epoch)).await.unwrap(), Some(1));
        assert_eq!(appender.newest_epoch().await.unwrap(), Some(Epoch(epoch)));
        assert_eq!(appender.beat(Epoch(epoch - 1)).await.unwrap(), Some(Epoch(epoch)));
    }
}

#[tokio::test]
async fn a_refusal_of_redis_names_the_keys() {
    let redis = Redis::start().unwrap();
    let errors = async |url: &str| {
        let options = Options::at(url, "refused").unwrap().of("db");
        let mut tail = Tail::connect(&options).await.unwrap();
        let mut appender = Appender::connect(&options).await.unwrap();
        let readings = entry(at(1, 1), at(0, 0));
        [
            tail.read(at(0, 0), Duration::from_millis(10)).await.err().map(|error| error.to_string()),
            appender.append(EPOCH, None, &[readings]).await.err().map(|error| error.to_string()),
            appender.beat(EPOCH).await.err().map(|error| error.to_string()),
        ]
    };
    let check = |errors: &[Option<String>], words: &[&str]| {
        for error in errors {
            let error = error.as_deref().unwrap();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    };
    redis.command(&["SET", "{refused:db}:epochs", "1"]).unwrap();
    check(&errors(&redis.url()).await, &["{refused:db}:epochs", "WRONGTYPE", "another type"]);
    redis.command(&["DEL", "{refused:db}:epochs"]).unwrap();

    // the obvious pattern does not match keys that begin with a brace
    redis.command(&["ACL", "SETUSER", "narrow", "on", ">secret", "+@all", "~refused*"]).unwrap();
    let narrow = redis.url().replace("redis://", "redis://narrow:secret@");
    check(&errors(&narrow).await, &["{refused:db}:", "NOPERM", "no permission"]);
    redis.command(&["ACL", "SETUSER", "narrow", "~{refused:*"]).unwrap();
    assert_eq!(errors(&narrow).await, [None, None, None]);

    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    check(&errors(&redis.url()).await[2..], &["{refused:db}:", "maxmemory is too small", "OOM"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    check(&errors(&redis.url()).await[2..], &["{refused:db}:", "READONLY", "read-only replica"]);
}

#[tokio::test]
async fn a_cluster_s_node_that_does_not_hold_the_keys_is_reported() {
    let redis = Redis::start_with(&["--cluster-enabled", "yes"]).unwrap();
    let options = options_at(&redis);
    let mut appender = Appender::connect(&options).await.unwrap();
    let error = appender.beat(EPOCH).await.unwrap_err().to_string();
    assert!(error.contains("{cluster:db}:beat:7") && error.contains("Redis Cluster"), "{error}");
    // all keys are in one slot, so a node that holds it serves them
    redis.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).unwrap();
    wait_for("the cluster", Duration::from_secs(20), async || {
        let beat = async { Appender::connect(&options).await?.beat(EPOCH).await };
        beat.await.map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(append(&mut appender, None, &[at(1, 5)]).await, Append::Appended);
    let mut tail = Tail::connect(&options).await.unwrap();
    assert_eq!(ends(&mut tail, at(0, 0)).await, [(at(0, 0), at(1, 5))]);
}

fn options_at(redis: &Redis) -> Options {
    Options::at(&redis.url(), "cluster").unwrap().of("db")
}

#[tokio::test]
async fn a_full_stream_takes_less_than_half_of_the_needed_memory() {
    // the most entries, each as large as the byte limit allows; and few large ones, where trimming keeps whole nodes
    for (appends, entries, bytes) in [(240, 100, 3_400), (40, 1, 4 << 20)] {
        let redis = Redis::start().unwrap();
        let mut appender = Appender::connect(&options_at(&redis)).await.unwrap();
        let (mut end, mut peak) = (None, 0);
        for _ in 0..appends {
            let first = end.map_or(1, |end: Position| end.tick.0 + 1);
            let new = (first..first + entries).map(|tick| NewEntry {
                id: EntryId::at(at(tick, 1)),
                predecessor: at(tick - 1, 1),
                provenance: Provenance::default(),
                readings: vec![b'x'; bytes],
            });
            let new: Vec<_> = new.collect();
            let appended = appender.append(EPOCH, end.map(EntryId::at), &new).await.unwrap();
            assert_eq!(appended, Append::Appended);
            end = Some(at(first + entries - 1, 1));
            let info = redis.command(&["INFO", "memory"]).unwrap();
            let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
            peak = peak.max(used.trim().parse::<u64>().unwrap());
        }
        assert!(peak > 64 << 20 && peak < bus::NEEDED_BYTES / 2, "entries of {bytes} bytes take {peak}");
    }
}

#[tokio::test]
async fn the_last_leader_is_known_until_its_regular_end() {
    let mut appender = Appender::connect(&options("leaders")).await.unwrap();
    assert_eq!(appender.last_leader(EPOCH).await.unwrap(), None);
    appender.sign(EPOCH, "one").await.unwrap();
    let silent = |seconds: u64| Duration::from_secs(seconds);
    let last = appender.last_leader(EPOCH).await.unwrap().unwrap();
    assert_eq!((last.name.as_str(), last.silent_for), ("one", silent(24 * 3600)), "nothing was appended");
    append(&mut appender, None, &[at(1, 5)]).await;
    assert!(appender.last_leader(EPOCH).await.unwrap().unwrap().silent_for < silent(60));
    let stream = appender.stream_of(EPOCH);
    redis().command(&["EXPIRE", &stream, "86000"]).unwrap();
    assert!(appender.last_leader(EPOCH).await.unwrap().unwrap().silent_for >= silent(400));
    appender.beat(EPOCH).await.unwrap();
    assert!(appender.last_leader(EPOCH).await.unwrap().unwrap().silent_for < silent(60), "a beat counts too");
    appender.unsign(EPOCH, "another").await.unwrap();
    assert!(appender.last_leader(EPOCH).await.unwrap().is_some());
    appender.unsign(EPOCH, "one").await.unwrap();
    assert_eq!(appender.last_leader(EPOCH).await.unwrap(), None);
}

#[tokio::test]
async fn the_documented_user_has_all_needed_permissions() {
    let install = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/INSTALL.md");
    let install = std::fs::read_to_string(install).unwrap();
    let command = install.split('`').find(|code| code.starts_with("ACL SETUSER rowcast ")).unwrap();
    let words: Vec<_> = command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    let redis = Redis::start().unwrap();
    assert_eq!(redis.command(&words).unwrap(), "+OK\r\n");
    let url = redis.url().replace("redis://", "redis://rowcast:password@");
    let options = Options::at(&url, "rowcast").unwrap().of("db");
    let mut appender = Appender::connect(&options).await.unwrap();
    assert_eq!(append(&mut appender, None, &[at(1, 5)]).await, Append::Appended);
    assert_eq!(append(&mut appender, None, &[at(1, 5)]).await, Append::Mismatch(Some(EntryId::at(at(1, 5)))));
    assert_eq!((appender.beat(EPOCH).await.unwrap(), appender.beats(EPOCH).await.unwrap()), (None, 1));
    appender.sign(EPOCH, "one").await.unwrap();
    assert!(appender.last_leader(EPOCH).await.unwrap().is_some());
    appender.unsign(EPOCH, "one").await.unwrap();
    assert_eq!(appender.newest_epoch().await.unwrap(), Some(EPOCH));
    let mut tail = Tail::connect(&options).await.unwrap();
    assert_eq!(tail.end(EPOCH).await.unwrap().map(|last| last.end), Some(at(1, 5)));
    assert_eq!(tail.past(at(1, 5), 1).await.unwrap().len(), 1);
    assert_eq!(tail.beat(EPOCH).await.unwrap(), Some(1));
    assert_eq!(ends(&mut tail, at(0, 0)).await.len(), 1);
    assert!(bus::Memory::of(&options).await.unwrap().is_some());
}
