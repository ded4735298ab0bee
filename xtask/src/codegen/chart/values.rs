//! The keys of a chart's values with their comments, read from a file of a fixed form.
//!
//! A comment is above its key; in it, a line that begins with `@` is a mark. `## ` begins a section. A key without a
//! value has keys below it, unless it is marked as a map: then the keys below are its default.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The marks of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// One of these words.
    Enum(Vec<String>),
    /// The minimum.
    Min(i64),
    /// The maximum, or the maximum length.
    Max(i64),
    /// Null is allowed.
    Null,
    /// Of these types, not of the default's.
    Type(Vec<String>),
    /// A list of these types.
    Items(Vec<String>),
    /// A map of strings.
    Strings,
    /// A map that is passed on unchanged.
    Open,
    /// A map with these keys only.
    Keys(Vec<(String, Kind)>),
    /// A string of this form.
    Pattern(String),
}

/// What a setting's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    /// A list of strings, or one string with commas.
    Strings,
    /// A number with its unit.
    Duration,
    /// `true` or `false`.
    Boolean,
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    /// Its names from the top.
    pub(super) path: Vec<String>,
    /// Its section.
    pub(super) section: String,
    pub(super) doc: String,
    pub(super) marks: Vec<Mark>,
    /// None where it has keys below it.
    pub(super) default: Option<Value>,
}

/// All keys, in the file's order. A key without a comment or a malformed line is a fault.
pub(super) fn read(text: &str) -> Result<Vec<Key>> {
    let defaults: Value = serde_saphyr::from_str(text).context("it is not YAML")?;
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(text.lines()) {
        reader.line(line, &defaults).with_context(|| format!("line {number}"))?;
    }
    Ok(reader.keys)
}

#[derive(Default)]
struct Reader {
    keys: Vec<Key>,
    section: String,
    doc: Vec<String>,
    marks: Vec<Mark>,
    /// The names above the next line.
    path: Vec<String>,
    /// The depth of lines that are part of a default.
    inside: Option<usize>,
}

impl Reader {
    fn line(&mut self, line: &str, defaults: &Value) -> Result<()> {
        let text = line.trim_start();
        let depth = (line.len() - text.len()) / 2;
        if text.is_empty() {
            // a comment before an empty line is about the file
            self.doc.clear();
            self.marks.clear();
            return Ok(());
        }
        if self.inside.is_some_and(|from| depth >= from) {
            return Ok(());
        }
        self.inside = None;
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut self.section);
            return Ok(());
        }
        if let Some(comment) = text.strip_prefix('#') {
            return self.comment(comment.trim());
        }
        let (name, value) = text.split_once(':').context("neither a comment nor a key")?;
        self.path.truncate(depth);
        if self.path.len() < depth {
            bail!("{name} is indented too far");
        }
        self.path.push(name.to_owned());
        self.key(value.trim().is_empty(), depth, defaults)
    }

    fn comment(&mut self, comment: &str) -> Result<()> {
        match comment.strip_prefix('@') {
            Some(mark) => self.marks.push(parse_mark(mark)?),
            None => self.doc.push(comment.to_owned()),
        }
        Ok(())
    }

    fn key(&mut self, has_lines: bool, depth: usize, defaults: &Value) -> Result<()> {
        let (doc, marks) = (std::mem::take(&mut self.doc).join(" "), std::mem::take(&mut self.marks));
        let is_map = marks.iter().any(|mark| matches!(mark, Mark::Open | Mark::Strings | Mark::Keys(_)));
        let is_group = has_lines && !is_map;
        let path = self.path.clone();
        if !is_group && doc.is_empty() {
            bail!("{} has no comment", path.join("."));
        }
        if has_lines && is_map {
            self.inside = Some(depth + 1);
        }
        let found = path.iter().try_fold(defaults, |value, name| value.get(name));
        let found = found.with_context(|| format!("{} is not found at its indentation", path.join(".")))?;
        let default = (!is_group).then(|| found.clone());
        self.keys.push(Key { path, section: self.section.clone(), doc, marks, default });
        Ok(())
    }
}

/// A setting's name and what its value is.
fn parse_key(key: &str) -> Result<(String, Kind)> {
    let (name, kind) = key.split_once(' ').with_context(|| format!("@keys: {key} has no kind"))?;
    let kind = match kind {
        "integer" => Kind::Integer,
        "text" => Kind::Text,
        "strings" => Kind::Strings,
        "duration" => Kind::Duration,
        "boolean" => Kind::Boolean,
        other => bail!("@keys: unknown kind {other}"),
    };
    Ok((name.to_owned(), kind))
}

fn parse_mark(mark: &str) -> Result<Mark> {
    let (name, rest) = mark.split_once(' ').unwrap_or((mark, ""));
    let words = |by: char| rest.split(by).map(|word| word.trim().to_owned()).collect::<Vec<_>>();
    Ok(match name {
        "enum" => Mark::Enum(words(',')),
        "min" => Mark::Min(rest.parse().context("@min needs a number")?),
        "max" => Mark::Max(rest.parse().context("@max needs a number")?),
        "null" => Mark::Null,
        "type" => Mark::Type(words('|')),
        "items" => Mark::Items(words('|')),
        "strings" => Mark::Strings,
        "open" => Mark::Open,
        "keys" => Mark::Keys(words(',').iter().map(|key| parse_key(key)).collect::<Result<_>>()?),
        "pattern" => Mark::Pattern(rest.to_owned()),
        other => bail!("unknown mark @{other}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VALUES: &str = "\
# About the file, `@enum a` too.

## First
# How many.
# @min 1
count: 2
group:
  # A map of
  # strings.
  # @strings
  labels:
    a.b/c: \"1\"
  # A name.
  name: \"\"
";

    #[test]
    fn keys_have_their_comment_section_and_default() {
        let keys = read(VALUES).unwrap();
        let paths: Vec<String> = keys.iter().map(|key| key.path.join(".")).collect();
        assert_eq!(paths, ["count", "group", "group.labels", "group.name"]);
        assert_eq!((keys[0].doc.as_str(), keys[0].section.as_str()), ("How many.", "First"));
        assert_eq!(keys[0].marks, [Mark::Min(1)]);
        assert_eq!(keys[1].default, None);
        assert_eq!(
            (keys[2].doc.as_str(), &keys[2].default),
            ("A map of strings.", &Some(json!({"a.b/c": "1"})))
        );
        assert_eq!(keys[3].default, Some(json!("")));
    }

    #[track_caller]
    fn check_fault(values: &str, fault: &str) {
        let error = format!("{:#}", read(values).unwrap_err());
        assert!(error.contains(fault), "{error}");
    }

    #[test]
    fn a_malformed_line_is_a_fault_with_its_number() {
        check_fault("# One.\na: 1\n\nb: 2\n", "line 4: b has no comment");
        check_fault("# One.\n# @maximum 3\na: 1\n", "line 2: unknown mark @maximum");
        check_fault("# One.\n# @min few\na: 1\n", "line 2: @min needs a number");
    }
}
