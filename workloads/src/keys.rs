//! The keys in use.

use std::sync::atomic::{AtomicU64, Ordering};

use histories::Value;

/// The keys in use: a few slots, each with a key that is replaced by a fresh one after a number of
/// operations.
///
/// Operations are counted over all clients, not by each client for itself. If each counted its
/// own, a client that hangs at a paused node would come back to keys the others left long ago:
/// alone on a key nothing contradicts it, and a key that should be finished would be open again.
/// With one count it goes on where the others are. The price: which generation of a key an
/// operation meets depends on how the clients interleave; everything else about it is drawn from
/// the seed alone.
#[derive(Debug)]
pub struct KeyRing {
    /// Operations begun on each slot.
    begun: Vec<AtomicU64>,
    ops_per_key: u64,
}

impl KeyRing {
    /// A ring of so many slots (at least one, at most [`SLOTS_MAX`]), whose keys are retired after
    /// so many operations (at least one).
    pub fn new(slots: u64, ops_per_key: u64) -> Self {
        let slots = slots.clamp(1, SLOTS_MAX);
        let begun = (0..slots).map(|_| AtomicU64::new(0)).collect();
        KeyRing {
            begun,
            ops_per_key: ops_per_key.max(1),
        }
    }

    /// How many keys are in use at once.
    pub fn slots(&self) -> u64 {
        self.begun.len() as u64
    }

    /// The key now in use in this slot (taken modulo the number of slots), for one operation.
    pub fn take(&self, slot: u64) -> Value {
        let slot = slot % self.slots();
        // Only a count: no other memory depends on its order.
        let begun = self.begun[slot as usize].fetch_add(1, Ordering::Relaxed);
        key(slot, begun / self.ops_per_key)
    }

    /// Keys that have been used, the newest generation of every slot first, at most so many.
    pub fn used(&self, keys_max: usize) -> Vec<Value> {
        let counts = self.begun.iter().map(|begun| begun.load(Ordering::Relaxed));
        let generations: Vec<u64> = counts
            .map(|begun| begun.div_ceil(self.ops_per_key))
            .collect();
        let mut keys = Vec::new();
        for age in 1..=generations.iter().copied().max().unwrap_or(0) {
            for (slot, generation) in (0..).zip(&generations) {
                if keys.len() == keys_max {
                    return keys;
                }
                if let Some(generation) = generation.checked_sub(age) {
                    keys.push(key(slot, generation));
                }
            }
        }
        keys
    }
}

/// Slots in a ring, at most.
pub const SLOTS_MAX: u64 = 100_000;

fn key(slot: u64, generation: u64) -> Value {
    format!("k{slot}-{generation}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(keys: &[Value]) -> Vec<&str> {
        keys.iter().filter_map(Value::as_text).collect()
    }

    #[test]
    fn a_key_is_replaced_after_its_operations_and_every_key_used_is_known() {
        let ring = KeyRing::new(3, 2);
        assert!(ring.used(10).is_empty());
        let taken: Vec<Value> = [0, 0, 1, 0, 0, 0, 4].map(|slot| ring.take(slot)).into();
        assert_eq!(
            texts(&taken),
            ["k0-0", "k0-0", "k1-0", "k0-1", "k0-1", "k0-2", "k1-0"]
        );
        assert_eq!(texts(&ring.used(10)), ["k0-2", "k1-0", "k0-1", "k0-0"]);
        assert_eq!(texts(&ring.used(3)), ["k0-2", "k1-0", "k0-1"]);
        assert!(ring.used(0).is_empty());
    }

    #[test]
    fn senseless_sizes_are_brought_into_bounds() {
        let ring = KeyRing::new(0, 0);
        assert_eq!(ring.slots(), 1);
        assert_eq!(texts(&[ring.take(7), ring.take(7)]), ["k0-0", "k0-1"]);
        assert_eq!(KeyRing::new(u64::MAX, 1).slots(), SLOTS_MAX);
    }
}
