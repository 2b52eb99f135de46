//! The schedule: which fault happens when and to whom, as data of the plan.
//!
//! Everything is chosen when the schedule is drawn, but for who leads at that moment: each entry
//! carries the nodes in an order drawn from the seed, and every later choice takes the first in
//! that order that fits. So a replay draws nothing.

mod agenda;
mod draw;
mod entry;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use seeds::{Purpose, Stream};
use serde::{Deserialize, Serialize};

pub use agenda::{Agenda, Next};
pub use draw::{Draw, DrawError, Rhythm};
use entry::Entry;

use crate::{Action, Condition, Name};

/// The faults of a run. In a plan file: an array of tables, `[[schedule]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule {
    /// The faults, sorted by when they begin when drawn; in any order when written by hand.
    pub faults: Vec<Planned>,
}

/// One fault of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Entry", into = "Entry")]
pub struct Planned {
    /// Its number in the run: the history's events of this fault carry it. 0 until
    /// [`complete`](Schedule::complete) has given one to a fault written without.
    pub id: u64,
    /// When it begins at the earliest, in milliseconds after the start of the clients.
    pub at_ms: u64,
    /// What must come about before it begins, in this order.
    pub after: Vec<Condition>,
    /// How long after that it begins, in milliseconds.
    pub delay_ms: u64,
    /// How long it lasts at most, in milliseconds.
    pub for_ms: u64,
    /// What ends it before that, when all of it has come about, in this order, since it began; none
    /// for only the time.
    pub until: Vec<Condition>,
    /// What is done.
    pub action: Action,
    /// The nodes in the order in which they are preferred for it.
    pub order: Vec<Name>,
}

/// Everything that is wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ScheduleError {
    /// The problems, in the order of the schedule.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// One thing wrong with one entry of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule[{entry}].{field}: {why}")]
pub struct Problem {
    /// The entry, from 0.
    pub entry: usize,
    /// The field to be put right.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Schedule {
    /// Fills in what a schedule written by hand leaves open: numbers by position, and from the seed
    /// the order of the nodes that an entry does not name. Changes nothing that is there.
    pub fn complete(&mut self, seed: u64, nodes: &[Name]) {
        for (number, planned) in (1..).zip(&mut self.faults) {
            if planned.id == 0 {
                planned.id = number;
            }
            // A stream for each entry: what one says of its nodes changes nothing for the others.
            let mut stream = Stream::new(seed, Purpose::Schedule, number as u32);
            let mut rest: Vec<Name> = nodes.to_vec();
            rest.retain(|node| !planned.order.contains(node));
            stream.shuffle(&mut rest);
            planned.order.append(&mut rest);
        }
    }

    /// Checks a schedule, which may have been edited by hand, against the run it is for.
    ///
    /// # Errors
    /// Every problem, with the entry and the field.
    pub fn validate(&self, nodes: &[Name], duration_ms: u64) -> Result<(), ScheduleError> {
        let mut problems = Vec::new();
        let mut ids = BTreeSet::new();
        for (entry, planned) in self.faults.iter().enumerate() {
            let mut problem = |field, why| problems.push(Problem { entry, field, why });
            if !ids.insert(planned.id) {
                let id = planned.id;
                problem("id", format!("{id} is the id of an earlier fault too"));
            }
            planned.check_times(duration_ms, &mut problem);
            for (field, conditions) in [("after", &planned.after), ("until", &planned.until)] {
                for id in conditions.iter().filter_map(Condition::fault) {
                    if id == planned.id {
                        problem(field, "a fault cannot wait for itself".to_owned());
                    } else if !self.faults.iter().any(|other| other.id == id) {
                        problem(field, format!("there is no fault {id}"));
                    }
                }
                let named = conditions.iter().filter_map(Condition::node);
                for stranger in named.filter(|node| !nodes.contains(node)) {
                    problem(field, no_node(stranger, nodes));
                }
            }
            let fault = planned.action.fault();
            if let Some((field, why)) = fault.problem() {
                problem(field, why);
            }
            if let Some(why) = why_no_permutation(&planned.order, nodes) {
                problem("order", why);
            } else if planned.hits_nothing() {
                let (field, choice) = fault.aim().choice();
                problem(
                    field,
                    format!("{choice} acts on nothing with {} nodes", nodes.len()),
                );
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ScheduleError { problems })
        }
    }
}

impl Planned {
    fn check_times(&self, duration_ms: u64, problem: &mut impl FnMut(&'static str, String)) {
        if self.for_ms == 0 {
            problem("for_ms", "a fault must last at least 1 ms".to_owned());
        }
        let begin_ms = self.at_ms.saturating_add(self.delay_ms);
        let end_ms = begin_ms.saturating_add(self.for_ms);
        if begin_ms >= duration_ms {
            problem("at_ms", format!("begins after the run's {duration_ms} ms"));
        } else if end_ms > duration_ms {
            problem(
                "for_ms",
                format!("ends at {end_ms} ms, after the run's {duration_ms} ms"),
            );
        }
    }

    /// Whether it would do nothing with these nodes, whoever leads.
    fn hits_nothing(&self) -> bool {
        let leader = self.order.first().map(|node| &**node);
        let prepared = self.action.fault().prepare(&self.order, leader);
        prepared.targets.is_empty()
    }
}

fn no_node(stranger: &Name, nodes: &[Name]) -> String {
    format!("no node {stranger:?} (known: {})", nodes.join(", "))
}

/// Why `order` does not name each of these nodes once, if it does not.
fn why_no_permutation(order: &[Name], nodes: &[Name]) -> Option<String> {
    if let Some(stranger) = order.iter().find(|name| !nodes.contains(name)) {
        return Some(no_node(stranger, nodes));
    }
    if let Some(missing) = nodes.iter().find(|node| !order.contains(node)) {
        return Some(format!("must name every node, and leaves out {missing:?}"));
    }
    (order.len() != nodes.len()).then(|| "names a node twice".to_owned())
}
