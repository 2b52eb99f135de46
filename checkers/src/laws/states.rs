//! The laws that can be seen on states and single steps.

use std::hash::{BuildHasher, Hash};

use histories::Value;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::guard::caught;
use super::{Law, LawViolation, Trial};
use crate::{Marks, Model, Moves, Touches};

/// Steps tried for each state wanted.
const TRIES_PER_STATE: usize = 16;
/// How often a law about several steps is tried, for each state.
const WALKS_PER_STATE: usize = 8;
/// How many steps are taken one after the other.
const STEPS_MAX: usize = 6;
/// How many operations are tried one after the other to see what they do to one thing.
const ASPECT_STEPS: usize = 24;
/// Fewer operations than this follow what states are named for.
const REST_MAX: u64 = 7;

impl<M: Model> Trial<'_, M> {
    /// States reached by chance from the initial one, which is the first; some of them twice, by
    /// different ways. No step on the way panics or depends on anything but its arguments.
    pub(super) fn reach_states(&mut self) -> Result<Vec<M::State>, LawViolation> {
        let mut states = vec![self.model.initial(self.group.key.as_ref())];
        let mut last = states[0].clone();
        for _ in 0..self.effort.states_max * TRIES_PER_STATE {
            if states.len() >= self.effort.states_max {
                break;
            }
            if self.chance.chance(1, 4) {
                last = self.any(&states).clone();
            }
            let entry = self.chance.below(self.group.entries.len() as u64) as usize;
            if let Some(next) = self.step(&last, entry)? {
                last = next;
                if states.iter().filter(|state| **state == last).count() < 2 {
                    states.push(last.clone());
                }
            }
        }
        for state in &states {
            for entry in 0..self.group.entries.len() {
                self.step(state, entry)?;
            }
        }
        Ok(states)
    }

    /// One step, watched.
    fn step(&mut self, state: &M::State, entry: usize) -> Result<Option<M::State>, LawViolation> {
        let op = &self.group.entries[entry].op;
        let first = caught(|| self.model.step(state, op));
        let second = caught(|| self.model.step(&state.clone(), &op.clone()));
        self.report.count(Law::NoPanic, 1);
        self.report.count(Law::Deterministic, 1);
        match (first, second) {
            (Ok(first), Ok(second)) if first == second => Ok(first),
            (Ok(_), Ok(_)) => {
                let what = "asked twice for the step, it gives two states".to_owned();
                Err(self.violation(Law::Deterministic, what, Some(state), self.shown(&[op])))
            }
            (Err(message), _) | (_, Err(message)) => {
                let what = format!("step panicked: {message}");
                Err(self.violation(Law::NoPanic, what, Some(state), self.shown(&[op])))
            }
        }
    }

    /// Tries every law about states.
    pub(super) fn laws_of_states(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        self.size_and_words(states);
        self.equality(states)?;
        self.parts(states)?;
        self.is_observer(states)?;
        self.leaves(states)?;
        for _ in 0..states.len() * WALKS_PER_STATE {
            self.states_after(states)?;
            self.observed(states)?;
            self.aspect(&states[0])?;
        }
        self.lacks(states)?;
        self.marks(states)?;
        self.touches(states)?;
        self.moves(states)
    }

    /// What describes, and what counts bytes, does not panic.
    fn size_and_words(&mut self, states: &[M::State]) {
        for state in states {
            let _ = (
                self.model.describe_state(state),
                self.model.state_bytes(state),
            );
        }
        for entry in &self.group.entries {
            let _ = self.model.describe(&entry.op);
        }
        let cases = states.len() + self.group.entries.len();
        self.report.count(Law::NoPanic, cases as u64);
    }

    fn equality(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        let entries = &self.group.entries;
        for (place, a) in entries.iter().enumerate() {
            for b in entries[place + 1..].iter().filter(|b| b.op == a.op) {
                let differ = |state: &&M::State| {
                    self.model.step(state, &a.op) != self.model.step(state, &b.op)
                };
                let told_apart = states.iter().find(differ);
                self.report.count(Law::Equality, states.len() as u64);
                if told_apart.is_some() || digest(&a.op) != digest(&b.op) {
                    let what = match told_apart {
                        Some(_) => "two operations that are equal do different things",
                        None => "two operations that are equal have different hashes",
                    };
                    let shown = self.shown(&[&a.op, &b.op]);
                    return Err(self.violation(Law::Equality, what.to_owned(), told_apart, shown));
                }
            }
        }
        for (place, a) in states.iter().enumerate() {
            for b in states[place + 1..].iter().filter(|b| *b == a) {
                let differ = |op: &&M::Op| self.model.step(a, op) != self.model.step(b, op);
                let told_apart = entries.iter().map(|entry| &entry.op).find(differ);
                self.report.count(Law::Equality, entries.len() as u64);
                if told_apart.is_some() || digest(a) != digest(b) {
                    let other = self.model.describe_state(b);
                    let what = match told_apart {
                        Some(_) => format!("an operation tells it from an equal state ({other})"),
                        None => format!("an equal state ({other}) has a different hash"),
                    };
                    let shown = told_apart.map(|op| self.shown(&[op])).unwrap_or_default();
                    return Err(self.violation(Law::Equality, what, Some(a), shown));
                }
            }
        }
        Ok(())
    }

    /// On a state of several parts, operations that touch different ones commute, and neither makes
    /// the other possible or impossible.
    fn parts(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        if !self.group.mixed {
            return Ok(());
        }
        let entries = &self.group.entries;
        for (place, a) in entries.iter().enumerate() {
            for b in &entries[place + 1..] {
                let (Some(of_a), Some(of_b)) = (&a.touches, &b.touches) else {
                    continue;
                };
                if of_a.iter().any(|part| of_b.contains(part)) {
                    continue;
                }
                self.report.count(Law::Parts, states.len() as u64);
                let influences = |state: &&M::State| {
                    let after = |first: &M::Op, second: &M::Op| {
                        let state = self.model.step(state, first)?;
                        Some(self.model.step(&state, second))
                    };
                    let (ab, ba) = (after(&a.op, &b.op), after(&b.op, &a.op));
                    match (ab, ba) {
                        (Some(ab), Some(ba)) => ab.is_none() || ab != ba,
                        (Some(ab), None) => ab.is_some(),
                        (None, Some(ba)) => ba.is_some(),
                        (None, None) => false,
                    }
                };
                if let Some(state) = states.iter().find(influences) {
                    let what = "it says that two operations touch different parts, but what one \
                                does depends on whether the other was before it";
                    let shown = self.shown(&[&a.op, &b.op]);
                    return Err(self.violation(Law::Parts, what.to_owned(), Some(state), shown));
                }
            }
        }
        Ok(())
    }

    fn is_observer(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        for entry in &self.group.entries {
            if !self.model.is_observer(&entry.op) {
                continue;
            }
            for state in states {
                self.report.count(Law::IsObserver, 1);
                if let Some(next) = self.model.step(state, &entry.op)
                    && next != *state
                {
                    let next = self.model.describe_state(&next);
                    let what = format!("an operation that is said to only observe leaves: {next}");
                    let shown = self.shown(&[&entry.op]);
                    return Err(self.violation(Law::IsObserver, what, Some(state), shown));
                }
            }
        }
        Ok(())
    }

    /// After an operation that leaves one state there is no other.
    fn leaves(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        let among: Vec<&M::Op> = self.group.entries.iter().map(|entry| &entry.op).collect();
        for op in &among {
            let Some(left) = self.model.leaves(op, &among) else {
                continue;
            };
            for state in states {
                self.report.count(Law::Leaves, 1);
                if let Some(next) = self.model.step(state, op)
                    && next != left
                {
                    let (next, left) = (
                        self.model.describe_state(&next),
                        self.model.describe_state(&left),
                    );
                    let what = format!("it says that an operation leaves: {left}; it left: {next}");
                    let shown = self.shown(&[op]);
                    return Err(self.violation(Law::Leaves, what, Some(state), shown));
                }
            }
        }
        Ok(())
    }

    /// Some updates, from some state, in some order.
    fn states_after(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        let count = 1 + self.chance.below(3);
        let mut updates = Vec::new();
        for _ in 0..count {
            let op = &self.any_entry().op;
            // A check asks with every operation once.
            if !updates.contains(&op) {
                updates.push(op);
            }
        }
        let rest: Vec<&M::Op> = (0..self.chance.below(REST_MAX))
            .map(|_| &self.any_entry().op)
            .collect();
        let Some(mut named) = self.model.states_after(&updates, &rest) else {
            return Ok(());
        };
        let start = self.any(states);
        // A check knows what it starts with.
        named.push(start.clone());
        let mut state = start.clone();
        let mut done: Vec<&M::Op> = Vec::new();
        for _ in 0..STEPS_MAX {
            let op = updates[self.chance.below(updates.len() as u64) as usize];
            let Some(next) = self.model.step(&state, op) else {
                continue;
            };
            state = next;
            done.push(op);
            self.report.count(Law::StatesAfter, 1);
            let (mut possible, mut after) = (named.clone(), state.clone());
            let mut order: Vec<&M::Op> = Vec::new();
            let mut left = rest.clone();
            while let Some(op) = self.take_possible(&mut left, &after) {
                after = self.model.step(&after, op).unwrap_or(after);
                possible.retain_mut(|state| match self.model.step(state, op) {
                    Some(next) => {
                        *state = next;
                        true
                    }
                    None => false,
                });
                order.push(op);
            }
            if possible.is_empty() {
                let left = self.model.describe_state(&state);
                let last: Vec<String> = self.shown(&order);
                let what = format!(
                    "operations leave what nothing that is named stands for: {left}; then could \
                     follow: {}",
                    last.join(", ")
                );
                return Err(self.violation(Law::StatesAfter, what, Some(start), self.shown(&done)));
            }
        }
        Ok(())
    }

    /// Takes one of them that is possible in the state, if there is one.
    fn take_possible<'o>(
        &mut self,
        ops: &mut Vec<&'o M::Op>,
        state: &M::State,
    ) -> Option<&'o M::Op> {
        self.chance.shuffle(ops);
        let possible = |op: &&M::Op| self.model.step(state, op).is_some();
        let place = ops.iter().position(possible)?;
        Some(ops.swap_remove(place))
    }

    /// From some state, updates that name what they write: what is observed after the last of them
    /// is what it wrote.
    fn observed(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        let mut state = self.any(states).clone();
        let start = state.clone();
        let mut updates: Vec<&M::Op> = Vec::new();
        for _ in 0..STEPS_MAX {
            let op = &self.any_entry().op;
            let written = self.model.written(op);
            if written.is_none() || self.model.is_observer(op) {
                continue;
            }
            let Some(next) = self.model.step(&state, op) else {
                continue;
            };
            state = next;
            updates.push(op);
            for entry in &self.group.entries {
                let Some(observed) = self.model.observed(&entry.op) else {
                    continue;
                };
                self.report.count(Law::Observed, 1);
                let possible = self.model.step(&state, &entry.op).is_some();
                if possible && Some(&observed) != written.as_ref() {
                    let written = written.unwrap_or_default();
                    let what = format!(
                        "the last operation is said to have observed {observed}, and it is \
                         possible after one that is said to have written {written}"
                    );
                    updates.push(&entry.op);
                    let shown = self.shown(&updates);
                    return Err(self.violation(Law::Observed, what, Some(&start), shown));
                }
            }
        }
        Ok(())
    }

    /// After an operation, and others that remove nothing: an observation that is behind it is
    /// impossible.
    fn marks(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        let entries = &self.group.entries;
        let marks: Vec<Option<(Value, Marks)>> = entries
            .iter()
            .map(|entry| self.model.marks(&entry.op))
            .collect();
        let nothing = FxHashSet::default();
        for (entry, earlier) in entries.iter().zip(&marks) {
            let Some((place, earlier)) = earlier else {
                continue;
            };
            let is_behind = |later: &Option<(Value, Marks)>| {
                let later = later.as_ref().filter(|(other, _)| other == place);
                later.is_some_and(|(_, later)| later.is_behind(earlier, &nothing))
            };
            let behind = entries.iter().zip(&marks);
            let behind: Vec<&M::Op> = behind
                .filter(|(_, later)| is_behind(later))
                .map(|(entry, _)| &entry.op)
                .collect();
            for _ in 0..WALKS_PER_STATE {
                let start = self.any(states);
                let Some(mut state) = self.model.step(start, &entry.op) else {
                    continue;
                };
                let mut done = vec![&entry.op];
                for _ in 0..STEPS_MAX {
                    for observation in &behind {
                        self.report.count(Law::Marks, 1);
                        if self.model.step(&state, observation).is_some() {
                            let what = "the last operation does not show what the first left or \
                                        found, by their marks, and it is possible";
                            done.push(observation);
                            let shown = self.shown(&done);
                            let what = what.to_owned();
                            return Err(self.violation(Law::Marks, what, Some(start), shown));
                        }
                    }
                    let op = &self.any_entry().op;
                    let removes = matches!(self.model.marks(op), Some((_, Marks::Removes(_))));
                    if let Some(next) = self.model.step(&state, op).filter(|_| !removes) {
                        state = next;
                        done.push(op);
                    }
                }
            }
        }
        Ok(())
    }

    /// After an update, and others that do not overwrite: what lacks it is impossible.
    fn lacks(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        let entries = &self.group.entries;
        for update in entries {
            let observations: Vec<&M::Op> = entries
                .iter()
                .map(|entry| &entry.op)
                .filter(|observation| self.model.lacks(observation, &update.op))
                .collect();
            if observations.is_empty() {
                continue;
            }
            for _ in 0..WALKS_PER_STATE {
                let start = self.any(states);
                let Some(mut state) = self.model.step(start, &update.op) else {
                    continue;
                };
                let mut done = vec![&update.op];
                for _ in 0..STEPS_MAX {
                    for observation in &observations {
                        self.report.count(Law::Lacks, 1);
                        if self.model.step(&state, observation).is_some() {
                            let what = "the last operation is said to lack the first, which \
                                        nothing has overwritten, and it is possible";
                            done.push(observation);
                            let shown = self.shown(&done);
                            let what = what.to_owned();
                            return Err(self.violation(Law::Lacks, what, Some(start), shown));
                        }
                    }
                    let op = &self.any_entry().op;
                    let overwrites =
                        self.model.written(op).is_some() && !self.model.is_observer(op);
                    if let Some(next) = self.model.step(&state, op).filter(|_| !overwrites) {
                        state = next;
                        done.push(op);
                    }
                }
            }
        }
        Ok(())
    }

    /// After operations that leave values at places: what finds another value there is impossible.
    fn touches(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        let entries = &self.group.entries;
        let all = entries.iter().map(|entry| self.model.touches(&entry.op));
        let Some(all) = all.collect::<Option<Vec<Touches>>>() else {
            return Ok(());
        };
        for _ in 0..states.len() * WALKS_PER_STATE {
            let start = self.any(states);
            let mut state = start.clone();
            let mut done: Vec<&M::Op> = Vec::new();
            let mut there: FxHashMap<&Value, &Value> = FxHashMap::default();
            for _ in 0..STEPS_MAX {
                let at = self.chance.below(entries.len() as u64) as usize;
                let Some(next) = self.model.step(&state, &entries[at].op) else {
                    continue;
                };
                state = next;
                done.push(&entries[at].op);
                there.extend(all[at].leaves.iter().map(|(place, value)| (place, value)));
                for (entry, touches) in entries.iter().zip(&all) {
                    let other = |(place, value): &(Value, Value)| {
                        there.get(place).is_some_and(|there| *there != value)
                    };
                    if !touches.finds.iter().any(other) {
                        continue;
                    }
                    self.report.count(Law::Touches, 1);
                    if self.model.step(&state, &entry.op).is_some() {
                        let what = "the last operation is said to find a value where others are \
                                    said to have left another, and it is possible";
                        done.push(&entry.op);
                        let (what, shown) = (what.to_owned(), self.shown(&done));
                        return Err(self.violation(Law::Touches, what, Some(start), shown));
                    }
                }
            }
        }
        Ok(())
    }

    /// What an operation moves, and nothing else, goes into the contents or out of them.
    fn moves(&mut self, states: &[M::State]) -> Result<(), LawViolation> {
        for state in states {
            let Some(before) = self.model.contents(state) else {
                continue;
            };
            for entry in &self.group.entries {
                let Some(next) = self.model.step(state, &entry.op) else {
                    continue;
                };
                self.report.count(Law::Moves, 1);
                let after = self.model.contents(&next).unwrap_or_default();
                let (came, gone) = (beyond(&after, &before), beyond(&before, &after));
                let is_so = match self.model.moves(&entry.op) {
                    None => came.is_empty() && gone.is_empty(),
                    Some(Moves::Puts(value)) => came == [&value] && gone.is_empty(),
                    Some(Moves::Takes(value)) => came.is_empty() && gone == [&value],
                    Some(Moves::TakesAny) => {
                        came.is_empty() && (gone.len() == 1 || before.is_empty() && next == *state)
                    }
                };
                if !is_so {
                    let next = self.model.describe_state(&next);
                    let what = format!("it moves something else than it says; it left: {next}");
                    let shown = self.shown(&[&entry.op]);
                    return Err(self.violation(Law::Moves, what, Some(state), shown));
                }
            }
        }
        Ok(())
    }

    /// Some operations one after the other from the initial state, and what they do to one thing.
    fn aspect(&mut self, initial: &M::State) -> Result<(), LawViolation> {
        let entries = self.group.entries.iter();
        let ops: Vec<&M::Op> = entries.map(|entry| &entry.op).collect();
        let things = self.model.things(&ops, &ops);
        if things.is_empty() {
            return Ok(());
        }
        let thing = self.any(&things);
        let (mut whole, mut alone) = (initial.clone(), initial.clone());
        let mut happened = Vec::new();
        for _ in 0..ASPECT_STEPS {
            let op = &self.any_entry().op;
            let Some(next) = self.model.step(&whole, op) else {
                continue;
            };
            whole = next;
            happened.push(op);
            let Some(aspect) = self.model.aspect(op, thing) else {
                continue;
            };
            self.report.count(Law::Aspect, 1);
            let Some(next) = self.model.step(&alone, &aspect) else {
                let what = format!(
                    "it happened, and what it does to {thing} alone cannot: {}",
                    self.model.describe(&aspect)
                );
                return Err(self.violation(
                    Law::Aspect,
                    what,
                    Some(initial),
                    self.shown(&happened),
                ));
            };
            alone = next;
        }
        Ok(())
    }

    /// One of them.
    pub(super) fn any<'s, T>(&mut self, all: &'s [T]) -> &'s T {
        &all[self.chance.below(all.len() as u64) as usize]
    }

    fn shown(&self, ops: &[&M::Op]) -> Vec<String> {
        ops.iter().map(|op| self.model.describe(op)).collect()
    }
}

impl<'a, M: Model> Trial<'a, M> {
    fn any_entry(&mut self) -> &'a super::samples::Entry<M::Op> {
        let group = self.group;
        self.any(&group.entries)
    }
}

/// The values that are in the first more often than in the second.
fn beyond<'v>(these: &'v [Value], those: &'v [Value]) -> Vec<&'v Value> {
    let mut left: FxHashMap<&Value, usize> = FxHashMap::default();
    for value in those {
        *left.entry(value).or_default() += 1;
    }
    let is_beyond = |value: &&'v Value| {
        let left = left.entry(value).or_default();
        let is_beyond = *left == 0;
        *left = left.saturating_sub(1);
        is_beyond
    };
    these.iter().filter(is_beyond).collect()
}

fn digest(value: &impl Hash) -> u64 {
    FxBuildHasher.hash_one(value)
}
