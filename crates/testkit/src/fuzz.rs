//! Random inputs: those of a corpus, mutated, and random bytes.
//!
//! A corpus is a folder of files, each an input. Every one of them is tried each time; an input that fails is shrunk and added
//! to them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};

/// The variable with the seconds of each target; without it, a few hundred inputs are tried.
pub const SECONDS: &str = "ROWCAST_FUZZ_SECONDS";

/// Inputs between two reads of the clock.
const AT_ONCE: u32 = 256;

/// The longest random input.
const RANDOM_BYTES: usize = 512;

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    /// Another byte instead of one.
    Set(Index, u8),
    /// One bit inverted.
    Flip(Index, u8),
    /// A further byte.
    Insert(Index, u8),
    /// Some bytes removed.
    Cut(Index, u8),
    /// Some bytes repeated.
    Repeat(Index, u8),
    /// Another input inserted.
    Splice(Index, Vec<u8>),
    /// The rest removed.
    End(Index),
}

fn changes(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    // characters with a meaning for parsers, beside any byte
    let byte = prop_oneof![any::<u8>(), select(b"\0\x7f\x80\xff\"\\{}[],:*&=%+-.0 \r\n".to_vec())];
    let place = any::<Index>;
    prop_oneof![
        (place(), byte.clone()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (place(), byte).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (place(), 1..32_u8).prop_map(|(at, count)| Change::Cut(at, count)),
        (place(), 1..32_u8).prop_map(|(at, count)| Change::Repeat(at, count)),
        (place(), select(corpus)).prop_map(|(at, other)| Change::Splice(at, other)),
        place().prop_map(Change::End),
    ]
}

fn changed(mut input: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        let place = |at: Index, input: &[u8]| if input.is_empty() { 0 } else { at.index(input.len()) };
        let range = |at: Index, count: u8, input: &[u8]| {
            let from = place(at, input);
            from..(from + usize::from(count)).min(input.len())
        };
        match change {
            Change::Set(at, byte) if !input.is_empty() => {
                let at = place(at, &input);
                input[at] = byte;
            }
            Change::Flip(at, bit) if !input.is_empty() => {
                let at = place(at, &input);
                input[at] ^= 1 << bit;
            }
            Change::Insert(at, byte) => input.insert(place(at, &input), byte),
            Change::Cut(at, count) => drop(input.drain(range(at, count, &input))),
            Change::Repeat(at, count) => {
                let part = input[range(at, count, &input)].to_vec();
                let at = place(at, &input);
                input.splice(at..at, part);
            }
            Change::Splice(at, other) => {
                let at = place(at, &input);
                input.splice(at..at, other);
            }
            Change::End(at) => input.truncate(place(at, &input)),
            Change::Set(..) | Change::Flip(..) => {}
        }
    }
    input
}

/// Tries the property on every input of the corpus, then on others. It fails by a panic.
///
/// # Panics
/// When the property does, with the shortest input that was found, after writing it into the corpus.
pub fn fuzz(corpus: &Path, property: impl Fn(&[u8])) {
    let files: Vec<PathBuf> = fs::read_dir(corpus)
        .unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
        .map(|entry| entry.expect("the corpus is a folder that can be read").path())
        .collect();
    let inputs: Vec<Vec<u8>> =
        files.iter().map(|file| fs::read(file).expect("an input is a file that can be read")).collect();
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    inputs.iter().for_each(|input| property(input));

    let seeded = (select(inputs.clone()), vec(changes(inputs), 0..8))
        .prop_map(|(input, changes)| changed(input, changes));
    let strategy = prop_oneof![4 => seeded, 1 => vec(any::<u8>(), 0..RANDOM_BYTES)];
    let config = Config { cases: AT_ONCE, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let seconds = env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let (began, time) = (Instant::now(), Duration::from_secs(seconds));
    loop {
        let run = runner.run(&strategy, |input| {
            property(&input);
            Ok::<(), TestCaseError>(())
        });
        if let Err(TestError::Fail(why, input)) = run {
            let file = corpus.join(format!("found-{}", name_of(&input)));
            fs::write(&file, &input).expect("the corpus can be written");
            panic!("{why}; the input is {}: {}", file.display(), input.escape_ascii());
        }
        if began.elapsed() >= time {
            return;
        }
    }
}

/// The same input has the same name.
fn name_of(input: &[u8]) -> String {
    // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
