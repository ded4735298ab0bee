//! A file that is written from code, as a whole or between marks.

/// Committed, and compared by `cargo xtask tidy`.
#[derive(Debug)]
pub(crate) struct Generated {
    /// From the workspace's root.
    pub(crate) path: &'static str,
    /// What it must hold.
    pub(crate) text: String,
}

/// Puts a table between the line that begins with `mark` and the next `<!-- end -->`.
pub(super) fn splice(page: &str, mark: &str, table: &str) -> String {
    let parts = page.split_once(mark).and_then(|(before, rest)| {
        let (line, rest) = rest.split_once('\n')?;
        let (_, after) = rest.split_once("<!-- end -->")?;
        Some(format!("{before}{mark}{line}\n\n{table}\n<!-- end -->{after}"))
    });
    parts.unwrap_or_else(|| format!("{page}\n{mark} is missing\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stands_between_its_marks_and_a_missing_mark_shows() {
        let page = "before\n<!-- x: by hand -->\n\nold\n<!-- end -->\nafter\n";
        let spliced = splice(page, "<!-- x:", "| new |\n");
        assert_eq!(spliced, "before\n<!-- x: by hand -->\n\n| new |\n\n<!-- end -->\nafter\n");
        assert_eq!(splice(&spliced, "<!-- x:", "| new |\n"), spliced);
        assert_ne!(splice("no mark", "<!-- x:", "| new |\n"), "no mark");
    }
}
