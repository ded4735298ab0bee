//! Output: results on stdout, messages on stderr.

use std::io::{self, Write};

/// Writes a line of the result; fails when stdout is closed.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a message.
pub(crate) fn note(text: &str) {
    // a closed stderr leaves no place to report it
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the command ended because its reader did (`rowcast tail | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
