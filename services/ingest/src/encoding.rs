//! A body's content coding (RFC 9110 §8.4), decoded within a bound.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, header};

/// What a client may send, for `Accept-Encoding`.
pub(crate) const ACCEPTED: &str = "gzip, zstd";

/// The most that a zstd frame may ask a decoder to hold: 8 MiB, what RFC 8878 §3.1.1.1.2 asks every decoder
/// to support, and no more.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// Why a body cannot be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It decodes to more than it may.
    TooLarge,
    /// It is not of its coding, from its first byte to its last.
    Broken,
}

impl Coding {
    /// The one coding that the headers name; `None` for one that is not known, and for several.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let first = codings.next().map_or(Some(""), |coding| coding.to_str().ok())?;
        let coding = match first.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            "gzip" | "x-gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => return None,
        };
        codings.next().is_none().then_some(coding)
    }

    /// The whole body: every member of a gzip file, every frame of zstd, and nothing after them.
    pub(crate) fn decode(self, body: Bytes, limit: usize) -> Result<Bytes, Unreadable> {
        match self {
            Self::Identity => Ok(body),
            Self::Gzip => read(MultiGzDecoder::new(&body[..]), limit),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(&body[..]).map_err(|_| Unreadable::Broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|_| Unreadable::Broken)?;
                read(decoder, limit)
            }
        }
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Bytes, Unreadable> {
    let mut decoder = io::BufReader::new(decoder);
    let mut whole = Vec::new();
    loop {
        let piece = decoder.fill_buf().map_err(|_| Unreadable::Broken)?;
        match piece.len() {
            0 => return Ok(whole.into()),
            length if whole.len() + length > limit => return Err(Unreadable::TooLarge),
            length => {
                whole.extend_from_slice(piece);
                decoder.consume(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const LIMIT: usize = 1_000;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 0).unwrap()
    }

    #[track_caller]
    fn check(coding: Coding, parts: &[&[u8]], expected: Result<&[u8], Unreadable>) {
        let decoded = coding.decode(parts.concat().into(), LIMIT);
        assert_eq!(decoded.as_deref(), expected.as_ref().copied());
    }

    #[test]
    fn all_members_and_frames_are_read_and_nothing_may_follow_them() {
        for (coding, pack) in [(Coding::Gzip, gzip as fn(&[u8]) -> _), (Coding::Zstd, zstd)] {
            let (a, b) = (pack(b"a"), pack(b"b"));
            check(coding, &[&a], Ok(b"a"));
            check(coding, &[&a, &b], Ok(b"ab"));
            check(coding, &[&a, b"garbage"], Err(Unreadable::Broken));
            check(coding, &[&a, &[0]], Err(Unreadable::Broken));
            check(coding, &[&a[..a.len() - 1]], Err(Unreadable::Broken));
            check(coding, &[&a, &b[..b.len() - 1]], Err(Unreadable::Broken));
            check(coding, &[b"not packed"], Err(Unreadable::Broken));
            check(coding, &[&pack(&[b' '; LIMIT])], Ok(&[b' '; LIMIT]));
            check(coding, &[&pack(&[b' '; LIMIT]), &a], Err(Unreadable::TooLarge));
            check(coding, &[&pack(&vec![b' '; 30 << 20])], Err(Unreadable::TooLarge));
        }
    }

    #[test]
    fn a_zstd_frame_may_not_ask_for_any_window() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"a").unwrap();
        encoder.flush().unwrap();
        encoder.write_all(b"b").unwrap();
        check(Coding::Zstd, &[&encoder.finish().unwrap()], Err(Unreadable::Broken));
    }

    #[test]
    fn one_known_coding_is_named() {
        for (named, expected) in [
            (&[][..], Some(Coding::Identity)),
            (&[""], Some(Coding::Identity)),
            (&["identity"], Some(Coding::Identity)),
            (&["GZIP"], Some(Coding::Gzip)),
            (&["x-gzip"], Some(Coding::Gzip)),
            (&["zstd"], Some(Coding::Zstd)),
            (&["deflate"], None),
            (&["br"], None),
            (&["gzip, gzip"], None),
            (&["gzip", "gzip"], None),
        ] {
            let mut headers = HeaderMap::new();
            for coding in named {
                headers.append(header::CONTENT_ENCODING, coding.parse().unwrap());
            }
            assert_eq!(Coding::of(&headers), expected, "{named:?}");
        }
    }
}
