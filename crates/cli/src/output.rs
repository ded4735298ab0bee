//! The two ways out: answers to stdout, remarks to stderr.

use std::io::{self, Write};

/// Writes a line of the answer, and fails when nobody reads any more.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a remark for people.
pub(crate) fn note(text: &str) {
    // stderr may be closed; there is nowhere left to say so
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the command ended because its reader did (`rowcast tail | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
