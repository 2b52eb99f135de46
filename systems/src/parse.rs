//! Reading TOML, with errors for people.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a file, or with what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong, with the field's or the option's name.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl Problem {
    /// A problem that has no place yet.
    pub fn new(message: impl Into<String>) -> Self {
        Problem {
            file: None,
            line: None,
            message: message.into(),
            hint: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With this hint, unless it has one.
    #[must_use]
    pub fn or_hint(self, hint: &str) -> Self {
        match self.hint {
            Some(_) => self,
            None => self.with_hint(hint),
        }
    }

    /// In this file, at this line.
    #[must_use]
    pub fn in_file(mut self, file: &Path, line: Option<usize>) -> Self {
        self.file = Some(file.to_owned());
        self.line = line;
        self
    }

    /// A name that nothing is known by: the message lists what is known, the hint names the nearest.
    pub fn unknown<'a>(
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        let list: Vec<&str> = known.clone().into_iter().collect();
        let problem = Problem::new(format!(
            "unknown {what} `{name}`, expected one of {}",
            list.join(", ")
        ));
        match nearest(name, known) {
            Some(candidate) => problem.with_hint(format!("did you mean `{candidate}`?")),
            None => problem,
        }
    }
}

/// Reads TOML; errors have the line, the field, and what was probably meant.
///
/// # Errors
/// It is no TOML, or not of this form.
pub fn toml<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|Range { start, .. }| line_of(text, start));
        let mut message = error.message().trim().to_owned();
        let hint = nearest_field(&message).map(|field| format!("did you mean `{field}`?"));
        if let Some(field) = line.and_then(|line| field_of(text, line))
            && !message.contains(&format!("`{field}`"))
        {
            message = format!("`{field}`: {message}");
        }
        Problem {
            file: None,
            line,
            message,
            hint,
        }
    })
}

/// The line on which a field such as `node.args.2` stands, from 1; where it is not there, that of the
/// table it should be in.
pub fn line_of_field(text: &str, field: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut offset = None;
    let mut place = Place::Table(table.get_ref());
    for step in field.split('.') {
        let value = match place {
            Place::Table(table) => {
                let found = table.iter().find(|(key, _)| key.get_ref() == step);
                let Some((key, value)) = found else { break };
                offset = Some(key.span().start);
                value
            }
            Place::List(list) => {
                let Some(value) = step.parse().ok().and_then(|at: usize| list.get(at)) else {
                    break;
                };
                offset = Some(value.span().start);
                value
            }
        };
        place = match value.get_ref() {
            DeValue::Table(table) => Place::Table(table),
            DeValue::Array(list) => Place::List(list),
            _ => break,
        };
    }
    offset.map(|offset| line_of(text, offset))
}

/// Whether a text gives a value to a field such as `system.nodes`.
pub fn has_field(text: &str, field: &str) -> bool {
    let Ok(table) = DeTable::parse(text) else {
        return false;
    };
    let mut table = table.get_ref();
    let mut steps = field.split('.').peekable();
    while let Some(step) = steps.next() {
        let Some((_, value)) = table.iter().find(|(key, _)| key.get_ref() == step) else {
            return false;
        };
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return steps.peek().is_none(),
        }
    }
    true
}

/// Where a walk down a document stands.
enum Place<'a> {
    Table(&'a DeTable<'a>),
    List(&'a toml::de::DeArray<'a>),
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    before.filter(|&byte| byte == b'\n').count() + 1
}

/// The field that a line gives a value to.
fn field_of(text: &str, line: usize) -> Option<&str> {
    let (field, _) = text.lines().nth(line - 1)?.split_once('=')?;
    Some(field.trim())
}

/// The field most like the one a message of the form ``unknown field `x`, expected one of `a`,
/// `b` `` complains of.
fn nearest_field(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted)
}

/// The candidate most like `name`, if any is like it at all.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_path() {
        let text = "name = \"x\"\n[node]\nargs = [\n  \"a\",\n  \"b\",\n]\n[[files]]\npath = \"p\"\n\
                    [[files]]\npath = \"q\"\n[a]\nb = { c = 1 }\n";
        for (field, line) in [
            ("name", Some(1)),
            ("node", Some(2)),
            ("node.args", Some(3)),
            ("node.args.1", Some(5)),
            ("node.args.9", Some(3)),
            ("node.missing", Some(2)),
            ("files.1.path", Some(10)),
            ("a.b.c", Some(12)),
            ("missing", None),
        ] {
            assert_eq!(line_of_field(text, field), line, "{field}");
        }
    }
}
