//! What the person at the terminal is told.

/// A line of what they asked for.
#[expect(clippy::print_stdout, reason = "the terminal is the interface")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// What went wrong.
#[expect(clippy::print_stderr, reason = "the terminal is the interface")]
pub(crate) fn fault(text: &str) {
    eprintln!("error: {text}");
}
