//! Sets of slots, one bit each: of 64, of 256, or of any number.

use std::fmt::Debug;
use std::hash::Hash;

/// A set of slots below a width fixed when it is made.
pub(crate) trait Mask: Clone + Eq + Hash + Debug + Send {
    /// The empty set, for slots below `width`.
    fn empty(width: usize) -> Self;
    fn words(&self) -> &[u64];
    fn words_mut(&mut self) -> &mut [u64];
    /// Memory besides the mask itself.
    fn heap_bytes(&self) -> usize {
        0
    }

    fn has(&self, slot: u32) -> bool {
        let word = self.words().get(slot as usize / 64).copied().unwrap_or(0);
        word >> (slot % 64) & 1 == 1
    }

    fn add(&mut self, slot: u32) {
        if let Some(word) = self.words_mut().get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    fn remove(&mut self, slot: u32) {
        if let Some(word) = self.words_mut().get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    /// Whether every slot of `other` is in it.
    fn contains_all(&self, other: &Self) -> bool {
        self.words()
            .iter()
            .zip(other.words())
            .all(|(mine, other)| other & !mine == 0)
    }
}

/// Slots below 64 times `N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fixed<const N: usize>([u64; N]);

impl<const N: usize> Mask for Fixed<N> {
    fn empty(_width: usize) -> Self {
        Fixed([0; N])
    }

    fn words(&self) -> &[u64] {
        &self.0
    }

    fn words_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

/// Any number of slots, on the heap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spilled(Box<[u64]>);

impl Mask for Spilled {
    fn empty(width: usize) -> Self {
        Spilled(vec![0; width.div_ceil(64)].into())
    }

    fn words(&self) -> &[u64] {
        &self.0
    }

    fn words_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }

    fn heap_bytes(&self) -> usize {
        self.0.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaves_as_a_set<M: Mask>(width: usize) {
        let mut mask = M::empty(width);
        let last = width as u32 - 1;
        for slot in [0, last / 2, last] {
            assert!(!mask.has(slot));
            mask.add(slot);
            assert!(mask.has(slot));
        }
        let mut fewer = mask.clone();
        fewer.remove(last);
        assert!(!fewer.has(last));
        assert!(mask.contains_all(&fewer) && !fewer.contains_all(&mask));
    }

    #[test]
    fn masks_of_every_kind_are_sets() {
        behaves_as_a_set::<Fixed<1>>(64);
        behaves_as_a_set::<Fixed<4>>(256);
        behaves_as_a_set::<Spilled>(65);
        behaves_as_a_set::<Spilled>(1000);
    }
}
