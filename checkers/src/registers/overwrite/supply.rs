//! Open calls: how many of each class have begun, and how many a configuration has used.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::registers::Access;

/// The number by which an interned set of used calls is known.
pub(super) type Used = u32;

/// The set in which nothing is used.
pub(super) const NONE_USED: Used = 0;

/// No class.
pub(super) const NO_CLASS: u32 = u32::MAX;

/// Open calls that do the same.
#[derive(Debug)]
pub(super) struct Class {
    /// A write or a cas.
    pub access: Access<u32>,
    /// The moments at which they began and their call numbers, without those that every
    /// configuration has used.
    begun: VecDeque<(u64, u32)>,
    /// The next class of cas from the same value, and to the same value.
    pub next_from: u32,
    pub next_to: u32,
}

/// Classes of open calls, and interned counts of used ones: pairs of class and count, sorted,
/// counts above zero. The used ones of a class are always those that began first.
#[derive(Debug)]
pub(super) struct Supply {
    classes: Vec<Class>,
    sets: Vec<Box<[(u32, u32)]>>,
    numbers: FxHashMap<Box<[(u32, u32)]>, Used>,
    /// How many classes are cas.
    cas_classes: usize,
    /// The values that both an open write leaves and an open cas finds.
    pub joints: Vec<u32>,
    /// By how many sets it is time to [`compact`](Supply::compact).
    sets_wanted: usize,
    bytes: usize,
}

impl Default for Supply {
    fn default() -> Self {
        Supply::new()
    }
}

/// So many sets are kept without looking for ones no longer in use.
const SETS_MIN: usize = 64;

impl Supply {
    pub(super) fn new() -> Self {
        let empty: Box<[(u32, u32)]> = Box::default();
        Supply {
            classes: Vec::new(),
            sets: vec![empty.clone()],
            numbers: FxHashMap::from_iter([(empty, NONE_USED)]),
            cas_classes: 0,
            joints: Vec::new(),
            sets_wanted: SETS_MIN,
            bytes: 0,
        }
    }

    pub(super) fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Whether there are classes of cas.
    pub(super) fn has_cas(&self) -> bool {
        self.cas_classes > 0
    }

    /// Adds an empty class, and returns its number.
    pub(super) fn add_class(&mut self, access: Access<u32>) -> u32 {
        self.cas_classes += usize::from(matches!(access, Access::Cas(..)));
        self.classes.push(Class {
            access,
            begun: VecDeque::new(),
            next_from: NO_CLASS,
            next_to: NO_CLASS,
        });
        self.classes.len() as u32 - 1
    }

    pub(super) fn set_links(&mut self, class: u32, next_from: u32, next_to: u32) {
        let class = &mut self.classes[class as usize];
        (class.next_from, class.next_to) = (next_from, next_to);
    }

    /// A call of the class begins.
    pub(super) fn begin(&mut self, class: u32, moment: u64, call: u32) {
        self.classes[class as usize].begun.push_back((moment, call));
        self.bytes += 16;
    }

    /// Takes back the last [`begin`](Supply::begin) of the class.
    pub(super) fn unbegin(&mut self, class: u32) {
        self.classes[class as usize].begun.pop_back();
        self.bytes -= 16;
    }

    /// How many calls of the class are used.
    #[inline]
    pub(super) fn count(&self, used: Used, class: u32) -> u32 {
        if used == NONE_USED {
            return 0;
        }
        let set = &self.sets[used as usize];
        set.binary_search_by_key(&class, |pair| pair.0)
            .map_or(0, |at| set[at].1)
    }

    /// How many calls are used.
    pub(super) fn total(&self, used: Used) -> u32 {
        self.sets[used as usize].iter().map(|pair| pair.1).sum()
    }

    /// The call of the class that is used next, if there is one, and when it began.
    #[inline]
    pub(super) fn next(&self, used: Used, class: u32) -> Option<(u64, u32)> {
        let begun = &self.classes[class as usize].begun;
        begun.get(self.count(used, class) as usize).copied()
    }

    /// The set with one more call of the class, and without the classes that are forgotten.
    pub(super) fn plus_one(
        &mut self,
        used: Used,
        class: u32,
        forget: impl Fn(&Supply, u32) -> bool,
    ) -> Used {
        let mut set: Vec<(u32, u32)> = Vec::with_capacity(self.sets[used as usize].len() + 1);
        for &pair in &*self.sets[used as usize] {
            if pair.0 == class || !forget(self, pair.0) {
                set.push(pair);
            }
        }
        match set.binary_search_by_key(&class, |pair| pair.0) {
            Ok(at) => set[at].1 += 1,
            Err(at) => set.insert(at, (class, 1)),
        }
        self.intern(set.into())
    }

    /// Whether `a` used no more than `b` of any class.
    #[inline]
    pub(super) fn is_within(&self, a: Used, b: Used) -> bool {
        a == b || a == NONE_USED || (b != NONE_USED && self.counts_are_within(a, b))
    }

    fn counts_are_within(&self, a: Used, b: Used) -> bool {
        let mut more = self.sets[b as usize].iter();
        self.sets[a as usize].iter().all(|&(class, n)| {
            more.find(|pair| pair.0 >= class)
                .is_some_and(|&(other, m)| other == class && m >= n)
        })
    }

    fn intern(&mut self, set: Box<[(u32, u32)]>) -> Used {
        if let Some(&number) = self.numbers.get(&set) {
            return number;
        }
        let number = self.sets.len() as Used;
        self.bytes += 2 * set.len() * 8 + 64;
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }

    /// Whether enough sets were made since the last time that a look for unused ones pays.
    pub(super) fn wants_compaction(&self) -> bool {
        self.sets.len() > self.sets_wanted
    }

    /// Forgets the sets not in `alive`, and of each class the calls that all of `alive` use;
    /// classes without calls go. Returns for each set of `alive` its new number. The numbers of
    /// classes change, and with them the links between them: whoever knows some makes them anew.
    pub(super) fn compact(&mut self, alive: &[Used]) -> Vec<Used> {
        let common = self.common(alive);
        let mut numbers = vec![NO_CLASS; self.classes.len()];
        let mut left = Supply::new();
        for (number, mut class) in std::mem::take(&mut self.classes).into_iter().enumerate() {
            let gone = common.get(&(number as u32)).copied().unwrap_or(0);
            class.begun.drain(..gone as usize);
            if !class.begun.is_empty() {
                numbers[number] = left.add_class(class.access);
                left.bytes += class.begun.len() * 16;
                left.classes[numbers[number] as usize].begun = class.begun;
            }
        }
        let moved = alive.iter().map(|&used| {
            let set = self.sets[used as usize].iter().map(|&(class, n)| {
                let gone = common.get(&class).copied().unwrap_or(0);
                (numbers[class as usize], n - gone)
            });
            left.intern(set.filter(|&(_, n)| n > 0).collect())
        });
        let moved = moved.collect();
        left.sets_wanted = (left.sets.len() * 2).max(SETS_MIN);
        *self = left;
        moved
    }

    /// For classes of which all these sets use some calls, how many.
    fn common(&self, alive: &[Used]) -> FxHashMap<u32, u32> {
        let mut sets = alive.iter().map(|&used| &self.sets[used as usize]);
        let mut common: FxHashMap<u32, u32> = match sets.next() {
            Some(set) => set.iter().copied().collect(),
            None => FxHashMap::default(),
        };
        for set in sets {
            common.retain(|class, least| {
                let at = set.binary_search_by_key(class, |pair| pair.0);
                *least = at.map_or(0, |at| set[at].1.min(*least));
                *least > 0
            });
        }
        common
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.classes.len() * size_of::<Class>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supply_of_two_classes() -> (Supply, u32, u32) {
        let mut supply = Supply::new();
        let a = supply.add_class(Access::Write(7));
        let b = supply.add_class(Access::Write(8));
        for moment in 0..3 {
            supply.begin(a, moment * 2, moment as u32 * 2);
            supply.begin(b, moment * 2 + 1, moment as u32 * 2 + 1);
        }
        (supply, a, b)
    }

    #[test]
    fn counts_are_interned_and_compared() {
        let (mut supply, a, b) = supply_of_two_classes();
        let one_a = supply.plus_one(NONE_USED, a, |_, _| false);
        let one_b = supply.plus_one(NONE_USED, b, |_, _| false);
        let both = supply.plus_one(one_a, b, |_, _| false);
        assert_eq!(supply.plus_one(one_b, a, |_, _| false), both);
        assert_eq!((supply.count(both, a), supply.total(both)), (1, 2));
        assert!(supply.is_within(one_a, both) && supply.is_within(NONE_USED, one_a));
        assert!(!supply.is_within(both, one_a) && !supply.is_within(one_a, one_b));
        assert_eq!(supply.next(both, a), Some((2, 2)));
        assert_eq!(supply.plus_one(one_a, b, |_, class| class == a), one_b);
    }

    #[test]
    fn what_every_set_uses_is_taken_out() {
        let (mut supply, a, b) = supply_of_two_classes();
        let mut used = NONE_USED;
        for _ in 0..3 {
            used = supply.plus_one(used, a, |_, _| false);
        }
        let more = supply.plus_one(used, b, |_, _| false);
        let moved = supply.compact(&[used, more]);
        assert_eq!(moved[0], NONE_USED);
        assert_eq!(supply.classes().len(), 1);
        assert_eq!(supply.classes()[0].access, Access::Write(8));
        assert_eq!(supply.next(moved[0], 0), Some((1, 1)));
        assert_eq!(supply.next(moved[1], 0), Some((3, 3)));
    }
}
