//! Amounts as a person says them.

/// `1 read`, `2 reads`.
pub(crate) fn amount(count: u64, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}
