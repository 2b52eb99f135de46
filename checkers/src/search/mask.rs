//! Sets of slots, one bit each: of 64, of 256, or of any number.

use std::fmt::Debug;
use std::hash::Hash;

/// A set of slots below a width fixed when it is made.
pub(crate) trait Mask: Clone + Eq + Hash + Debug + Send {
    /// The empty set, for slots below `width`.
    fn empty(width: usize) -> Self;
    fn words(&self) -> &[u64];
    fn words_mut(&mut self) -> &mut [u64];
    /// The set of these slots, all of them below `width`.
    fn from_words(words: &[u64], width: usize) -> Self {
        let mut mask = Self::empty(width);
        for (mine, word) in mask.words_mut().iter_mut().zip(words) {
            *mine = *word;
        }
        mask
    }
    /// Memory besides the mask itself.
    fn heap_bytes(&self) -> usize {
        0
    }

    #[inline]
    fn has(&self, slot: u32) -> bool {
        let word = self.words().get(slot as usize / 64).copied().unwrap_or(0);
        word >> (slot % 64) & 1 == 1
    }

    #[inline]
    fn add(&mut self, slot: u32) {
        if let Some(word) = self.words_mut().get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    #[inline]
    fn remove(&mut self, slot: u32) {
        if let Some(word) = self.words_mut().get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.words().iter().all(|&word| word == 0)
    }

    /// How many slots are in it.
    fn len(&self) -> u32 {
        self.words().iter().map(|word| word.count_ones()).sum()
    }

    /// The slots that are in both.
    #[inline]
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (word, other) in both.words_mut().iter_mut().zip(other.words()) {
            *word &= other;
        }
        both
    }

    /// The slots that are in it and not in `other`.
    #[inline]
    fn without(&self, other: &Self) -> Self {
        let mut left = self.clone();
        for (word, other) in left.words_mut().iter_mut().zip(other.words()) {
            *word &= !other;
        }
        left
    }

    #[inline]
    fn add_all(&mut self, other: &Self) {
        for (word, other) in self.words_mut().iter_mut().zip(other.words()) {
            *word |= other;
        }
    }

    /// The slots in it, in ascending order.
    #[inline]
    fn slots(&self) -> Slots<'_> {
        let words = self.words();
        Slots {
            words,
            at: 0,
            rest: words.first().copied().unwrap_or(0),
        }
    }

    /// Whether every slot of `other` is in it.
    #[inline]
    fn contains_all(&self, other: &Self) -> bool {
        self.words()
            .iter()
            .zip(other.words())
            .all(|(mine, other)| other & !mine == 0)
    }
}

/// The slots of a mask, one after another.
#[derive(Debug)]
pub(crate) struct Slots<'m> {
    words: &'m [u64],
    at: usize,
    /// What is left of the word at `at`.
    rest: u64,
}

impl Iterator for Slots<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        while self.rest == 0 {
            self.at += 1;
            self.rest = *self.words.get(self.at)?;
        }
        let slot = self.at as u32 * 64 + self.rest.trailing_zeros();
        self.rest &= self.rest - 1;
        Some(slot)
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
        assert!(!mask.is_empty() && M::empty(width).is_empty());
        let slots: Vec<u32> = mask.slots().collect();
        assert_eq!(slots, [0, last / 2, last]);
        assert_eq!(mask.len(), 3);
        assert_eq!(mask.and(&fewer), fewer);
        assert_eq!(mask.without(&fewer).slots().collect::<Vec<u32>>(), [last]);
        fewer.add_all(&mask);
        assert_eq!(fewer, mask);
    }

    #[test]
    fn masks_of_every_kind_are_sets() {
        behaves_as_a_set::<Fixed<1>>(64);
        behaves_as_a_set::<Fixed<4>>(256);
        behaves_as_a_set::<Spilled>(65);
        behaves_as_a_set::<Spilled>(1000);
    }
}
