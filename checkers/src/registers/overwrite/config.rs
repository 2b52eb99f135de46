//! Configurations, and sets of them in which dominated ones are not kept.

use super::rules::{Condition, Rules};
use super::supply::{Supply, Used};
use crate::search::Mask;

/// The state that nobody will ever tell from another (R5).
pub(super) const DEAD: u32 = u32::MAX;

/// Marks a configuration that another one replaced.
const REPLACED: Used = Used::MAX;
/// Up to this many configurations a scan is faster than a table.
const SCANNED_MAX: usize = 12;
const NO_NEXT: u32 = u32::MAX;

/// One way to have explained the history so far. It stands for many: every write under way that
/// is not placed and began before `cover` may be declared to have happened just before the write
/// placed then, as may every observer that such a write serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Config<M, K> {
    /// Slots of the calls under way that are placed.
    pub placed: M,
    /// The moment at which the last write was placed; 0 if there was none.
    pub cover: u64,
    /// The value, or [`DEAD`].
    pub state: u32,
    /// Open calls that are placed.
    pub used: Used,
    /// How it came about.
    pub mark: K,
}

/// A set of configurations. Of those with the same calls placed and the same state it keeps the
/// ones that are not dominated: a later cover and fewer used open calls are better (R3).
#[derive(Debug)]
pub(super) struct ConfigSet<M, K> {
    configs: Vec<Config<M, K>>,
    /// The next configuration with the same calls placed and the same state.
    next: Vec<u32>,
    /// Generation and first configuration; empty in every other generation.
    heads: Vec<(u32, u32)>,
    generation: u32,
    /// Whether `heads` is in use.
    hashed: bool,
}

impl<M: Mask, K: Copy> ConfigSet<M, K> {
    pub(super) fn new() -> Self {
        ConfigSet {
            configs: Vec::new(),
            next: Vec::new(),
            heads: Vec::new(),
            generation: 0,
            hashed: false,
        }
    }

    pub(super) fn clear(&mut self) {
        self.configs.clear();
        self.next.clear();
        self.hashed = false;
    }

    /// How many were put in since it was cleared, replaced ones included.
    pub(super) fn inserted(&self) -> usize {
        self.configs.len()
    }

    /// The configuration put in as the `number`th, unless it was replaced.
    pub(super) fn get(&self, number: usize) -> Option<&Config<M, K>> {
        self.configs
            .get(number)
            .filter(|config| config.used != REPLACED)
    }

    /// Puts one in, unless one that is at least as good is there.
    #[inline]
    pub(super) fn insert(&mut self, config: Config<M, K>, supply: &Supply, rules: &Rules) {
        if !self.hashed {
            for at in 0..self.configs.len() {
                if self.settle(at, &config, supply, rules) {
                    return;
                }
            }
            self.configs.push(config);
            if self.configs.len() > SCANNED_MAX {
                self.index();
            }
            return;
        }
        let head = self.head(&config);
        let mut at = match self.heads[head] {
            (generation, first) if generation == self.generation => first,
            _ => NO_NEXT,
        };
        let first = at;
        while at != NO_NEXT {
            if self.settle(at as usize, &config, supply, rules) {
                return;
            }
            at = self.next[at as usize];
        }
        self.heads[head] = (self.generation, self.configs.len() as u32);
        self.configs.push(config);
        self.next.push(first);
        if self.configs.len() * 2 > self.heads.len() {
            self.index();
        }
    }

    /// The configurations left, in exchange for a buffer.
    pub(super) fn swap(&mut self, other: &mut Vec<Config<M, K>>) {
        self.configs.retain(|config| config.used != REPLACED);
        std::mem::swap(&mut self.configs, other);
        self.clear();
    }

    pub(super) fn bytes(&self) -> usize {
        let heap: usize = match self.configs.first() {
            Some(config) => config.placed.heap_bytes() * self.configs.len(),
            None => 0,
        };
        self.configs.capacity() * size_of::<Config<M, K>>()
            + heap
            + self.next.capacity() * 4
            + self.heads.capacity() * 8
    }

    /// Compares with the configuration at a place: true when that is at least as good, and marks
    /// it when it is worse.
    #[inline]
    fn settle(&mut self, at: usize, config: &Config<M, K>, supply: &Supply, rules: &Rules) -> bool {
        let old = &mut self.configs[at];
        if old.state != config.state || old.placed != config.placed || old.used == REPLACED {
            return false;
        }
        let later = |a: u64, b: u64| a >= b || rules.drops(Condition::CoverLater);
        let fewer = |a: Used, b: Used| supply.is_within(a, b) || rules.drops(Condition::UsedFewer);
        if later(old.cover, config.cover) && fewer(old.used, config.used) {
            return true;
        }
        if config.cover >= old.cover && supply.is_within(config.used, old.used) {
            old.used = REPLACED;
        }
        false
    }

    /// Makes the table anew.
    fn index(&mut self) {
        self.hashed = true;
        let wanted = (self.configs.len() * 4).next_power_of_two();
        if self.heads.len() < wanted {
            self.heads = vec![(0, 0); wanted];
            self.generation = 0;
        }
        if self.generation == u32::MAX {
            self.heads.fill((0, 0));
            self.generation = 0;
        }
        self.generation += 1;
        self.next.clear();
        for at in 0..self.configs.len() {
            let head = self.head(&self.configs[at]);
            let first = match self.heads[head] {
                (generation, first) if generation == self.generation => first,
                _ => NO_NEXT,
            };
            self.next.push(first);
            self.heads[head] = (self.generation, at as u32);
        }
    }

    /// Where in the table the configuration's list begins: an entry of its own, or the first that
    /// is empty.
    fn head(&self, config: &Config<M, K>) -> usize {
        let last = self.heads.len() - 1;
        let mut at = hash(config) as usize & last;
        loop {
            let (generation, first) = self.heads[at];
            if generation != self.generation {
                return at;
            }
            let other = &self.configs[first as usize];
            if other.state == config.state && other.placed == config.placed {
                return at;
            }
            at = (at + 1) & last;
        }
    }
}

fn hash<M: Mask, K>(config: &Config<M, K>) -> u64 {
    const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;
    let mut sum = u64::from(config.state).wrapping_mul(FACTOR);
    for &word in config.placed.words() {
        sum = (sum.rotate_left(29) ^ word).wrapping_mul(FACTOR);
    }
    sum ^ sum >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Fixed;

    fn config(slot: u32, state: u32, cover: u64, used: Used) -> Config<Fixed<1>, ()> {
        let mut placed = Fixed::empty(64);
        placed.add(slot);
        Config {
            placed,
            cover,
            state,
            used,
            mark: (),
        }
    }

    /// Small and large sets keep the same: for each calls and state the best.
    #[test]
    fn only_the_best_of_a_kind_is_kept() {
        let rules = Rules {
            look_ahead: true,
            dooms: true,
            dropped: None,
        };
        let mut supply = Supply::new();
        let one = supply.plus_one(0, 3, |_, _| false);
        for kinds in [2, 10, 500] {
            let mut set = ConfigSet::new();
            for round in 0..3 {
                for kind in 0..kinds {
                    let (slot, state) = (kind % 64, kind / 64);
                    set.insert(config(slot, state, round, 0), &supply, &rules);
                    set.insert(config(slot, state, round, one), &supply, &rules);
                    // Better cover, worse use: kept beside the other.
                    set.insert(config(slot, state, 9, one), &supply, &rules);
                }
            }
            let mut kept = Vec::new();
            set.swap(&mut kept);
            assert_eq!(kept.len() as u32, kinds * 2);
            for config in kept {
                assert_eq!(config.cover, if config.used == one { 9 } else { 2 });
            }
            assert_eq!(set.inserted(), 0);
        }
    }
}
