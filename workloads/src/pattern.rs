//! A regular expression that compares and is written as its text.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// A regular expression, sound since it was read.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// The expression.
    pub fn regex(&self) -> &Regex {
        &self.0
    }

    /// What it finds in a text: its first group where it has one, else the whole match.
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = self.0.captures(text)?;
        found.get(1).or(found.get(0)).map(|found| found.as_str())
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Regex::new(&text) {
            Ok(regex) => Ok(Pattern(regex)),
            // The last line says what is wrong, those before point at where with spaces.
            Err(error) => {
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim();
                let why = why.trim_start_matches("error: ");
                Err(format!("`{text}` is no regular expression: {why}"))
            }
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_str())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
