//! The WebSocket protocol (RFC 6455): frames as the server sends them, messages as clients do.

pub(crate) mod frame;
pub(crate) mod message;
