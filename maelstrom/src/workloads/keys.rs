//! The keys in use: whole numbers, a few at once, each replaced by a fresh one after some uses.

use std::sync::atomic::{AtomicU64, Ordering};

/// The keys in use, shared by all clients. Uses are counted over all of them, so that a client that
/// hangs does not come back to keys that nobody else uses any more.
#[derive(Debug)]
pub(super) struct Keys {
    uses: Vec<AtomicU64>,
    uses_per_key: u64,
}

/// Keys in use at once, at most.
const SLOTS_MAX: u64 = 10_000;

impl Keys {
    pub fn new(slots: u64, uses_per_key: u64) -> Self {
        let slots = slots.clamp(1, SLOTS_MAX);
        Keys {
            uses: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            uses_per_key: uses_per_key.max(1),
        }
    }

    pub fn slots(&self) -> u64 {
        self.uses.len() as u64
    }

    /// The key now in use in a slot, and how often it was used before this.
    pub fn take(&self, slot: u64) -> (i64, u64) {
        let uses = self.slot(slot).fetch_add(1, Ordering::Relaxed);
        (self.key(slot, uses), uses % self.uses_per_key)
    }

    /// The key now in use in a slot, without using it.
    pub fn look(&self, slot: u64) -> i64 {
        self.key(slot, self.slot(slot).load(Ordering::Relaxed))
    }

    /// Every key that was used, the newest first, at most so many.
    pub fn used(&self, keys_max: usize) -> Vec<i64> {
        let mut keys: Vec<i64> = Vec::new();
        for slot in 0..self.slots() {
            let generations = self
                .slot(slot)
                .load(Ordering::Relaxed)
                .div_ceil(self.uses_per_key);
            keys.extend(
                (0..generations).map(|generation| self.key(slot, generation * self.uses_per_key)),
            );
        }
        keys.sort_unstable_by_key(|key| std::cmp::Reverse(*key));
        keys.truncate(keys_max);
        keys
    }

    fn slot(&self, slot: u64) -> &AtomicU64 {
        &self.uses[(slot % self.slots()) as usize]
    }

    fn key(&self, slot: u64, uses: u64) -> i64 {
        let key = uses / self.uses_per_key * self.slots() + slot % self.slots();
        key.cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_replaced_after_its_uses() {
        let keys = Keys::new(3, 2);
        assert_eq!(keys.used(9), Vec::<i64>::new());
        let taken: Vec<(i64, u64)> = [0, 0, 1, 0, 4].map(|slot| keys.take(slot)).into();
        assert_eq!(taken, [(0, 0), (0, 1), (1, 0), (3, 0), (1, 1)]);
        assert_eq!((keys.look(0), keys.look(1), keys.look(2)), (3, 4, 2));
        assert_eq!(keys.used(9), [3, 1, 0]);
        assert_eq!(keys.used(2), [3, 1]);
    }
}
