//! What the person at the terminal is told, for as long as they listen.

use std::io::{self, Write};

/// A line of what they asked for.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// What went wrong.
pub(crate) fn fault(text: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {text}");
}
