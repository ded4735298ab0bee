//! WebSocket frames as a server sends them (RFC 6455 §5.2): whole, final, unmasked, so the same for every client.

use wire::Close;

/// The longest header of an unmasked frame.
pub(crate) const MAX_HEADER: usize = 10;

/// A ping without a payload.
pub(crate) const PING: &[u8] = &[0x89, 0];

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

/// Appends the header of a text frame of so many bytes.
pub(crate) fn write_text_header(length: usize, out: &mut Vec<u8>) {
    out.push(TEXT);
    if length < 126 {
        out.push(length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Appends a text frame.
pub(crate) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    write_text_header(text.len(), out);
    out.extend_from_slice(text);
}

/// A close frame with the code and reason of an ending.
pub(crate) fn close(close: Close) -> Vec<u8> {
    let reason = close.reason().as_bytes();
    let mut out = vec![CLOSE, (2 + reason.len()) as u8];
    out.extend_from_slice(&close.code().to_be_bytes());
    out.extend_from_slice(reason);
    out
}

/// The answer to a peer's close frame: its code again.
pub(crate) fn close_echo(code: Option<u16>) -> Vec<u8> {
    let code = code.map(u16::to_be_bytes).unwrap_or_default();
    match code {
        [0, 0] => vec![CLOSE, 0],
        [high, low] => vec![CLOSE, 2, high, low],
    }
}

/// The answer to a ping, whose payload a control frame bounds to 125 bytes.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    [&[PONG, payload.len() as u8][..], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_has_its_header() {
        for (length, header) in [
            (5, vec![0x81, 5]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xff, 0xff]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_text_header(length, &mut out);
            assert_eq!(out, header);
        }
        assert_eq!(close(Close::Drain), b"\x88\x07\x03\xf4drain");
    }
}
