//! What clients may send, at random.

use std::path::Path;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use chassis::Query;
use store::history::{BucketKey, ReadingKey};
use testkit::fuzz::fuzz;
use time::macros::datetime;
use wire::frame::Limits;

use crate::{
    history::{
        cursor::{Cursor, LatestKey},
        query::{Latest, MAX_BUCKETS, MAX_LIMIT, Readings, Rows},
    },
    routes::query::LiveQuery,
    websocket::message::{Incoming, tests::in_pieces},
};

const LIMITS: Limits =
    Limits { message_bytes: 1 << 10, subscriptions: 8, patterns: 16, fragments: 8, commands_per_s: 50 };

#[track_caller]
fn check(target: &str, property: impl Fn(&[u8])) {
    fuzz(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target), property);
}

#[test]
fn fuzz_bytes_of_a_socket() {
    check("socket", |bytes| {
        let whole = in_pieces(bytes, bytes.len().max(1), &LIMITS);
        for piece in [1, 3, 64] {
            assert_eq!(in_pieces(bytes, piece, &LIMITS), whole, "in pieces of {piece}");
        }
        for message in whole.0 {
            let size = match message {
                Incoming::Text(text) => text.len(),
                Incoming::Ping(pong) | Incoming::Closed(_, pong) => pong.len(),
                Incoming::Pong => 0,
            };
            assert!(size <= LIMITS.message_bytes, "{size} bytes");
        }
    });
}

#[test]
fn fuzz_queries() {
    check("queries", |bytes| {
        let query = String::from_utf8_lossy(bytes);
        let filter = |query: &str| {
            let mut parameters = Query::parse(query);
            let filter = LiveQuery::read(&mut parameters).filter(LIMITS.patterns, &mut parameters);
            parameters.end().map(|()| filter)
        };
        let Ok(wire::Filter::Any(patterns)) = filter(&query) else { return };
        assert!(patterns.len() <= LIMITS.patterns);
        // the same subscription, with a parameter for each pattern
        let query: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(patterns.iter().map(|pattern| ("sensor", pattern.to_string())))
            .finish();
        assert_eq!(filter(&query).unwrap(), wire::Filter::Any(patterns), "{query}");
    });
}

#[test]
fn fuzz_history_queries() {
    let now = datetime!(2026-01-02 03:04:05 UTC);
    check("history", |bytes| {
        let query = String::from_utf8_lossy(bytes);
        if let Ok(read) = Readings::read(&query, now) {
            assert!((1..=MAX_LIMIT).contains(&read.limit), "{query}");
            if let Rows::Buckets(length, _) = read.rows {
                let span = (read.span.to - read.span.from).whole_nanoseconds();
                assert!(span <= MAX_BUCKETS * length.as_nanos().cast_signed(), "{query}");
            }
        }
        if let Ok(read) = Latest::read(&query) {
            assert!((1..=MAX_LIMIT).contains(&read.limit), "{query}");
        }
    });
}

#[test]
fn fuzz_cursors() {
    fn same<C: Cursor + PartialEq + std::fmt::Debug>(token: &str) {
        if let Some(place) = C::parse(token) {
            assert_eq!(C::parse(&place.token()), Some(place), "{token}");
        }
    }
    check("cursors", |bytes| {
        for token in [String::from_utf8_lossy(bytes).into_owned(), BASE64_URL_SAFE_NO_PAD.encode(bytes)] {
            same::<ReadingKey>(&token);
            same::<BucketKey>(&token);
            same::<LatestKey>(&token);
        }
    });
}
