//! What waits until a token was checked.

use std::{collections::VecDeque, sync::Arc};

use auth::Grant;
use wire::{Command, Subscribe};

/// What waits until a token was checked.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The query of a connection whose client had yet to say who it is.
    pub(super) query: Option<Subscribe>,
    /// A token is being checked.
    pub(super) is_checked: bool,
    /// The `id` of the command that brought it.
    pub(super) command: Option<u64>,
    /// The commands behind it, of the same message.
    pub(super) held: VecDeque<Command>,
}

/// A token that is valid: what it grants, and in how many milliseconds it ends.
pub type Granted = (Arc<Grant>, Option<u64>);

impl Waiting {
    pub(super) fn with_query(query: Subscribe) -> Self {
        Self { query: Some(query), ..Self::default() }
    }
}
