//! Webhooks: what becomes of the payloads of senders that have a format of their own.

pub(crate) mod config;
mod hook;
mod leaf;
mod mapping;
mod named;
mod pointer;
mod preset;
mod rule;
mod signature;

pub(crate) use self::{hook::Hook, named::Hooks};
