//! What a file would lose at power failure: its writes since the last fsync, with what was there
//! before.
//!
//! The file itself always holds what the node sees. Beside it this keeps, for every change that is
//! not durable yet, the bytes it replaced: an append costs nothing but its length, and a large file
//! that was allocated beforehand is not held twice. A power failure puts the old bytes back, the
//! newest change first.

/// What is not durable of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unsynced {
    /// The file's size after a power failure.
    durable_size: u64,
    changes: Vec<Change>,
}

/// One write or truncation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    /// Where it acted.
    offset: u64,
    /// How far: for a truncation, to the end of all files.
    end: u64,
    /// The file's size before it.
    size_before: u64,
    /// The file's size after it.
    size_after: u64,
    /// What was there before it, where that is still what is durable.
    old: Vec<Old>,
    /// An fsync failed on it: no later one will make it durable, as the kernel takes its pages for
    /// clean (fsync(2), "EIO"; known as fsyncgate).
    is_abandoned: bool,
}

/// What was in a place before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Old {
    /// Where.
    pub offset: u64,
    /// What.
    pub content: Content,
}

/// Bytes, or that many zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many zero bytes: there was nothing.
    Zeros(u64),
}

/// How much of what is not durable reaches the disk all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Torn {
    /// So many thousandths of a file's unsynced bytes, in the order in which they were written.
    pub keep_permille: u64,
    /// Within the write that is torn, rounded down to a multiple of this offset in the file.
    pub boundary_bytes: u64,
}

/// What is to be done to the file for it to be as after a power failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reversal {
    /// What to write, in this order.
    pub writes: Vec<Old>,
    /// The size to give it at last.
    pub size: u64,
    /// How many written bytes are lost.
    pub lost_bytes: u64,
    /// How many truncations are.
    pub lost_truncations: u64,
    /// How many bytes of the torn write were kept.
    pub kept_bytes: u64,
}

impl Unsynced {
    /// Nothing, of a file of this size.
    pub fn new(size: u64) -> Self {
        Self {
            durable_size: size,
            changes: Vec::new(),
        }
    }

    pub fn is_empty(&self, size: u64) -> bool {
        self.changes.is_empty() && self.durable_size == size
    }

    /// How many bytes of memory the old content takes, about.
    pub fn held_bytes(&self) -> u64 {
        self.changes.iter().map(Change::held_bytes).sum()
    }

    /// Notes a change and returns how many bytes of memory it takes.
    pub fn noted(&mut self, change: impl FnOnce(&mut Self)) -> u64 {
        let known = self.changes.len();
        change(self);
        self.changes[known..].iter().map(Change::held_bytes).sum()
    }

    /// Bytes were written into a file of `size` bytes. `old` is what was at `offset` before, as far
    /// as the file reached.
    pub fn wrote(&mut self, size: u64, offset: u64, length: u64, old: Vec<u8>) {
        let end = offset + length;
        let mut pieces = Vec::new();
        if !old.is_empty() {
            pieces.push(Old {
                offset,
                content: Content::Bytes(old),
            });
        }
        if end > size {
            pieces.push(Old {
                offset: size,
                content: Content::Zeros(end - size),
            });
        }
        self.changes.push(Change {
            offset,
            end,
            size_before: size,
            size_after: size.max(end),
            old: pieces,
            is_abandoned: false,
        });
    }

    /// The file of `size` bytes was cut, or made longer, to `new_size`. `old` is what was cut off.
    pub fn truncated(&mut self, size: u64, new_size: u64, old: Vec<u8>) {
        let mut pieces = Vec::new();
        if !old.is_empty() {
            pieces.push(Old {
                offset: new_size,
                content: Content::Bytes(old),
            });
        }
        self.changes.push(Change {
            offset: size.min(new_size),
            end: u64::MAX,
            size_before: size,
            size_after: new_size,
            old: pieces,
            is_abandoned: false,
        });
    }

    /// An fsync succeeded on the file, which has `size` bytes: all is durable but what an earlier
    /// fsync failed on and nobody wrote again.
    pub fn commit(&mut self, size: u64) {
        let mut left: Vec<Change> = Vec::new();
        for change in self.changes.drain(..) {
            if change.is_abandoned {
                left.push(change);
            } else {
                supersede(&mut left, change.begin(), change.end);
            }
        }
        // What a cut that failed would bring back beyond the new end is gone for good.
        supersede(&mut left, size, u64::MAX);
        left.retain(|change| !change.old.is_empty());
        self.changes = left;
        self.durable_size = size;
    }

    /// An fsync failed on the file.
    pub fn abandon(&mut self) {
        for change in &mut self.changes {
            change.is_abandoned = true;
        }
    }

    /// What a power failure does to the file.
    pub fn revert(mut self, torn: Option<Torn>) -> Reversal {
        let kept_bytes = torn.map_or(0, |torn| self.keep(torn));
        let mut reversal = Reversal {
            writes: Vec::new(),
            size: self.durable_size,
            lost_bytes: 0,
            lost_truncations: 0,
            kept_bytes,
        };
        for change in self.changes.into_iter().rev() {
            if change.is_truncation() {
                reversal.lost_truncations += 1;
            } else {
                reversal.lost_bytes += change.end - change.offset;
            }
            let clipped = change.old.into_iter().filter_map(|old| {
                let length = old
                    .length()
                    .min(self.durable_size.saturating_sub(old.offset));
                (length > 0).then(|| old.part(0, length))
            });
            reversal.writes.extend(clipped);
        }
        reversal
    }

    /// Makes the first part of what is not durable so, and returns how many bytes of a write that
    /// was torn.
    fn keep(&mut self, torn: Torn) -> u64 {
        let written = |change: &Change| match change.is_truncation() || change.is_abandoned {
            true => 0,
            false => change.end - change.offset,
        };
        let total: u64 = self.changes.iter().map(written).sum();
        let mut budget = (u128::from(total) * u128::from(torn.keep_permille.min(1000)) / 1000)
            .try_into()
            .unwrap_or(u64::MAX);
        let mut left: Vec<Change> = Vec::new();
        let mut changes = std::mem::take(&mut self.changes).into_iter();
        for mut change in changes.by_ref() {
            if change.is_abandoned {
                left.push(change);
                continue;
            }
            let bytes = written(&change);
            if bytes <= budget {
                budget -= bytes;
                supersede(&mut left, change.begin(), change.end);
                self.durable_size = change.size_after;
                continue;
            }
            let boundary = torn.boundary_bytes.max(1);
            let cut = (change.offset + budget) / boundary * boundary;
            let cut = cut.max(change.offset);
            let kept = cut - change.offset;
            if kept > 0 {
                supersede(&mut left, change.begin(), cut);
                self.durable_size = self.durable_size.max(change.size_before.max(cut));
                supersede_one(&mut change, 0, cut);
            }
            change.offset = cut;
            left.push(change);
            left.extend(changes);
            self.changes = left;
            return kept;
        }
        self.changes = left;
        0
    }
}

/// What a change takes besides its old bytes, about.
const CHANGE_BYTES: u64 = 96;

impl Change {
    fn held_bytes(&self) -> u64 {
        let held = |old: &Old| match &old.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Zeros(_) => 0,
        };
        CHANGE_BYTES + self.old.iter().map(held).sum::<u64>()
    }

    /// Where what it determined begins: a write beyond the end also filled the gap with zeros.
    fn begin(&self) -> u64 {
        self.offset.min(self.size_before)
    }

    fn is_truncation(&self) -> bool {
        self.end == u64::MAX
    }
}

impl Old {
    fn length(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Zeros(length) => *length,
        }
    }

    /// The part from `from` to `to`, counted from its own beginning.
    fn part(&self, from: u64, to: u64) -> Old {
        let content = match &self.content {
            // Both are within the length of a vector.
            Content::Bytes(bytes) => Content::Bytes(bytes[from as usize..to as usize].to_vec()),
            Content::Zeros(_) => Content::Zeros(to - from),
        };
        Old {
            offset: self.offset + from,
            content,
        }
    }

    /// What is left of it outside of a range.
    fn without(self, begin: u64, end: u64) -> Vec<Old> {
        let (first, last) = (self.offset, self.offset + self.length());
        if end <= first || last <= begin {
            return vec![self];
        }
        let mut left = Vec::new();
        if first < begin {
            left.push(self.part(0, begin - first));
        }
        if end < last {
            left.push(self.part(end - first, last - first));
        }
        left
    }
}

/// What is durable in this range is newer than these changes.
fn supersede(changes: &mut [Change], begin: u64, end: u64) {
    for change in changes {
        supersede_one(change, begin, end);
    }
}

fn supersede_one(change: &mut Change, begin: u64, end: u64) {
    let old = std::mem::take(&mut change.old).into_iter();
    change.old = old.flat_map(|old| old.without(begin, end)).collect();
}

#[cfg(test)]
mod tests;
