//! The messages of pprof's `profile.proto` that a CPU profile has.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;

/// A profile. Texts are numbers of `strings`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_types: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub(super) locations: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    pub(super) functions: Vec<FunctionEntry>,
    #[prost(string, repeated, tag = "6")]
    pub(super) strings: Vec<String>,
    #[prost(int64, tag = "9")]
    began_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

/// A stack, innermost function first, and how often it was seen: in times and in nanoseconds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    pub(super) location_ids: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    pub(super) values: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    labels: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Location {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, repeated, tag = "4")]
    pub(super) lines: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Line {
    #[prost(uint64, tag = "1")]
    pub(super) function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct FunctionEntry {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(int64, tag = "2")]
    pub(super) name: i64,
    #[prost(int64, tag = "4")]
    file: i64,
}

/// A function of a stack; without debug information it has no file and no line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: i64,
}

/// A profile in the making.
pub(super) struct Builder {
    profile: Profile,
    period: i64,
    texts: HashMap<String, i64>,
    /// The location of each function and line.
    places: HashMap<Function, u64>,
}

impl Builder {
    /// Of samples that stand for so much CPU time each.
    pub(super) fn new(period: Duration) -> Self {
        let period = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
        let mut own =
            Self { profile: Profile::default(), period, texts: HashMap::new(), places: HashMap::new() };
        // the format wants the empty text first
        own.text("");
        own
    }

    /// Adds a stack that was seen so often on a thread.
    pub(super) fn add(&mut self, stack: impl Iterator<Item = Function>, thread: &str, count: i64) {
        let location_ids = stack.map(|function| self.place(function)).collect();
        let label = Label { key: self.text("thread"), text: self.text(thread) };
        let values = vec![count, count.saturating_mul(self.period)];
        self.profile.samples.push(Sample { location_ids, values, labels: vec![label] });
    }

    pub(super) fn finish(mut self, began_nanos: i64, duration_nanos: i64) -> Profile {
        let mut kind = |kind, unit| ValueType { kind: self.text(kind), unit: self.text(unit) };
        let (samples, cpu) = (kind("samples", "count"), kind("cpu", "nanoseconds"));
        let (sample_types, period_type) = (vec![samples, cpu], Some(cpu));
        Profile {
            sample_types,
            began_nanos,
            duration_nanos,
            period_type,
            period: self.period,
            ..self.profile
        }
    }

    fn place(&mut self, function: Function) -> u64 {
        if let Some(id) = self.places.get(&function) {
            return *id;
        }
        // a function with two lines is two, which pprof adds up by their name
        let id = self.profile.functions.len() as u64 + 1;
        let (name, file) = (self.text(&function.name), self.text(&function.file));
        self.profile.functions.push(FunctionEntry { id, name, file });
        let line = Line { function_id: id, line: function.line };
        self.profile.locations.push(Location { id, lines: vec![line] });
        self.places.insert(function, id);
        id
    }

    fn text(&mut self, text: &str) -> i64 {
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        let number = i64::try_from(self.texts.len()).unwrap_or(i64::MAX);
        self.texts.insert(text.to_owned(), number);
        self.profile.strings.push(text.to_owned());
        number
    }
}
