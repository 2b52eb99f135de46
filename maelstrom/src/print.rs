//! Who is shown what passes by: only a command prints.

use std::fmt;
use std::sync::Arc;

/// Is given lines to show.
#[derive(Clone)]
pub struct Print(Arc<dyn Fn(&str) + Send + Sync>);

impl Print {
    /// Shows lines by this.
    pub fn new(print: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Print(Arc::new(print))
    }

    /// Shows a line.
    pub(crate) fn line(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Print")
    }
}
