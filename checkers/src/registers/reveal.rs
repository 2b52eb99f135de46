//! States that show how they came about: sequences to which something is appended.
//!
//! Whoever finds the state `abc`, where `c` was appended once and `abc` was never put as a whole,
//! knows that this append found `ab`. So it is a compare-and-set from `ab` to `abc`, and somebody
//! certainly found `ab` as well. [`view`] follows this back from everything that was found, and
//! says what each operation does to a register whose values are the states, as numbers.
//!
//! It is exact, or says that it is not. A state is *required* if a completed operation found it, or an append
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
//!   that an operation may have found or says it did not find (but see below). So it is a write of a
//!   value of its own. What follows it up to the next operation that overwrites
//!   can only be more of such appends and mismatches, which it does not hinder in either history;
//! - writes of states that nobody names are writes of values of their own too, for the same reason;
//! - all other operations do to the state what they do to its number.
//!
//! By induction along an order of either history, the same order is one of the other: the register
//! holds the number of the state, or a value of its own where the state was left by an append (or
//! a write) that nobody needs.
//!
//! Where an open swap or a mismatch names a state that is not required and that an append may have
//! left, the swap is a write in the view, and the mismatch finds another value than one that never is
//! there. Either can only happen more often than before: an order of the history is still one of the
//! view, but the view may have others ([`RegisterView::allows_more`]).
//!
//! The view looks ahead. In a prefix of the history, and where calls were made open, less is
//! required: there it has to be made anew, and is again exact (or is not there: a state that an open
//! swap or a mismatch names may not be required any more). See [`RegisterView::looks_ahead`].

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Access, RegisterView};

#[cfg(test)]
mod tests;

/// How many symbols may be looked at before the view is given up.
const SYMBOLS_MAX: u64 = 1 << 31;
/// An odd number, so that it has an inverse modulo 2^64.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
const BASE_INVERSE: u64 = inverse(BASE);
const BASE_SQUARED: u64 = BASE.wrapping_mul(BASE);
const BASE_CUBED: u64 = BASE_SQUARED.wrapping_mul(BASE);

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
    view_without(start, steps, None)
}

/// A condition for there to be a view. Tests leave one out, to see that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// No required state has several sources, one of them an append.
    OneSource,
    /// What an append found that left just what it appended was either nothing or empty.
    NothingOrEmpty,
    /// No state that a mismatch or an open swap names was perhaps left by an append.
    NamedIsClear,
}

fn view_without<'a, T: Symbol>(
    start: State<'a, T>,
    steps: impl Iterator<Item = (Step<'a, T>, bool)> + Clone,
    without: Option<Condition>,
) -> Option<RegisterView> {
    let mut sources = Sources::of(start, steps.clone())?;
    sources.require_all(steps.clone(), without)?;
    let mut vague = FxHashSet::default();
    for (place, (step, is_open)) in (0_u32..).zip(steps.clone()) {
        let named = match step {
            Step::Miss(state) if !is_open => state,
            Step::Swap(state, _) if is_open => state,
            _ => continue,
        };
        if !sources.is_clear(named)? && without != Some(Condition::NamedIsClear) {
            vague.insert(place);
        }
    }
    Some(sources.accesses(steps, &vague))
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
    // Four at a time, so that one multiplication need not wait for the other.
    let (fours, rest) = symbols.as_chunks::<4>();
    let hash = fours.iter().fold(0_u64, |hash, four| {
        let [a, b, c, d] = four.map(digit);
        let [a, b] = [a.wrapping_mul(BASE_CUBED), b.wrapping_mul(BASE_SQUARED)];
        let four = a
            .wrapping_add(b)
            .wrapping_add(c.wrapping_mul(BASE))
            .wrapping_add(d);
        hash.wrapping_mul(BASE_SQUARED.wrapping_mul(BASE_SQUARED))
            .wrapping_add(four)
    });
    rest.iter().fold(hash, |hash, &symbol| {
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
    /// For each step the number of the state it names, of a swap the first; 0 for appends.
    first: Vec<u32>,
    tokens: FxHashMap<&'a [T], Token>,
    /// The lengths of tokens, each once.
    lengths: Vec<usize>,
    /// For appends that are needed, by their place: what they found and what they left.
    needed: FxHashMap<u32, (u32, u32)>,
    /// Whether nothing, and the empty sequence, can be there.
    nothing: bool,
    empty: bool,
    symbols_left: u64,
    /// What is known of sequences: whether they may have been there.
    possible: FxHashMap<Name<'a, T>, bool>,
}

impl<'a, T: Symbol> Sources<'a, T> {
    fn of(start: State<'a, T>, steps: impl Iterator<Item = (Step<'a, T>, bool)>) -> Option<Self> {
        let mut sources = Sources {
            numbers: FxHashMap::default(),
            names: Vec::new(),
            named: Vec::new(),
            first: Vec::new(),
            tokens: FxHashMap::default(),
            lengths: Vec::new(),
            needed: FxHashMap::default(),
            nothing: false,
            empty: false,
            symbols_left: SYMBOLS_MAX,
            possible: FxHashMap::default(),
        };
        // Half of the operations or so name a state of their own.
        let (least, _) = steps.size_hint();
        sources.numbers.reserve(least / 2);
        sources.names.reserve(least / 2);
        sources.named.reserve(least / 2);
        sources.first.reserve(least);
        sources.tokens.reserve(least / 2);
        sources.needed.reserve(least / 2);
        sources.left(start, None)?;
        for (place, (step, is_open)) in (0_u32..).zip(steps) {
            let first = match step {
                Step::Leave(state) => sources.left(state, None)?,
                Step::Swap(old, new) if old != new => {
                    sources.left(new, is_open.then_some(place))?;
                    sources.number_of(old)?
                }
                Step::Append([]) => return None,
                Step::Append(token) => sources.appended(token, place)?,
                Step::Find(state) | Step::Miss(state) | Step::Swap(state, _) => {
                    sources.number_of(state)?
                }
            };
            sources.first.push(first);
        }
        Some(sources)
    }

    fn left(&mut self, state: State<'a, T>, open_swap: Option<u32>) -> Option<u32> {
        match state {
            None => self.nothing = true,
            Some([]) => self.empty = true,
            Some(_) => {}
        }
        let number = self.number_of(state)?;
        let named = &mut self.named[number as usize];
        named.plain += 1;
        named.swap = open_swap;
        Some(number)
    }

    fn appended(&mut self, token: &'a [T], place: u32) -> Option<u32> {
        self.look_at(token.len())?;
        let known = self.tokens.entry(token).or_insert(Token {
            step: place,
            count: 0,
        });
        known.count += 1;
        if known.count == 1 && !self.lengths.contains(&token.len()) {
            self.lengths.push(token.len());
        }
        Some(0)
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
    fn require_all(
        &mut self,
        steps: impl Iterator<Item = (Step<'a, T>, bool)>,
        without: Option<Condition>,
    ) -> Option<()> {
        let mut open: Vec<u32> = Vec::new();
        for (place, (step, is_open)) in steps.enumerate() {
            let (Step::Find(_) | Step::Swap(..) | Step::Miss(_)) = step else {
                continue;
            };
            let number = self.first[place];
            let named = &mut self.named[number as usize];
            named.seen = true;
            if !is_open && !matches!(step, Step::Miss(_)) && !named.required {
                named.required = true;
                open.push(number);
            }
        }
        while let Some(number) = open.pop() {
            if let Some(before) = self.before(number, without)?
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
    fn before(&mut self, number: u32, without: Option<Condition>) -> Option<Option<u32>> {
        let name = self.names[number as usize];
        let Named { plain, swap, .. } = self.named[number as usize];
        let mut appends = self.appends_to(&name)?;
        let too_many = |appends: &[(Name<'a, T>, Token)]| {
            plain + appends.iter().map(|(_, token)| token.count).sum::<u32>() > 1
        };
        if too_many(&appends) {
            appends = self.only_likely(appends)?;
        }
        if too_many(&appends) {
            appends = self.only_possible(appends)?;
        }
        match (plain, appends.as_slice()) {
            (1, []) => Some(swap.map(|swap| self.first[swap as usize])),
            (_, []) => Some(None),
            (0, [(rest, token)]) if token.count == 1 || without == Some(Condition::OneSource) => {
                let rest = match (rest.symbols.is_empty(), self.nothing, self.empty) {
                    (true, true, true) if without != Some(Condition::NothingOrEmpty) => {
                        return None;
                    }
                    (true, true, _) => Name::of(None),
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

    /// Those of which what they found was left by something else, or ends with what was appended:
    /// most of what cannot have been there does not.
    fn only_likely(
        &mut self,
        appends: Vec<(Name<'a, T>, Token)>,
    ) -> Option<Vec<(Name<'a, T>, Token)>> {
        let mut likely = Vec::new();
        for (rest, token) in appends {
            let is_left = rest.symbols.is_empty() || self.is_left(&rest);
            if is_left || !self.appends_to(&rest)?.is_empty() {
                likely.push((rest, token));
            }
        }
        Some(likely)
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

    /// Whether the sequence was left by something else than an append.
    fn is_left(&self, name: &Name<'a, T>) -> bool {
        let number = self.numbers.get(name);
        number.is_some_and(|number| self.named[*number as usize].plain > 0)
    }

    /// Whether the sequence may have been there, if every append could have happened any number of
    /// times.
    fn is_possible(&mut self, name: Name<'a, T>) -> Option<bool> {
        // Sequences met, each with the place of the one it is the beginning of.
        let mut met: Vec<(Name<'a, T>, usize)> = vec![(name, 0)];
        let mut lengths: FxHashSet<usize> = FxHashSet::default();
        let mut open: Vec<usize> = vec![0];
        while let Some(place) = open.pop() {
            let (name, _) = met[place];
            self.look_at(name.symbols.len())?;
            let known = match name.symbols {
                [] => Some(self.nothing || self.empty),
                _ if self.is_left(&name) => Some(true),
                _ => self.possible.get(&name).copied(),
            };
            match known {
                Some(true) => {
                    self.are_possible(&met, place);
                    return Some(true);
                }
                Some(false) => {}
                None => {
                    for (rest, _) in self.appends_to(&name)? {
                        if lengths.insert(rest.symbols.len()) {
                            open.push(met.len());
                            met.push((rest, place));
                        }
                    }
                }
            }
        }
        let impossible = met.into_iter().map(|(name, _)| (name, false));
        self.possible.extend(impossible);
        Some(false)
    }

    /// Notes that the sequence at `place` may have been there, and so all that it begins.
    fn are_possible(&mut self, met: &[(Name<'a, T>, usize)], mut place: usize) {
        loop {
            let (name, whole) = met[place];
            self.possible.insert(name, true);
            if place == 0 {
                return;
            }
            place = whole;
        }
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
    fn accesses(
        &self,
        steps: impl Iterator<Item = (Step<'a, T>, bool)>,
        vague: &FxHashSet<u32>,
    ) -> RegisterView {
        // The start is value 0, and every state keeps its number: the start was numbered first.
        let mut values = self.names.len() as u32;
        let mut own = || {
            values += 1;
            values - 1
        };
        let mut accesses = Vec::with_capacity(self.first.len());
        for (place, (step, _)) in (0_u32..).zip(steps) {
            let first = self.first[place as usize];
            let mut left = |number: u32| match self.named[number as usize].seen {
                true => number,
                false => own(),
            };
            accesses.push(match step {
                Step::Find(_) => Access::Read(first),
                Step::Leave(_) => Access::Write(left(first)),
                Step::Swap(old, new) if old == new => Access::Read(first),
                Step::Swap(_, new) => {
                    let new = self.numbers.get(&Name::of(new));
                    let new = left(new.copied().unwrap_or(first));
                    match vague.contains(&place) {
                        true => Access::Write(new),
                        false => Access::Cas(first, new),
                    }
                }
                Step::Miss(_) if vague.contains(&place) => Access::Not(own()),
                Step::Miss(_) => Access::Not(first),
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
            allows_more: !vague.is_empty(),
        }
    }
}
