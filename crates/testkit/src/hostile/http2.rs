//! Frames of HTTP/2 (RFC 9113), as a peer that breaks the rules may build them.

/// HEADERS.
pub const HEADERS: u8 = 1;
/// RST_STREAM.
pub const RESET: u8 = 3;
/// SETTINGS.
pub const SETTINGS: u8 = 4;
/// GOAWAY.
pub const GOAWAY: u8 = 7;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;

/// The flag of a stream's last frame.
pub const END_STREAM: u8 = 1;
/// The flag of a header block without CONTINUATION.
pub const END_HEADERS: u8 = 4;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The beginning of a connection.
pub fn begin() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, &[])[..]].concat()
}

/// A request without a body. Its header block refers to the static table (RFC 7541 appendix A): GET, http, a path, a host.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).ok().filter(|length| *length < 127).expect("a short path");
    let block = [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, 1], b"x"].concat();
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// RST_STREAM with CANCEL.
pub fn cancel(stream: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &8_u32.to_be_bytes())
}

/// The frames that the other end sent: their kinds, streams and payloads.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, stream @ ..] = bytes
        && let Some((stream, rest)) = stream.split_first_chunk()
    {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some(payload) = rest.get(..length) else { break };
        frames.push((*kind, u32::from_be_bytes(*stream), payload.to_vec()));
        bytes = &rest[length..];
    }
    frames
}
