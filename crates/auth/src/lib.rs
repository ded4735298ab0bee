//! Who may write and read which sensors, and how often: pure data, without IO, a clock or randomness.

mod credential;
pub mod gcra;
mod grant;
mod key_id;
mod key_record;
mod key_set;
mod key_text;
mod limits;
mod revocation;
mod revocation_set;
mod scope;
mod secret;
mod subject;
mod ticket;
mod unix_micros;

pub use credential::{BadCredential, Credential, TOKEN_MAX_BYTES};
pub use gcra::{Gcra, Remaining, RetryAfter};
pub use grant::Grant;
pub use key_id::{BadKeyId, KeyId};
pub use key_record::{KeyRecord, Secrets};
pub use key_set::{Denied, KeySet};
pub use key_text::{BadKey, KeyText, new_key};
pub use limits::{BadRate, Limits, Rate};
pub use revocation::{Revocation, Revoked};
pub use revocation_set::RevocationSet;
pub use scope::{BadScope, MAX_PATTERNS, Scope};
pub use secret::{BadHash, SecretHash};
pub use subject::Subject;
pub use ticket::{BadTicket, Ticket};
pub use unix_micros::UnixMicros;
