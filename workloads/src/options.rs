//! How a workload is run.

use std::fmt;
use std::str::FromStr;

/// How a workload is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many keys are in use at once. Few, so that clients meet on them.
    pub keys: u64,
    /// After how many operations a key is retired and replaced by a fresh one, so that a check
    /// has many short histories rather than a few long ones.
    pub ops_per_key: u64,
    /// Which values are written.
    pub values: Values,
}

/// Which values are written. As text: `unique` or `few:N`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Values {
    /// No value twice in a run, so that a read names the write it saw.
    #[default]
    Unique,
    /// Only so many different values, at least one: harder to check, and closer to what
    /// applications do.
    Few(u64),
}

/// A text that names no way to choose values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown values {text:?} (known: unique, few:N with N of at least 1)")]
pub struct UnknownValues {
    /// The text as it was given.
    pub text: String,
}

impl FromStr for Values {
    type Err = UnknownValues;

    fn from_str(text: &str) -> Result<Self, UnknownValues> {
        let few = |text: &str| {
            text.strip_prefix("few:")?
                .parse()
                .ok()
                .filter(|&few| few > 0)
        };
        match (text, few(text)) {
            ("unique", _) => Ok(Values::Unique),
            (_, Some(few)) => Ok(Values::Few(few)),
            _ => Err(UnknownValues {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Values::Unique => f.write_str("unique"),
            Values::Few(few) => write!(f, "few:{few}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        for values in [Values::Unique, Values::Few(1), Values::Few(20)] {
            assert_eq!(values.to_string().parse(), Ok(values));
        }
        for text in [
            "", "few", "few:", "few:0", "few:-1", "few:x", "Unique", "unique ",
        ] {
            let error = Values::from_str(text).expect_err(text).to_string();
            assert!(error.contains("unique, few:N"), "{error}");
        }
    }
}
