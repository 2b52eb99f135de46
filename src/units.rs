//! Times as numbers, with the unit in the name; amounts as text.

use std::time::Duration;

/// Whole milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `1 key`, `2 keys`.
pub(crate) fn amount(count: u64, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}
