//! A CPU profile of the process, on request.

mod format;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report};
use prost::Message as _;
use tokio::sync::Semaphore;

use self::format::{Builder, Function};
use crate::problem::Problem;
use crate::query::Query;

/// Samples of each busy thread in a second: no multiple of a round number, at which work may be timed.
const FREQUENCY: i32 = 99;

/// Without `seconds`, as Go's profiler has it.
const SECONDS: u64 = 30;

const MAX_SECONDS: u64 = 60;

/// What has no unwind information that could be read in a signal handler.
const LEFT_OUT: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// Whether it is a function that takes a sample.
fn is_sampling(name: &str) -> bool {
    // of a trait's function the name begins with `<`
    let name = name.trim_start_matches('<');
    name.starts_with("backtrace::") || name.starts_with("pprof::")
}

/// The route, for a port that strangers cannot reach: a profile costs CPU time and shows what the process does.
pub(crate) fn routes() -> Router {
    let one = Arc::new(Semaphore::new(1));
    Router::new().route("/debug/pprof/profile", get(profile)).with_state(one)
}

/// `GET /debug/pprof/profile?seconds=N`: where the process spends its CPU time, in pprof's format.
async fn profile(State(one): State<Arc<Semaphore>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let seconds = seconds(query.as_deref().unwrap_or_default())?;
    let Ok(running) = one.try_acquire_owned() else {
        let detail = "another profile is being taken";
        return Err(Problem::new(StatusCode::CONFLICT, "profile-running", detail));
    };
    let failed = |detail: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no-profile", detail);
    let profiler = ProfilerGuardBuilder::default().frequency(FREQUENCY).blocklist(&LEFT_OUT);
    let profiler = profiler.build().map_err(|error| failed(error.to_string()))?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    // names of functions are looked up, which takes a while; also if the client leaves meanwhile
    let written = tokio::task::spawn_blocking(move || {
        let written = write(profiler);
        drop(running);
        written
    });
    let written = written.await.map_err(io::Error::other).flatten();
    let bytes = written.map_err(|error| failed(error.to_string()))?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment; filename=\"profile.pb.gz\""),
    ];
    Ok((headers, bytes).into_response())
}

fn seconds(query: &str) -> Result<u64, Problem> {
    let mut query = Query::parse(query).only(&["seconds"], &[]);
    let seconds = query.take("seconds", |text| match text.parse() {
        Ok(seconds @ 1..=MAX_SECONDS) => Ok(seconds),
        _ => Err(format!("must be a whole number from 1 to {MAX_SECONDS}")),
    });
    query.end()?;
    Ok(seconds.unwrap_or(SECONDS))
}

/// The profile as a file: compressed, as pprof writes and reads it.
fn write(profiler: ProfilerGuard<'_>) -> io::Result<Vec<u8>> {
    let report = profiler.report().build().map_err(io::Error::other)?;
    drop(profiler);
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(&encode(&report))?;
    file.finish()
}

fn encode(report: &Report) -> Vec<u8> {
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let timing = &report.timing;
    let mut profile = Builder::new(Duration::from_secs(1) / FREQUENCY.unsigned_abs());
    for (frames, count) in &report.data {
        // inlined functions are symbols of one frame, innermost first, as all frames are
        let symbols = frames.frames.iter().flatten().map(|symbol| (symbol.name(), symbol));
        // the sampling itself is on top of each stack
        let own = symbols.skip_while(|(name, _)| is_sampling(name));
        let stack = own.map(|(name, symbol)| Function {
            name,
            file: symbol.filename.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            line: symbol.lineno().into(),
        });
        profile.add(stack, &frames.thread_name_or_id(), i64::try_from(*count).unwrap_or(i64::MAX));
    }
    let began = timing.start_time.duration_since(UNIX_EPOCH).unwrap_or_default();
    profile.finish(nanos(began), nanos(timing.duration)).encode_to_vec()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn seconds_are_bounded() {
        for (query, expected) in [("", Some(30)), ("seconds=5", Some(5)), ("seconds=60", Some(60))] {
            assert_eq!(seconds(query).ok(), expected);
        }
        for query in ["seconds=0", "seconds=61", "seconds=x", "seconds=", "second=1", "seconds=1&seconds=2"] {
            assert!(seconds(query).is_err(), "{query}");
        }
    }

    /// Needs CPU time, under a name that the profile must have.
    #[inline(never)]
    fn work_hard(until: std::time::Instant) -> u64 {
        let mut sum = 0_u64;
        while std::time::Instant::now() < until {
            sum = (0..10_000_u64).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_mul(31) ^ n));
        }
        sum
    }

    #[test]
    fn a_profile_names_what_the_process_does() {
        let profiler =
            ProfilerGuardBuilder::default().frequency(FREQUENCY).blocklist(&LEFT_OUT).build().unwrap();
        work_hard(std::time::Instant::now() + Duration::from_secs(1));
        let file = write(profiler).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut bytes).unwrap();
        let profile = format::Profile::decode(&bytes[..]).unwrap();
        let hard = profile.strings.iter().position(|text| text.ends_with("work_hard")).unwrap();
        let function = profile.functions.iter().find(|function| function.name == hard as i64).unwrap();
        let holds = |location: &u64| {
            let location = profile.locations.iter().find(|own| own.id == *location).unwrap();
            location.lines.iter().any(|line| line.function_id == function.id)
        };
        let samples = profile.samples.iter().filter(|sample| sample.location_ids.iter().any(holds));
        let nanos: i64 = samples.map(|sample| sample.values[1]).sum();
        assert!(nanos > 0, "it is in no sample");
        let innermost = |sample: &format::Sample| {
            let location = &profile.locations[sample.location_ids[0] as usize - 1];
            let function = &profile.functions[location.lines[0].function_id as usize - 1];
            profile.strings[function.name as usize].clone()
        };
        let tops: Vec<_> =
            profile.samples.iter().filter(|s| !s.location_ids.is_empty()).map(innermost).collect();
        assert!(!tops.iter().any(|name| is_sampling(name)), "{tops:?}");
    }
}
