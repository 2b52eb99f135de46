//! What a node wants done.

use super::{Message, Write};

/// What a node wants done, in the order of the fields.
#[derive(Debug, Default)]
pub struct Actions {
    /// Messages that need not wait for the writes.
    pub early: Vec<Message>,
    /// What must be on disk before `messages` go out.
    pub writes: Vec<Write>,
    /// Messages that depend on the writes.
    pub messages: Vec<Message>,
    /// Lines for the log: changes of role, of members, snapshots.
    pub notes: Vec<String>,
}

impl Actions {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.early.is_empty()
            && self.writes.is_empty()
            && self.messages.is_empty()
            && self.notes.is_empty()
    }
}
