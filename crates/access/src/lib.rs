//! What a request may do: credentials over HTTP, device keys as Postgres has them, and tokens of issuers.
//!
//! Every door of a service asks the same [`Gate`]: `presented` (what a request brings) → `judge` (`known` for device keys,
//! `issuers` for tokens) → a [`Caller`] with its grant. `follow` keeps what is known up to date.

mod bounds;
mod buckets;
mod caller;
mod config;
mod denial;
mod follow;
mod gate;
mod holder;
mod issuers;
mod judge;
mod known;
mod layer;
mod meter;
mod meters;
mod metrics;
mod payer;
mod presented;
pub mod trial;

pub use bounds::{Bounds, Defaults, rate};
pub use caller::Caller;
pub use config::AuthConfig;
pub use denial::Denial;
pub use gate::Gate;
pub use holder::Holder;
pub use layer::Guard;
pub use meter::Meter;
pub use metrics::Metrics;
pub use payer::Payer;
pub use presented::has_credential;
