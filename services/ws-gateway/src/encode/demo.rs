//! The demo's protocol: each reading in a text frame of its own.

use wire::frame::write_demo_event;

use super::frames::{Frames, Pieces};
use crate::websocket::frame::write_text;

/// The frame of each reading.
pub(super) fn events(frames: &Frames) -> &Pieces {
    let mut text = Vec::new();
    frames.demo.get_or_init(|| {
        frames.encode(|_, data, out| {
            text.clear();
            write_demo_event(data, &mut text);
            write_text(&text, out);
        })
    })
}
