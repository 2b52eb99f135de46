//! Interning: a number for each different name, so that names are compared as numbers.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

/// How many different names or values one history can hold.
pub(crate) const NUMBERS_MAX: usize = u32::MAX as usize - 1;

/// A name in a history: of an operation, a node, or an error. Two events of one history have the
/// same symbol exactly when they have the same name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub(crate) u32);

impl Symbol {
    /// Its number: from 0, in the order in which the names came first.
    #[inline]
    pub fn number(self) -> usize {
        self.0 as usize
    }
}

/// The names of a history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Symbols {
    names: Vec<Arc<str>>,
    numbers: Numbers,
}

impl Symbols {
    /// The symbol of a name, which it gets now if it has none.
    pub fn intern(&mut self, name: &str) -> Symbol {
        self.intern_with(name, || name.into())
    }

    /// The same, without a copy of a name that is shared already.
    pub fn intern_shared(&mut self, name: &Arc<str>) -> Symbol {
        self.intern_with(name, || name.clone())
    }

    /// The symbol of a name that has one.
    pub fn find(&self, name: &str) -> Option<Symbol> {
        let same = |number: u32| *self.names[number as usize] == *name;
        self.numbers.find(hash_text(name), same).map(Symbol)
    }

    /// The name of a symbol of this history.
    #[inline]
    pub fn name(&self, symbol: Symbol) -> &Arc<str> {
        &self.names[symbol.number()]
    }

    /// All names, by number.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    fn intern_with(&mut self, name: &str, shared: impl FnOnce() -> Arc<str>) -> Symbol {
        let hash = hash_text(name);
        let same = |number: u32| *self.names[number as usize] == *name;
        if let Some(number) = self.numbers.find(hash, same) {
            return Symbol(number);
        }
        let number = self.numbers.add(hash);
        self.names.push(shared());
        Symbol(number)
    }
}

/// Numbers by hash: the things that are numbered are kept elsewhere, in order of their numbers.
///
/// Open addressing with linear probing, at most half full; a slot has the number plus one (0 is
/// free) and the hash, so that growing looks at no thing again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    slots: Vec<(u32, u32)>,
    len: usize,
}

impl Numbers {
    /// The number that has this hash and is `same`.
    #[inline]
    pub fn find(&self, hash: u32, same: impl Fn(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                (0, _) => return None,
                (number, other) if other == hash && same(number - 1) => return Some(number - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Gives the next number to a thing that has none.
    pub fn add(&mut self, hash: u32) -> u32 {
        assert!(
            self.len < NUMBERS_MAX,
            "more than 2^32 different names do not fit into memory"
        );
        if self.len * 2 >= self.slots.len() {
            let doubled = (self.slots.len() * 2).max(16);
            let before = std::mem::replace(&mut self.slots, vec![(0, 0); doubled]);
            for slot in before.into_iter().filter(|(number, _)| *number != 0) {
                self.put(slot);
            }
        }
        let number = self.len as u32;
        self.put((number + 1, hash));
        self.len += 1;
        number
    }

    /// The bytes it takes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<(u32, u32)>()
    }

    fn put(&mut self, slot: (u32, u32)) {
        let mask = self.slots.len() - 1;
        let mut at = slot.1 as usize & mask;
        while self.slots[at].0 != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }
}

/// The hash of a text.
#[inline]
pub(crate) fn hash_text(text: &str) -> u32 {
    let mut hasher = Folded::new();
    hasher.write(text.as_bytes());
    hasher.finish() as u32
}

/// A hash by folded multiplication: fast on short texts, and drawn anew for each process, so that
/// no file can be made to fill one slot.
pub(crate) struct Folded(u64);

impl Folded {
    #[inline]
    pub fn new() -> Self {
        static SEED: OnceLock<u64> = OnceLock::new();
        Folded(*SEED.get_or_init(|| RandomState::new().build_hasher().finish()))
    }

    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for Folded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.fold(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        // The length makes a text another than the same text with zeroes after it.
        self.fold(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.fold(u64::from(byte));
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.fold(word);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.fold(word as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The high half is the better mixed.
        self.0 ^ (self.0 >> 32)
    }
}
