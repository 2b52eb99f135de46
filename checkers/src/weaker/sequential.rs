//! Sequential consistency of one register.
//!
//! Where reads name their writes, an order is a row of blocks: a write, then the reads of it. A
//! compare-and-set follows right behind the block it found its value in and begins its own; blocks
//! tied like that are a chain. So there is an order exactly when every chain can stand in one
//! piece, in itself in keeping with each process, and the chains among each other: a graph
//! without circles. Where reads do not name their writes, or compare-and-sets found "another value
//! than this one", a circle among what is known still says no, and a search may say yes.

pub(super) mod by_model;
mod search;

use super::facts::{Facts, START, Source};
use super::graph::{Closing, Edge, first_closing};
use super::{Answer, Cause};
use crate::limits::Budget;
use crate::registers::Access;
use search::Found;

/// Whether some order explains all operations in which each process' are in their order.
pub(super) fn check(facts: &Facts, budget: &Budget) -> Answer {
    let known = Known::new(facts);
    if let Some(cause) = known.contradiction(facts, budget) {
        return Answer::Broken(cause);
    }
    if known.is_all {
        return Answer::Holds;
    }
    match search::search(facts, budget) {
        Found::Order => Answer::Holds,
        Found::None => Answer::Broken(Cause::Somewhere),
        Found::StepsMax(steps_max) => {
            Answer::Undecided(format!("limit of {} steps reached", grouped(steps_max)))
        }
        Found::NoTime => out_of_time(),
    }
}

/// Nothing is known, for want of time.
pub(super) fn out_of_time() -> Answer {
    Answer::Undecided("its time limit was reached".to_owned())
}

/// Digits in groups of three: `100,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3);
    let mut text = head.to_owned();
    for group in groups {
        text.push(',');
        text.extend(group.iter().map(|&digit| char::from(digit)));
    }
    text
}

/// What is known of an order for certain.
#[derive(Debug)]
struct Known {
    /// For each write, whether it happened: it completed, or somebody found what it wrote.
    happened: Vec<bool>,
    /// For each operation the write in whose block it stands.
    blocks: Vec<Option<u32>>,
    /// For each compare-and-set that happened the write it found.
    found: Vec<Option<u32>>,
    /// A completed operation that found what nothing wrote.
    from_nothing: Option<u32>,
    /// Whether that is all: every operation that happened has its block.
    is_all: bool,
}

impl Known {
    fn new(facts: &Facts) -> Self {
        let mut known = Known {
            happened: facts.writes.iter().map(|_| false).collect(),
            blocks: vec![None; facts.calls.len()],
            found: vec![None; facts.calls.len()],
            from_nothing: None,
            is_all: true,
        };
        known.happened[START as usize] = true;
        let mut left: Vec<u32> = (0..facts.calls.len() as u32)
            .filter(|&call| facts.calls[call as usize].is_completed())
            .collect();
        left.reverse();
        while let Some(number) = left.pop() {
            let call = &facts.calls[number as usize];
            if let Some(write) = call.write {
                known.happened[write as usize] = true;
                known.blocks[number as usize] = Some(write);
            }
            let value = match call.access {
                Access::Read(value) | Access::Cas(value, _) => value,
                Access::Not(_) => {
                    known.is_all = false;
                    continue;
                }
                Access::Write(_) => continue,
            };
            // Time does not count here: it may come from any write.
            match Source::among(facts.writers(value)) {
                Source::One(write) => {
                    match call.write {
                        Some(_) => known.found[number as usize] = Some(write),
                        None => known.blocks[number as usize] = Some(write),
                    }
                    // Its value was found, so it happened, and what it found itself counts.
                    if !known.happened[write as usize] {
                        known.happened[write as usize] = true;
                        left.extend(facts.writes[write as usize].call);
                    }
                }
                Source::Several => known.is_all = false,
                Source::Nothing => {
                    known.from_nothing = known.from_nothing.or(Some(number));
                }
            }
        }
        known
    }

    /// What shows that there is no order.
    fn contradiction(&self, facts: &Facts, budget: &Budget) -> Option<Cause> {
        if let Some(call) = self.from_nothing {
            return Some(Cause::FromNothing(call));
        }
        let chains = match Chains::new(facts, &self.found) {
            Ok(chains) => chains,
            Err(cause) => return Some(cause),
        };
        let steps = self.steps(facts);
        let direct = steps.iter().position(|step| chains.forbids(facts, step));
        let before = &steps[..direct.unwrap_or(steps.len())];
        let edge = |step: &Step| Edge {
            from: chains.heads[step.from as usize],
            to: chains.heads[step.to as usize],
        };
        let (edges, numbers): (Vec<Edge>, Vec<usize>) = before
            .iter()
            .enumerate()
            .map(|(number, step)| (edge(step), number))
            .filter(|(edge, _)| edge.from != edge.to)
            .unzip();
        // Most violations begin with a step back in time.
        let back = |edge: usize| {
            let step = steps[numbers[edge]];
            facts.writes[step.to as usize].is_before(&facts.writes[step.from as usize])
        };
        let number = match first_closing(&edges, None, back, budget) {
            Closing::Edge(edge) => numbers[edge],
            Closing::Nothing => direct?,
            Closing::Unknown => return Some(Cause::Somewhere),
        };
        Some(Cause::Pair(steps[number].first, steps[number].second))
    }

    /// From each operation that has a block to the next of its process, in order of ends.
    fn steps(&self, facts: &Facts) -> Vec<Step> {
        let mut steps = Vec::new();
        for process in &facts.processes {
            let mut last: Option<(u32, u32)> = None;
            for &second in process {
                let Some(to) = self.blocks[second as usize] else {
                    continue;
                };
                // A read after a read of the same block asks for nothing.
                if let Some((first, from)) = last
                    && (from != to || facts.calls[second as usize].write.is_some())
                {
                    steps.push(Step {
                        first,
                        second,
                        from,
                        to,
                    });
                }
                last = Some((second, to));
            }
        }
        steps.sort_unstable_by_key(|step| (facts.calls[step.second as usize].ends, step.second));
        steps
    }
}

/// Two operations of one process, one after the other, with their blocks.
#[derive(Debug, Clone, Copy)]
struct Step {
    first: u32,
    second: u32,
    from: u32,
    to: u32,
}

/// Blocks tied together by compare-and-sets.
#[derive(Debug)]
struct Chains {
    /// For each write the first of its chain.
    heads: Vec<u32>,
    /// For each write its place in its chain.
    places: Vec<u32>,
}

impl Chains {
    /// `found` says of each compare-and-set which write it found.
    fn new(facts: &Facts, found: &[Option<u32>]) -> Result<Self, Cause> {
        let none = u32::MAX;
        // For each write the compare-and-set that found it.
        let mut next = vec![none; facts.writes.len()];
        let mut is_tied = vec![false; facts.writes.len()];
        for (number, found) in (0..).zip(found) {
            let (Some(found), Some(write)) = (found, facts.calls[number as usize].write) else {
                continue;
            };
            let next = &mut next[*found as usize];
            if let Some(other) = facts
                .writes
                .get(*next as usize)
                .and_then(|write| write.call)
            {
                return Err(Cause::Fork(other, number));
            }
            *next = write;
            is_tied[write as usize] = true;
        }
        let mut chains = Chains {
            heads: vec![none; facts.writes.len()],
            places: vec![0; facts.writes.len()],
        };
        for head in 0..facts.writes.len() as u32 {
            if is_tied[head as usize] {
                continue;
            }
            let (mut write, mut place) = (head, 0);
            while write != none {
                chains.heads[write as usize] = head;
                chains.places[write as usize] = place;
                write = next[write as usize];
                place += 1;
            }
        }
        // What no chain reaches goes round in a circle.
        let lost = chains.heads.iter().position(|head| *head == none);
        match lost.and_then(|write| facts.writes[write].call) {
            Some(call) => Err(Cause::Circle(call)),
            None => Ok(chains),
        }
    }

    /// Whether the step by itself is impossible: back in its chain, from a read of a block to the
    /// write that begins it, or from anywhere to before the start.
    fn forbids(&self, facts: &Facts, step: &Step) -> bool {
        let [from, to] = [step.from, step.to].map(|write| write as usize);
        if self.heads[from] != self.heads[to] {
            return self.heads[to] == START;
        }
        match from == to {
            true => facts.calls[step.second as usize].write == Some(step.to),
            false => self.places[from] > self.places[to],
        }
    }
}
