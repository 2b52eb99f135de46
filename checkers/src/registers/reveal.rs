//! States that show how they came about: sequences to which something is appended.
//!
//! Whoever finds the state `abc`, where `c` was appended once and `abc` was never put as a whole,
//! knows that this append found `ab`. So it is a compare-and-set from `ab` to `abc`, and somebody
//! certainly found `ab` as well. [`view`] follows this back from everything that was found, and
//! says what each operation does to a register whose values are the states, as numbers.
//!
//! It is exact or nothing. A state is *required* if a completed operation found it, or an append
//! or an open swap that has to have happened because of what is required. In every order of the
//! history, then, every required state is there at some time, so one of its *sources* left it: the
//! start, an operation that left exactly it, or an append of its last symbols that found the rest.
//! The view is given only if each required state has either no append among its sources, or just
//! one source, an append. (An append that leaves nothing out of reach counts as a source, so what
//! is no source certainly did not leave the state.) Then
//!
//! - such an append found the rest in every order: a compare-and-set. If it is the source of two
//!   required states there is no order, and the register has none, since nothing leaves the second;
//! - every other append leaves, whatever it found, a state that is not required. Neither is it one
//!   that an operation may have found or says it did not find: where an open swap or a mismatch
//!   names a state that is not required and that an append may have left, there is no view. So it
//!   is a write of a value of its own. What follows it up to the next operation that overwrites
//!   can only be more of such appends and mismatches, which it does not hinder in either history;
//! - writes of states that nobody names are writes of values of their own too, for the same reason;
//! - all other operations do to the state what they do to its number.
//!
//! By induction along an order of either history, the same order is one of the other: the register
//! holds the number of the state, or a value of its own where the state was left by an append (or
//! a write) that nobody needs.
//!
//! The view looks ahead. In a prefix of the history, and where calls were made open, less is
//! required: there it has to be made anew, and is again exact (or is not there: a state that an open
//! swap or a mismatch names may not be required any more). See [`RegisterView::looks_ahead`].

use std::hash::{Hash, Hasher};

use rustc_hash::FxHashMap;

use super::{Access, RegisterView};

#[cfg(test)]
mod tests;

/// How many symbols may be looked at before the view is given up.
const SYMBOLS_MAX: u64 = 1 << 31;
/// An odd number, so that it has an inverse modulo 2^64.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
const BASE_INVERSE: u64 = inverse(BASE);

/// A state: nothing, or a sequence.
pub(crate) type State<'a, T> = Option<&'a [T]>;

/// What an operation does to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step<'a, T> {
    /// Finds it.
    Find(State<'a, T>),
    /// Leaves it, whatever was there.
    Leave(State<'a, T>),
    /// Puts this behind what is there; where nothing is, it leaves just this.
    Append(&'a [T]),
    /// Finds the first and leaves the second.
    Swap(State<'a, T>, State<'a, T>),
    /// Finds something else, and changes nothing.
    Miss(State<'a, T>),
}

/// What sequences are made of.
pub(crate) trait Symbol: Copy + Eq + Hash + Into<u64> {}
impl<T: Copy + Eq + Hash + Into<u64>> Symbol for T {}

/// The history of a sequence that begins as `start` as one of a register. Each step comes with
/// whether the operation is open. `None` where what was found does not say which append left it
/// (see above), where something empty is appended, or where that would be too much work.
pub(crate) fn view<'a, T: Symbol>(
    start: State<'a, T>,
    steps: impl Iterator<Item = (Step<'a, T>, bool)> + Clone,
) -> Option<RegisterView> {
    let mut sources = Sources::of(start, steps.clone())?;
    sources.require_all(steps.clone())?;
    for (step, is_open) in steps.clone() {
        let named = match step {
            Step::Miss(state) if !is_open => state,
            Step::Swap(state, _) if is_open => state,
            _ => continue,
        };
        if !sources.is_clear(named)? {
            return None;
        }
    }
    Some(sources.accesses(steps))
}

/// A sequence with its hash, a polynomial in [`BASE`]: what is left when symbols are taken off its
/// end is hashed in time that depends only on how many they are.
#[derive(Debug, Clone, Copy)]
struct Name<'a, T> {
    hash: u64,
    /// Whether it is nothing, and not a sequence.
    is_nothing: bool,
    symbols: &'a [T],
}

impl<T: Symbol> PartialEq for Name<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.is_nothing == other.is_nothing
            && self.symbols == other.symbols
    }
}

impl<T: Symbol> Eq for Name<'_, T> {}

impl<T: Symbol> Hash for Name<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash ^ u64::from(self.is_nothing));
    }
}

impl<'a, T: Symbol> Name<'a, T> {
    fn of(state: State<'a, T>) -> Self {
        let symbols = state.unwrap_or_default();
        Name {
            hash: hash(symbols),
            is_nothing: state.is_none(),
            symbols,
        }
    }

    /// Without its last symbols.
    fn without_last(&self, count: usize) -> Self {
        let (rest, last) = self.symbols.split_at(self.symbols.len() - count);
        let hash = last.iter().rev().fold(self.hash, |hash, &symbol| {
            hash.wrapping_sub(digit(symbol)).wrapping_mul(BASE_INVERSE)
        });
        Name {
            hash,
            is_nothing: false,
            symbols: rest,
        }
    }
}

fn hash<T: Symbol>(symbols: &[T]) -> u64 {
    symbols.iter().fold(0_u64, |hash, &symbol| {
        hash.wrapping_mul(BASE).wrapping_add(digit(symbol))
    })
}

/// Not zero, so that sequences of different lengths have different hashes.
fn digit<T: Symbol>(symbol: T) -> u64 {
    let symbol: u64 = symbol.into();
    symbol.wrapping_add(1)
}

/// The inverse modulo 2^64, by Newton's iteration: each step doubles the number of right bits.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// A state that somebody names, or that is required.
#[derive(Debug, Clone, Copy, Default)]
struct Named {
    required: bool,
    /// Whether an operation may have found it, or says that it did not.
    seen: bool,
    /// How many sources it has that are no appends.
    plain: u32,
    /// The open swap (its place among the steps) that is the last of them.
    swap: Option<u32>,
}

/// The appends of one sequence of symbols.
#[derive(Debug, Clone, Copy)]
struct Token {
    /// The place of one of them among the steps.
    step: u32,
    count: u32,
}

/// What left which state.
struct Sources<'a, T> {
    numbers: FxHashMap<Name<'a, T>, u32>,
    names: Vec<Name<'a, T>>,
    named: Vec<Named>,
    tokens: FxHashMap<&'a [T], Token>,
    /// The lengths of tokens, each once.
    lengths: Vec<usize>,
    /// The first value of each open swap, by its place among the steps.
    swapped: FxHashMap<u32, u32>,
    /// For appends that are needed, by their place: what they found and what they left.
    needed: FxHashMap<u32, (u32, u32)>,
    /// Whether nothing, and the empty sequence, can be there.
    nothing: bool,
    empty: bool,
    symbols_left: u64,
}

impl<'a, T: Symbol> Sources<'a, T> {
    fn of(start: State<'a, T>, steps: impl Iterator<Item = (Step<'a, T>, bool)>) -> Option<Self> {
        let mut sources = Sources {
            numbers: FxHashMap::default(),
            names: Vec::new(),
            named: Vec::new(),
            tokens: FxHashMap::default(),
            lengths: Vec::new(),
            swapped: FxHashMap::default(),
            needed: FxHashMap::default(),
            nothing: false,
            empty: false,
            symbols_left: SYMBOLS_MAX,
        };
        sources.left(start, None)?;
        for (place, (step, is_open)) in (0_u32..).zip(steps) {
            match step {
                Step::Leave(state) => sources.left(state, None)?,
                Step::Swap(old, new) if old != new => {
                    if is_open {
                        let old = sources.number(Name::of(old))?;
                        sources.swapped.insert(place, old);
                    }
                    sources.left(new, is_open.then_some(place))?;
                }
                Step::Append([]) => return None,
                Step::Append(token) => sources.appended(token, place)?,
                Step::Find(_) | Step::Miss(_) | Step::Swap(..) => {}
            }
        }
        Some(sources)
    }

    fn left(&mut self, state: State<'a, T>, open_swap: Option<u32>) -> Option<()> {
        match state {
            None => self.nothing = true,
            Some([]) => self.empty = true,
            Some(_) => {}
        }
        let number = self.number_of(state)?;
        let named = &mut self.named[number as usize];
        named.plain += 1;
        named.swap = open_swap;
        Some(())
    }

    fn appended(&mut self, token: &'a [T], place: u32) -> Option<()> {
        self.look_at(token.len())?;
        let known = self.tokens.entry(token).or_insert(Token {
            step: place,
            count: 0,
        });
        known.count += 1;
        if known.count == 1 && !self.lengths.contains(&token.len()) {
            self.lengths.push(token.len());
        }
        Some(())
    }

    /// Counts the work; `None` when it is too much.
    fn look_at(&mut self, symbols: usize) -> Option<()> {
        self.symbols_left = self.symbols_left.checked_sub(symbols as u64 + 1)?;
        Some(())
    }

    fn number_of(&mut self, state: State<'a, T>) -> Option<u32> {
        self.look_at(state.map_or(0, <[T]>::len))?;
        self.number(Name::of(state))
    }

    fn number(&mut self, name: Name<'a, T>) -> Option<u32> {
        // Finding it means comparing it.
        self.look_at(name.symbols.len())?;
        let next = self.names.len() as u32;
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push(name);
            self.named.push(Named::default());
        }
        Some(number)
    }

    /// Finds out what is required, and by which appends it was left.
    fn require_all(&mut self, steps: impl Iterator<Item = (Step<'a, T>, bool)>) -> Option<()> {
        let mut open: Vec<u32> = Vec::new();
        for (step, is_open) in steps {
            let (Step::Find(state) | Step::Swap(state, _) | Step::Miss(state)) = step else {
                continue;
            };
            let number = self.number_of(state)?;
            let named = &mut self.named[number as usize];
            named.seen = true;
            if !is_open && !matches!(step, Step::Miss(_)) && !named.required {
                named.required = true;
                open.push(number);
            }
        }
        while let Some(number) = open.pop() {
            if let Some(before) = self.before(number)?
                && !std::mem::replace(&mut self.named[before as usize].required, true)
            {
                self.named[before as usize].seen = true;
                open.push(before);
            }
        }
        Some(())
    }

    /// What was certainly there before this required state, if that can be said. `None` where
    /// several sources, one of them an append, may have left the state.
    fn before(&mut self, number: u32) -> Option<Option<u32>> {
        let name = self.names[number as usize];
        let Named { plain, swap, .. } = self.named[number as usize];
        let mut appends = self.appends_to(&name)?;
        if plain as usize
            + appends
                .iter()
                .map(|(_, token)| token.count as usize)
                .sum::<usize>()
            > 1
        {
            appends = self.only_possible(appends)?;
        }
        match (plain, appends.as_slice()) {
            (1, []) => Some(swap.and_then(|swap| self.swapped.get(&swap).copied())),
            (_, []) => Some(None),
            (0, [(rest, token)]) if token.count == 1 => {
                let rest = match (rest.symbols.is_empty(), self.nothing, self.empty) {
                    (true, true, true) => return None,
                    (true, true, false) => Name::of(None),
                    _ => *rest,
                };
                let before = self.number(rest)?;
                self.needed.entry(token.step).or_insert((before, number));
                Some(Some(before))
            }
            _ => None,
        }
    }

    /// The appends that may have left a state, with what they found then.
    fn appends_to(&mut self, name: &Name<'a, T>) -> Option<Vec<(Name<'a, T>, Token)>> {
        let mut found = Vec::new();
        let length = name.symbols.len();
        for index in 0..self.lengths.len() {
            let count = self.lengths[index];
            if name.is_nothing || count > length {
                continue;
            }
            self.look_at(count)?;
            if let Some(token) = self.tokens.get(&name.symbols[length - count..]) {
                found.push((name.without_last(count), *token));
            }
        }
        Some(found)
    }

    /// Those of which what they found may have been there.
    fn only_possible(
        &mut self,
        appends: Vec<(Name<'a, T>, Token)>,
    ) -> Option<Vec<(Name<'a, T>, Token)>> {
        let mut possible = Vec::new();
        for (rest, token) in appends {
            if self.is_possible(rest)? {
                possible.push((rest, token));
            }
        }
        Some(possible)
    }

    /// Whether the sequence may have been there, as far as appends say that can be repeated.
    fn is_possible(&mut self, name: Name<'a, T>) -> Option<bool> {
        let mut met: Vec<usize> = Vec::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            let (nothing, empty) = (self.nothing, self.empty);
            let is_left = match name.symbols {
                [] => nothing || empty,
                symbols => {
                    self.look_at(symbols.len())?;
                    let number = self.numbers.get(&name);
                    number.is_some_and(|number| self.named[*number as usize].plain > 0)
                }
            };
            if is_left {
                return Some(true);
            }
            for (rest, _) in self.appends_to(&name)? {
                self.look_at(met.len())?;
                if !met.contains(&rest.symbols.len()) {
                    met.push(rest.symbols.len());
                    open.push(rest);
                }
            }
        }
        Some(false)
    }

    /// Whether the state is required, or certainly not left by an append.
    fn is_clear(&mut self, state: State<'a, T>) -> Option<bool> {
        let number = self.number_of(state)?;
        if self.named[number as usize].required {
            return Some(true);
        }
        let appends = self.appends_to(&self.names[number as usize].clone())?;
        Some(self.only_possible(appends)?.is_empty())
    }

    /// What each step does to the register.
    fn accesses(&self, steps: impl Iterator<Item = (Step<'a, T>, bool)>) -> RegisterView {
        // The start is value 0, and every state keeps its number: the start was numbered first.
        let mut values = self.names.len() as u32;
        let mut own = || {
            values += 1;
            values - 1
        };
        let number = |state| self.numbers.get(&Name::of(state)).copied().unwrap_or(0);
        let mut accesses = Vec::new();
        for (place, (step, _)) in (0_u32..).zip(steps) {
            let mut left = |state| {
                let number = number(state);
                match self.named[number as usize].seen {
                    true => number,
                    false => own(),
                }
            };
            accesses.push(match step {
                Step::Find(state) => Access::Read(number(state)),
                Step::Leave(state) => Access::Write(left(state)),
                Step::Swap(old, new) if old == new => Access::Read(number(old)),
                Step::Swap(old, new) => Access::Cas(number(old), left(new)),
                Step::Miss(state) => Access::Not(number(state)),
                Step::Append(_) => match self.needed.get(&place) {
                    Some(&(old, new)) => Access::Cas(old, new),
                    None => Access::Write(own()),
                },
            });
        }
        RegisterView {
            accesses,
            values,
            looks_ahead: true,
        }
    }
}
