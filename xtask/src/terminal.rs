//! Output on the terminal; a closed output is no error.

use std::io::{self, Write};

/// A line on standard output.
pub(crate) fn print(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// An error on standard error.
pub(crate) fn print_error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "error: {text}");
}
