//! Device keys and revoked tokens: managing them, and following what others change.

mod error;
mod follow;
mod manage;
mod row;

pub use self::{
    error::KeyError,
    follow::{Changes, Followed, KeyChange},
    manage::{Imported, Keys},
    row::StoredKey,
};
