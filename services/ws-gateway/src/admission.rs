//! Who may connect, and how many at once.

pub(crate) mod history_cost;
pub(crate) mod roster;
pub mod subjects;
