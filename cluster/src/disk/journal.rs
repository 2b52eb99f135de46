//! Which changes of directories are not durable yet.
//!
//! A directory's changes become durable by fsync of that directory, all of them up to then and none
//! of another's, except where a file would be lost from both places that no file system with a
//! journal loses: a rename from one directory to another, the removal of one of several names, and
//! the removal of a directory take everything with them that happened before.

use std::ffi::OsString;

/// The number of a file or directory.
pub(super) type Ino = u64;

/// A name in a directory.
pub(super) type Name = (Ino, OsString);

/// One change of one directory, or of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A name was added.
    Added {
        /// The name.
        at: Name,
        /// What it names.
        ino: Ino,
    },
    /// A name was removed; what it named is kept under another, out of the node's sight.
    Removed {
        /// The name.
        at: Name,
        /// What it named.
        ino: Ino,
        /// Where it is kept.
        kept: OsString,
    },
    /// A name was replaced by another.
    Renamed {
        /// The name before.
        from: Name,
        /// The name after.
        to: Name,
        /// What it names.
        ino: Ino,
        /// What had the new name before, and where it is kept.
        replaced: Option<(Ino, OsString)>,
    },
}

impl Change {
    /// Whether it changed this directory.
    fn touches(&self, dir: Ino) -> bool {
        match self {
            Change::Added { at, .. } | Change::Removed { at, .. } => at.0 == dir,
            Change::Renamed { from, to, .. } => from.0 == dir || to.0 == dir,
        }
    }

    /// Where something is kept for its undoing.
    pub fn kept(&self) -> Option<&OsString> {
        match self {
            Change::Added { .. } => None,
            Change::Removed { kept, .. } => Some(kept),
            Change::Renamed { replaced, .. } => replaced.as_ref().map(|(_, kept)| kept),
        }
    }
}

/// The changes that are not durable, in order.
#[derive(Debug, Default)]
pub(super) struct Journal {
    changes: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    change: Change,
    /// It cannot be durable without all before it.
    takes_all_before: bool,
}

impl Journal {
    pub fn push(&mut self, change: Change, takes_all_before: bool) {
        self.changes.push(Pending {
            change,
            takes_all_before,
        });
    }

    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// An fsync of a directory succeeded. Returns what became durable, in order.
    pub fn commit(&mut self, dir: Ino) -> Vec<Change> {
        let whole = self
            .changes
            .iter()
            .rposition(|pending| pending.takes_all_before && pending.change.touches(dir))
            .map_or(0, |last| last + 1);
        let mut number = 0;
        let durable = self.changes.extract_if(.., |pending| {
            number += 1;
            number <= whole || pending.change.touches(dir)
        });
        durable.map(|pending| pending.change).collect()
    }

    /// Everything, in order: it became durable, or is lost.
    pub fn take(&mut self) -> Vec<Change> {
        let all = std::mem::take(&mut self.changes);
        all.into_iter().map(|pending| pending.change).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(dir: Ino, name: &str) -> Change {
        Change::Added {
            at: (dir, name.into()),
            ino: 9,
        }
    }

    fn renamed(from: Ino, to: Ino) -> Change {
        Change::Renamed {
            from: (from, "x".into()),
            to: (to, "y".into()),
            ino: 9,
            replaced: None,
        }
    }

    #[test]
    fn a_directory_takes_its_own_changes_and_what_a_move_depends_on() {
        let journal = || {
            let mut journal = Journal::default();
            journal.push(added(1, "a"), false);
            journal.push(added(2, "b"), false);
            journal.push(renamed(2, 3), true);
            journal.push(added(1, "c"), false);
            journal.push(added(3, "d"), false);
            journal
        };
        let rows = [
            (1, vec![added(1, "a"), added(1, "c")], 3),
            (2, vec![added(1, "a"), added(2, "b"), renamed(2, 3)], 2),
            (
                3,
                vec![added(1, "a"), added(2, "b"), renamed(2, 3), added(3, "d")],
                1,
            ),
            (4, vec![], 5),
        ];
        for (dir, expected, left) in rows {
            let mut journal = journal();
            assert_eq!(journal.commit(dir), expected, "directory {dir}");
            assert_eq!(journal.len(), left);
            assert_eq!(journal.commit(dir), []);
        }
    }
}
