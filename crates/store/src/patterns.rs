//! A filter's patterns as parameters of a statement.

use wire::{Filter, Pattern};

/// The ids and the prefixes in a filter. `""` is the prefix of all.
pub(crate) fn lists(filter: &Filter) -> (Vec<String>, Vec<String>) {
    let Filter::Any(patterns) = filter else { return (Vec::new(), vec![String::new()]) };
    let mut lists = (Vec::new(), Vec::new());
    for pattern in patterns {
        match pattern {
            Pattern::Exact(id) => lists.0.push(id.clone()),
            Pattern::Prefix(prefix) => lists.1.push(prefix.clone()),
        }
    }
    lists
}
