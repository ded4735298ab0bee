//! WebSocket frames of a server in the bytes of a socket, without copying whole ones.

use thiserror::Error;

/// A whole frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// A text message.
    Text(&'a [u8]),
    /// To be answered with the same bytes.
    Ping(&'a [u8]),
    /// The end, with its code; 1005 without one.
    Close(u16),
    /// A pong.
    Other,
}

/// What a server of ours never sends.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum BadFrame {
    /// Messages in several frames.
    #[error("a fragmented message")]
    Fragmented,
    /// A server's frames are bare.
    #[error("a masked frame")]
    Masked,
    /// No text, ping, pong or close.
    #[error("a frame with opcode {0}")]
    Opcode(u8),
}

/// Keeps the beginning of a frame that has not come whole.
#[derive(Debug, Default)]
pub(super) struct Frames {
    rest: Vec<u8>,
}

impl Frames {
    /// Gives every frame that is whole with these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], mut on_frame: impl FnMut(Frame<'_>)) -> Result<(), BadFrame> {
        if self.rest.is_empty() {
            let used = each_frame(bytes, &mut on_frame)?;
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            self.rest.extend_from_slice(bytes);
            let used = each_frame(&self.rest, &mut on_frame)?;
            self.rest.drain(..used);
        }
        Ok(())
    }
}

fn each_frame(bytes: &[u8], on_frame: &mut impl FnMut(Frame<'_>)) -> Result<usize, BadFrame> {
    let mut used = 0;
    while let Some((frame, length)) = first_frame(&bytes[used..])? {
        on_frame(frame);
        used += length;
    }
    Ok(used)
}

/// RFC 6455, 5.2.
fn first_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, BadFrame> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x80 == 0 {
        return Err(BadFrame::Fragmented);
    }
    if second & 0x80 != 0 {
        return Err(BadFrame::Masked);
    }
    let (header, length) = match (second, rest) {
        (126, [a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (10, usize::try_from(length).unwrap_or(usize::MAX))
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, usize::from(*short)),
    };
    let Some(payload) = bytes[header..].get(..length) else { return Ok(None) };
    let frame = match first & 0x0f {
        1 => Frame::Text(payload),
        8 => Frame::Close(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))),
        9 => Frame::Ping(payload),
        10 => Frame::Other,
        opcode => return Err(BadFrame::Opcode(opcode)),
    };
    Ok(Some((frame, header + length)))
}

/// Appends a client's frame. Its mask is zero: it protects proxies between strangers, and here both ends are ours.
pub(super) fn write_client_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    write_header(opcode, payload.len(), 0x80, out);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// Appends a server's text frame.
pub(super) fn write_server_text(payload: &[u8], out: &mut Vec<u8>) {
    write_header(1, payload.len(), 0, out);
    out.extend_from_slice(payload);
}

fn write_header(opcode: u8, length: usize, mask: u8, out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(mask | short),
        (_, Ok(medium)) => {
            out.push(mask | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(chunks: &[&[u8]]) -> Vec<usize> {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for chunk in chunks {
            frames
                .feed(chunk, |frame| match frame {
                    Frame::Text(text) => seen.push(text.len()),
                    other => panic!("{other:?}"),
                })
                .unwrap();
        }
        assert!(frames.rest.is_empty());
        seen
    }

    #[test]
    fn frames_of_every_length_come_whole_however_they_are_cut() {
        let lengths = [0, 1, 125, 126, 65_535, 65_536, 7];
        let mut bytes = Vec::new();
        for length in lengths {
            write_server_text(&vec![b'x'; length], &mut bytes);
        }
        assert_eq!(texts(&[&bytes]), lengths);
        for cut in [1, 2, 3, 5, 130, 131, 135, 300, bytes.len() - 1] {
            assert_eq!(texts(&[&bytes[..cut], &bytes[cut..]]), lengths, "cut at {cut}");
        }
        let chunks: Vec<&[u8]> = bytes.chunks(1_000).collect();
        assert_eq!(texts(&chunks), lengths);
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Frame<'_>, BadFrame>) {
        assert_eq!(first_frame(bytes).map(|frame| frame.unwrap().0), expected);
    }

    #[test]
    fn control_frames_and_faults_are_distinguished() {
        check(&[0x89, 2, b'h', b'i'], Ok(Frame::Ping(b"hi")));
        check(&[0x8a, 0], Ok(Frame::Other));
        check(&[0x88, 2, 0x03, 0xf4], Ok(Frame::Close(1012)));
        check(&[0x88, 0], Ok(Frame::Close(1005)));
        check(&[0x01, 0], Err(BadFrame::Fragmented));
        check(&[0x81, 0x80, 0, 0, 0, 0], Err(BadFrame::Masked));
        check(&[0x82, 0], Err(BadFrame::Opcode(2)));
    }
}
