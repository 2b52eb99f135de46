//! The schedule: which fault happens when and to whom, as data of the plan.
//!
//! Everything is chosen when the schedule is drawn, but for who leads at that moment: each entry
//! carries the nodes in an order drawn from the seed, and every later choice takes the first in
//! that order that fits. So a replay draws nothing.

mod draw;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use draw::{Draw, DrawError};

use crate::{Action, Kill, Kind, Name, Partition, Pause, Role, Shape};

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
    /// Its number in the run: the history's events of this fault carry it.
    pub id: u64,
    /// When it begins, in milliseconds after the start of the clients.
    pub at_ms: u64,
    /// How long it lasts, in milliseconds.
    pub for_ms: u64,
    /// What is done.
    pub action: Action,
    /// The nodes in the order in which they are preferred for it.
    pub order: Vec<Name>,
}

/// A planned fault as a plan file writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: u64,
    at_ms: u64,
    for_ms: u64,
    fault: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
    order: Vec<Name>,
}

impl TryFrom<Entry> for Planned {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Self, String> {
        let Entry {
            id,
            at_ms,
            for_ms,
            fault,
            target,
            shape,
            order,
        } = entry;
        let action = match (fault, target, shape) {
            (Kind::Kill, Some(target), None) => Action::Kill(Kill { target }),
            (Kind::Pause, Some(target), None) => Action::Pause(Pause { target }),
            (Kind::Partition, None, Some(shape)) => Action::Partition(Partition { shape }),
            (Kind::Kill | Kind::Pause, _, _) => {
                return Err(format!(
                    "fault {id}: a {fault} needs `target`, and takes no `shape`"
                ));
            }
            (Kind::Partition, _, _) => {
                return Err(format!(
                    "fault {id}: a {fault} needs `shape`, and takes no `target`"
                ));
            }
        };
        Ok(Planned {
            id,
            at_ms,
            for_ms,
            action,
            order,
        })
    }
}

impl From<Planned> for Entry {
    fn from(planned: Planned) -> Entry {
        let Planned {
            id,
            at_ms,
            for_ms,
            action,
            order,
        } = planned;
        let (target, shape) = match action {
            Action::Kill(Kill { target }) | Action::Pause(Pause { target }) => (Some(target), None),
            Action::Partition(Partition { shape }) => (None, Some(shape)),
        };
        Entry {
            id,
            at_ms,
            for_ms,
            fault: action.kind(),
            target,
            shape,
            order,
        }
    }
}

/// What a schedule's walker does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Begin and inject this fault.
    Inject(&'a Planned),
    /// Heal this fault.
    Heal(&'a Planned),
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
    /// What to do when, in order: times in milliseconds. What ends comes before what begins at the
    /// same time.
    pub fn steps(&self) -> Vec<(u64, Step<'_>)> {
        let mut steps = Vec::with_capacity(self.faults.len() * 2);
        for planned in &self.faults {
            steps.push((planned.at_ms, Step::Inject(planned)));
            steps.push((
                planned.at_ms.saturating_add(planned.for_ms),
                Step::Heal(planned),
            ));
        }
        // A fault of no length must begin before it ends; validation refuses those.
        steps.sort_by_key(|(at_ms, step)| (*at_ms, matches!(step, Step::Inject(_))));
        steps
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
                problem(
                    "id",
                    format!("{} is the id of an earlier fault too", planned.id),
                );
            }
            if planned.for_ms == 0 {
                problem("for_ms", "a fault must last at least 1 ms".to_owned());
            }
            let end_ms = planned.at_ms.saturating_add(planned.for_ms);
            if planned.at_ms >= duration_ms {
                problem("at_ms", format!("begins after the run's {duration_ms} ms"));
            } else if end_ms > duration_ms {
                problem(
                    "for_ms",
                    format!("ends at {end_ms} ms, after the run's {duration_ms} ms"),
                );
            }
            if let Some(why) = why_no_permutation(&planned.order, nodes) {
                problem("order", why);
            } else if planned.hits_nothing() {
                let (field, choice) = planned.choice();
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
    /// Whether it would do nothing with these nodes, whoever leads.
    fn hits_nothing(&self) -> bool {
        match self.action {
            Action::Kill(Kill { target }) | Action::Pause(Pause { target }) => {
                let leader = self.order.first().map(|node| &**node);
                target.resolve(&self.order, leader).is_empty()
            }
            Action::Partition(Partition { shape }) => shape.cuts(&self.order, None).is_empty(),
        }
    }

    /// The field that says whom it hits, and what stands there.
    fn choice(&self) -> (&'static str, &'static str) {
        match self.action {
            Action::Kill(Kill { target }) | Action::Pause(Pause { target }) => {
                ("target", target.name())
            }
            Action::Partition(Partition { shape }) => ("shape", shape.name()),
        }
    }
}

/// Why `order` does not name each of these nodes once, if it does not.
fn why_no_permutation(order: &[Name], nodes: &[Name]) -> Option<String> {
    if let Some(stranger) = order.iter().find(|name| !nodes.contains(name)) {
        return Some(format!(
            "no node {stranger:?} (known: {})",
            nodes.join(", ")
        ));
    }
    if let Some(missing) = nodes.iter().find(|node| !order.contains(node)) {
        return Some(format!("must name every node, and leaves out {missing:?}"));
    }
    (order.len() != nodes.len()).then(|| "names a node twice".to_owned())
}
