//! Messages out of a WebSocket's bytes (RFC 6455 §5). tungstenite reads each frame's header; what is here puts
//! messages together and holds no more than has come of one, so that a silent connection costs no buffer.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{CloseCode, Control, Data, OpCode},
};
use wire::{Close, frame::Limits};

use super::frame;

/// The most that a control frame carries (RFC 6455 §5.5).
const CONTROL_BYTES: u64 = 125;

/// What the peer sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A text message.
    Text(String),
    /// A ping, with the pong that answers it.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// Its close, with its code and the frame that answers it.
    Closed(Option<u16>, Vec<u8>),
}

/// What has come of the next message.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// Bytes that are no whole frame yet.
    rest: BytesMut,
    /// The payloads of a message whose last fragment has not come, and how many there were.
    begun: Option<(Vec<u8>, usize)>,
}

impl Messages {
    /// How many bytes are kept of messages that are not whole.
    pub(crate) fn held(&self) -> usize {
        self.rest.len() + self.begun.as_ref().map_or(0, |(begun, _)| begun.len())
    }

    /// Adds what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next whole message, if it has come. An error ends the connection with its code.
    pub(crate) fn next(&mut self, limits: &Limits) -> Result<Option<Incoming>, Close> {
        loop {
            let Some((header, payload)) = self.next_frame(limits)? else { return Ok(None) };
            match header.opcode {
                OpCode::Control(control) => return self.control(control, &payload).map(Some),
                OpCode::Data(Data::Binary) => return Err(Close::Binary),
                OpCode::Data(data) => {
                    if let Some(text) = self.fragment(data, header.is_final, &payload, limits)? {
                        return Ok(Some(Incoming::Text(text)));
                    }
                }
            }
        }
    }

    /// A whole frame, unmasked, after every check that its header allows.
    fn next_frame(&mut self, limits: &Limits) -> Result<Option<(FrameHeader, Bytes)>, Close> {
        let mut cursor = Cursor::new(&self.rest[..]);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| Close::Protocol)? else {
            return Ok(None);
        };
        let head = cursor.position() as usize;
        self.check(&header, length, limits)?;
        let Some(mask) = header.mask else { return Err(Close::Protocol) };
        let length = usize::try_from(length).map_err(|_| Close::TooBig)?;
        // `head` bytes were read of it
        if self.rest.len() - head < length {
            return Ok(None);
        }
        self.rest.advance(head);
        let mut payload = self.rest.split_to(length);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        if self.rest.is_empty() {
            // keep no buffer for an empty rest
            self.rest = BytesMut::new();
        }
        Ok(Some((header, payload.freeze())))
    }

    fn check(&self, header: &FrameHeader, length: u64, limits: &Limits) -> Result<(), Close> {
        if header.rsv1 || header.rsv2 || header.rsv3 || header.mask.is_none() {
            return Err(Close::Protocol);
        }
        let begun = self.begun.as_ref().map(|(bytes, _)| bytes.len() as u64);
        match (header.opcode, begun) {
            (OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)), _) => {
                Err(Close::Protocol)
            }
            (OpCode::Control(_), _) if !header.is_final || length > CONTROL_BYTES => Err(Close::Protocol),
            (OpCode::Control(_), _) => Ok(()),
            (OpCode::Data(Data::Continue), None) => Err(Close::Protocol),
            (OpCode::Data(Data::Text | Data::Binary), Some(_)) => Err(Close::Protocol),
            (OpCode::Data(_), begun) => {
                let whole = begun.unwrap_or(0).saturating_add(length);
                if whole > limits.message_bytes as u64 { Err(Close::TooBig) } else { Ok(()) }
            }
        }
    }

    /// Adds a frame to its message; the text when it was the last.
    fn fragment(
        &mut self,
        data: Data,
        is_final: bool,
        payload: &[u8],
        limits: &Limits,
    ) -> Result<Option<String>, Close> {
        let (mut bytes, count) = match data {
            Data::Continue => self.begun.take().ok_or(Close::Protocol)?,
            _ => (Vec::new(), 0),
        };
        bytes.extend_from_slice(payload);
        if is_final {
            return String::from_utf8(bytes).map(Some).map_err(|_| Close::NotUtf8);
        }
        if count + 1 >= limits.fragments {
            return Err(Close::Policy);
        }
        // what can no longer become UTF-8 need not be waited for
        if std::str::from_utf8(&bytes).is_err_and(|error| error.error_len().is_some()) {
            return Err(Close::NotUtf8);
        }
        self.begun = Some((bytes, count + 1));
        Ok(None)
    }

    fn control(&self, control: Control, payload: &[u8]) -> Result<Incoming, Close> {
        match control {
            Control::Ping => Ok(Incoming::Ping(frame::pong(payload))),
            Control::Pong => Ok(Incoming::Pong),
            Control::Close => match payload {
                [] => Ok(Incoming::Closed(None, frame::close_echo(None))),
                [_] => Err(Close::Protocol),
                [high, low, reason @ ..] => {
                    let code = u16::from_be_bytes([*high, *low]);
                    if !CloseCode::from(code).is_allowed() {
                        return Err(Close::Protocol);
                    }
                    std::str::from_utf8(reason).map_err(|_| Close::NotUtf8)?;
                    Ok(Incoming::Closed(Some(code), frame::close_echo(Some(code))))
                }
            },
            Control::Reserved(_) => Err(Close::Protocol),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
