//! How many open operations (of unknown outcome) a configuration has used, per class.

use rustc_hash::FxHashMap;

/// The number by which an interned set of used operations is known.
pub(crate) type Used = u32;

/// The set in which nothing was used.
pub(crate) const NONE_USED: Used = 0;

/// Interned counts of used operations: sorted pairs of class and count, count above zero.
#[derive(Debug)]
pub(crate) struct Supply {
    sets: Vec<Box<[(u32, u32)]>>,
    numbers: FxHashMap<Box<[(u32, u32)]>, Used>,
    bytes: usize,
}

impl Supply {
    pub(crate) fn new() -> Self {
        let empty: Box<[(u32, u32)]> = Box::default();
        let numbers = FxHashMap::from_iter([(empty.clone(), NONE_USED)]);
        Supply {
            sets: vec![empty],
            numbers,
            bytes: 0,
        }
    }

    /// How many operations of the class were used.
    pub(crate) fn count(&self, used: Used, class: u32) -> u32 {
        let set = &self.sets[used as usize];
        set.binary_search_by_key(&class, |pair| pair.0)
            .map_or(0, |at| set[at].1)
    }

    /// The set with one more operation of the class.
    pub(crate) fn plus_one(&mut self, used: Used, class: u32) -> Used {
        let mut set = self.sets[used as usize].to_vec();
        match set.binary_search_by_key(&class, |pair| pair.0) {
            Ok(at) => set[at].1 += 1,
            Err(at) => set.insert(at, (class, 1)),
        }
        self.intern(set.into())
    }

    /// The number of a set: sorted pairs of class and count, count above zero.
    pub(crate) fn intern(&mut self, set: Box<[(u32, u32)]>) -> Used {
        if let Some(&number) = self.numbers.get(&set) {
            return number;
        }
        let number = self.sets.len() as Used;
        self.bytes += 2 * set.len() * 8 + 64;
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }

    /// How many operations were used.
    pub(crate) fn total(&self, used: Used) -> u64 {
        self.pairs(used).map(|(_, count)| u64::from(count)).sum()
    }

    /// The classes of which operations were used, and how many.
    pub(crate) fn pairs(&self, used: Used) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.sets[used as usize].iter().copied()
    }

    /// How many sets are known.
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether `a` used no more than `b` of any class.
    pub(crate) fn is_within(&self, a: Used, b: Used) -> bool {
        a == b
            || a == NONE_USED
            || self.sets[a as usize]
                .iter()
                .all(|&(class, n)| n <= self.count(b, class))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_interned_and_compared() {
        let mut supply = Supply::new();
        let a = supply.plus_one(NONE_USED, 3);
        let ab = supply.plus_one(a, 1);
        let b = supply.plus_one(NONE_USED, 1);
        assert_eq!(supply.plus_one(b, 3), ab);
        assert_eq!(supply.count(ab, 3), 1);
        assert_eq!(supply.count(ab, 2), 0);
        assert!(supply.is_within(a, ab) && supply.is_within(NONE_USED, a));
        assert!(!supply.is_within(ab, a) && !supply.is_within(a, b));
    }
}
