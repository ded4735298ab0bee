//! Leader election over one Lease object of Kubernetes.
//!
//! `elector` decides and does no IO, `candidate` executes its steps, `leadership` is what the winner holds. The rules are
//! those of client-go's leader election: a candidate that finds the Lease without a holder, or sees it unchanged for its
//! whole duration, writes its own name into it; the holder renews it, and stops by itself at the renew deadline. Two
//! things are different. The Lease is created by PUT, so that a Role can name this one object. And a replica that sees
//! the leader's work undone may claim the Lease before it expires ([`Elections::claim`]): a service that uses this must
//! make two leaders at once harmless.
//!
//! This crate does not depend on what is led.

mod announcer;
mod candidate;
mod config;
mod elector;
mod leadership;
mod metrics;
mod object;

pub use crate::{
    candidate::{Candidate, stand},
    config::{Config, Mode, Timing},
    elector::{Change, Elector, Event, Held, Record, Seen, Step, Version},
    leadership::{Elections, Leadership},
    metrics::Metrics,
    object::Error,
};
