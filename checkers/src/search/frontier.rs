//! Sets of configurations in which dominated ones are not kept.

use rustc_hash::FxHashMap;

use super::mask::Mask;
use super::supply::{Supply, Used};
use super::transitions::StateId;
use super::{Condition, Reductions};

/// Below this many configurations a scan is faster than a table.
const SCANNED_MAX: usize = 8;
const NO_NEXT: u32 = u32::MAX;

/// What has been placed so far, apart from what every order agrees on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Config<K> {
    /// Slots of the updates under way that are placed.
    pub updates: K,
    /// Slots of the observers under way that are placed.
    pub observers: K,
    pub state: StateId,
    /// Open calls that are placed.
    pub used: Used,
}

impl<K: Mask> Config<K> {
    fn is_alike(&self, other: &Self) -> bool {
        self.state == other.state && self.updates == other.updates
    }

    /// R1 and R3: whatever can be completed from `other` can be completed from this.
    fn dominates(&self, other: &Self, supply: &Supply, reductions: &Reductions) -> bool {
        (self.observers.contains_all(&other.observers)
            || reductions.drops(Condition::ObserversMore))
            && (supply.is_within(self.used, other.used) || reductions.drops(Condition::UsedFewer))
    }
}

/// A set of configurations.
#[derive(Debug)]
pub(crate) struct Frontier<K: Mask> {
    configs: Vec<Config<K>>,
    /// False once another one dominates it.
    live: Vec<bool>,
    /// The next configuration alike in updates and state.
    next: Vec<u32>,
    heads: FxHashMap<(K, StateId), u32>,
    live_count: usize,
    reductions: Reductions,
}

impl<K: Mask> Frontier<K> {
    pub(crate) fn new(reductions: Reductions) -> Self {
        Frontier {
            configs: Vec::new(),
            live: Vec::new(),
            next: Vec::new(),
            heads: FxHashMap::default(),
            live_count: 0,
            reductions,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.configs.clear();
        self.live.clear();
        self.next.clear();
        self.live_count = 0;
        // Clearing a table costs its capacity: do not pay for one crowded moment ever after.
        if self.heads.capacity() > 4096 && self.heads.len() * 16 < self.heads.capacity() {
            self.heads = FxHashMap::default();
        }
        self.heads.clear();
    }

    /// How many have been inserted, dominated ones included.
    pub(crate) fn inserted(&self) -> usize {
        self.configs.len()
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Config<K>> {
        self.live[number].then(|| &self.configs[number])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Config<K>> {
        self.configs
            .iter()
            .zip(&self.live)
            .filter_map(|(config, &live)| live.then_some(config))
    }

    pub(crate) fn len(&self) -> usize {
        self.live_count
    }

    /// The configuration, when there is exactly one.
    pub(crate) fn single_mut(&mut self) -> Option<&mut Config<K>> {
        match &mut self.configs[..] {
            [config] if self.live[0] => Some(config),
            _ => None,
        }
    }

    /// Adds it, unless one that is in dominates it; drops those that it dominates.
    pub(crate) fn insert(&mut self, config: Config<K>, supply: &Supply) {
        let number = self.configs.len() as u32;
        let mut next = NO_NEXT;
        if self.configs.len() <= SCANNED_MAX {
            for other in 0..self.configs.len() {
                if self.configs[other].is_alike(&config) && !self.compare(other, &config, supply) {
                    return;
                }
            }
            if self.configs.len() == SCANNED_MAX {
                self.build_heads();
            }
        }
        if self.configs.len() >= SCANNED_MAX {
            let key = (config.updates.clone(), config.state);
            let head = self.heads.get(&key).copied().unwrap_or(NO_NEXT);
            let mut other = head;
            while other != NO_NEXT {
                if !self.compare(other as usize, &config, supply) {
                    return;
                }
                other = self.next[other as usize];
            }
            self.heads.insert(key, number);
            next = head;
        }
        self.configs.push(config);
        self.live.push(true);
        self.next.push(next);
        self.live_count += 1;
    }

    /// Whether `config` is still wanted beside `other`, which dies if it is dominated.
    fn compare(&mut self, other: usize, config: &Config<K>, supply: &Supply) -> bool {
        if !self.live[other] {
            return true;
        }
        if !self.reductions.dominance {
            return self.configs[other] != *config;
        }
        if self.configs[other].dominates(config, supply, &self.reductions) {
            return false;
        }
        if config.dominates(&self.configs[other], supply, &self.reductions) {
            self.live[other] = false;
            self.live_count -= 1;
        }
        true
    }

    /// Leaves only so many, those of the least keys.
    pub(crate) fn keep_least<T: Ord>(
        &mut self,
        count: usize,
        supply: &Supply,
        key: impl Fn(&Config<K>) -> T,
    ) {
        let mut left: Vec<Config<K>> = self.iter().cloned().collect();
        left.sort_by_cached_key(key);
        left.truncate(count);
        self.clear();
        for config in left {
            self.insert(config, supply);
        }
    }

    fn build_heads(&mut self) {
        for number in 0..self.configs.len() {
            let config = &self.configs[number];
            let key = (config.updates.clone(), config.state);
            let before = self.heads.insert(key, number as u32);
            self.next[number] = before.unwrap_or(NO_NEXT);
        }
    }

    /// Changes the observers of every configuration; which never makes two alike that were not,
    /// for only observers legal in the state, the same for all alike, are added.
    pub(crate) fn add_observer(&mut self, slot: u32, mut legal: impl FnMut(StateId) -> bool) {
        for config in &mut self.configs {
            if legal(config.state) {
                config.observers.add(slot);
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let heap = self
            .configs
            .first()
            .map_or(0, |config| config.updates.heap_bytes());
        self.configs.capacity() * (size_of::<Config<K>>() + 2 * heap + 5)
            + self.heads.capacity() * (size_of::<(K, StateId)>() + heap + 5)
    }
}
