//! Source files: short enough, each with a doc comment, nothing unfinished.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::finding::Finding;

const FOLDERS: [&str; 4] = ["crates", "services", "xtask", "frontend"];
const NOT_OURS: [&str; 5] = ["node_modules", "build", "dist", "target", ".react-router"];
const EXTENSIONS: [&str; 3] = ["rs", "ts", "tsx"];

const MAX_LINES: usize = 600;

/// Words for what is not done; written in two parts so that this file passes.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("#[ig", "nore"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// All source files, in the order of their paths.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    Ok(files)
}

/// All faults of the sources.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let path = file.strip_prefix(root).unwrap_or(file);
        findings
            .extend(faults(path, &text).into_iter().map(|what| Finding::new(path.to_string_lossy(), what)));
    }
    Ok(findings)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|ours| extension == *ours)) {
            files.push(path);
        }
    }
    Ok(())
}

fn faults(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{lines} lines; at most {MAX_LINES}"));
    }
    if needs_doc(path) && !has_doc(text) {
        faults.push("no `//!` that says what the module is".to_owned());
    }
    for (number, line) in (1..).zip(text.lines()) {
        let found = UNFINISHED.iter().filter(|word| has_word(line, word));
        faults.extend(found.map(|word| format!("line {number} has {word}")));
    }
    faults
}

/// Every module but those that hold a module's tests, and parts of a test program.
fn needs_doc(path: &Path) -> bool {
    if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("tests.rs") {
        return false;
    }
    let below_tests = path.iter().rev().position(|part| part == "tests");
    match below_tests {
        None | Some(1) => true,
        Some(_) => path.ends_with("main.rs"),
    }
}

fn has_doc(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//!"))
}

/// Whether the word is in the line by itself, not as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |neighbour: Option<char>| neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
        let is_whole = word.ends_with(|c: char| !c.is_alphanumeric()) || !is_part(after);
        !is_part(before) && is_whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: usize) {
        let found = faults(Path::new(path), text);
        assert_eq!(found.len(), expected, "{path}: {found:?}");
    }

    #[test]
    fn a_module_has_a_doc_comment() {
        check("crates/a/src/lib.rs", "//! Something.\n", 0);
        check("crates/a/src/lib.rs", "#![no_std]\n\n//! Something.\n", 0);
        check("crates/a/src/lib.rs", "use std::fs;\n//! late\n", 1);
        check("crates/a/src/lib.rs", "", 1);
        check("frontend/app/root.tsx", "export {};\n", 0);
    }

    #[test]
    fn of_tests_only_the_programs_need_one() {
        check("crates/a/src/session/tests.rs", "use super::*;\n", 0);
        check("crates/a/tests/whole.rs", "use a;\n", 1);
        check("crates/a/tests/it/main.rs", "mod b;\n", 1);
        check("crates/a/tests/it/b.rs", "use a;\n", 0);
    }

    #[test]
    fn six_hundred_lines_are_the_maximum() {
        check("frontend/app/long.ts", &"x\n".repeat(600), 0);
        check("frontend/app/long.ts", &"x\n".repeat(601), 1);
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            check("frontend/app/a.ts", &format!("  // {word} this"), 1);
        }
        check("frontend/app/a.ts", &format!("{}S", UNFINISHED[0]), 0);
        check("frontend/app/a.ts", &format!("my_{}x)", UNFINISHED[3]), 0);
    }
}
