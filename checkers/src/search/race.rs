//! Both engines take turns, each longer than the last: whichever decides first wins.
//!
//! Taking turns on one thread, rather than racing on two, makes a verdict and its cost the same on
//! every run.

use super::beam::Beams;
use super::depth::DepthSearch;
use super::mask::{Fixed, Mask, Spilled};
use super::sets::SetSearch;
use super::{Decision, Problem, Progress, Reductions};
use crate::Model;
use crate::limits::{Budget, Exhausted};

/// Each turn is so many times as long as the last.
const TURN_GROWTH: u64 = 4;
/// The first turn, per moment of the history: enough for the set search to end most histories.
const TURN_NODES_PER_MOMENT: u64 = 16;
const TURN_NODES_MIN: u64 = 4096;
/// The same where the history is known to be a hard one, and either engine may be hopeless.
const HARD_TURN_NODES_PER_MOMENT: u64 = 4;

/// Which engines to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engines {
    Sets,
    Depth,
    /// Sets that after the first turn are a beam, and the depth-first search.
    Both,
    /// Sets with a beam alone, so narrow that it often dies.
    #[cfg(test)]
    Beam,
}

/// Decides with both engines, and says how much work it took.
pub(crate) fn decide<M: Model>(problem: &Problem<'_, M>, budget: &Budget) -> (Decision, u64) {
    decide_with(problem, budget, Reductions::ALL, Engines::Both)
}

/// Decides with some of both.
pub(crate) fn decide_with<M: Model>(
    problem: &Problem<'_, M>,
    budget: &Budget,
    reductions: Reductions,
    engines: Engines,
) -> (Decision, u64) {
    let mut searches: Vec<Box<dyn Search + '_>> = Vec::new();
    let beams = match engines {
        Engines::Depth | Engines::Sets => None,
        Engines::Both => Some(Beams::USUAL),
        #[cfg(test)]
        Engines::Beam => Some(Beams::NARROW),
    };
    if engines != Engines::Depth {
        searches.push(sets(problem, reductions, beams, budget));
    }
    let with_depth = matches!(engines, Engines::Depth | Engines::Both);
    let waits = with_depth.then_some(|| depth(problem, reductions, budget));
    race(
        searches,
        waits,
        problem.moments.len() as u64 * TURN_NODES_PER_MOMENT,
        budget,
    )
}

/// Decides with an engine of another kind and the depth-first search of `problem`, which gets the
/// first turn if it is `likely` to be the better one.
pub(crate) fn race_with<'s, M: Model>(
    engine: Box<dyn Search + 's>,
    problem: &'s Problem<'_, M>,
    likely: bool,
    budget: &Budget,
) -> (Decision, u64) {
    let turn = problem.moments.len() as u64 * HARD_TURN_NODES_PER_MOMENT;
    let waits = || depth(problem, Reductions::ALL, budget);
    match likely {
        true => race(vec![waits(), engine], None::<fn() -> _>, turn, budget),
        false => race(vec![engine], Some(waits), turn, budget),
    }
}

/// The set search with the masks the width asks for; with a beam where `beams` are given.
fn sets<'s, M: Model>(
    problem: &'s Problem<'_, M>,
    reductions: Reductions,
    beams: Option<Beams>,
    budget: &Budget,
) -> Box<dyn Search + 's> {
    match problem.width {
        0..=64 => sets_of::<M, Fixed<1>>(problem, reductions, beams, budget),
        65..=256 => sets_of::<M, Fixed<4>>(problem, reductions, beams, budget),
        _ => sets_of::<M, Spilled>(problem, reductions, beams, budget),
    }
}

fn sets_of<'s, M: Model, K: Mask + 's>(
    problem: &'s Problem<'_, M>,
    reductions: Reductions,
    beams: Option<Beams>,
    budget: &Budget,
) -> Box<dyn Search + 's> {
    let search = SetSearch::<K>::new(problem, reductions, budget);
    Box::new(match beams {
        Some(beams) => search.widening(beams),
        None => search,
    })
}

/// The depth-first search, likewise.
fn depth<'s, M: Model>(
    problem: &'s Problem<'_, M>,
    reductions: Reductions,
    budget: &Budget,
) -> Box<dyn Search + 's> {
    match problem.width {
        0..=64 => Box::new(DepthSearch::<Fixed<1>>::new(problem, reductions, budget)),
        65..=256 => Box::new(DepthSearch::<Fixed<4>>::new(problem, reductions, budget)),
        _ => Box::new(DepthSearch::<Spilled>::new(problem, reductions, budget)),
    }
}

/// An engine at work on one problem.
pub(crate) trait Search {
    /// Works for about `nodes` units.
    fn advance(&mut self, nodes: u64) -> Progress;
    /// Work done so far.
    fn nodes(&self) -> u64;
    /// How many moments are explained.
    fn position(&self) -> usize;
}

/// Gives each search its turn. The one that waits is made only when the first turn of the others
/// was not enough.
fn race<'s>(
    mut searches: Vec<Box<dyn Search + 's>>,
    mut waits: Option<impl FnOnce() -> Box<dyn Search + 's>>,
    first_turn: u64,
    budget: &Budget,
) -> (Decision, u64) {
    let mut turn = first_turn.max(TURN_NODES_MIN);
    let (mut spent, mut explained, mut limit) = (0, 0, Exhausted::Cancelled);
    loop {
        let mut number = 0;
        while let Some(search) = searches.get_mut(number) {
            let before = search.nodes();
            let progress = search.advance(turn.min(budget.nodes.saturating_sub(spent)));
            spent += search.nodes() - before;
            explained = explained.max(search.position());
            match progress {
                Progress::Done(decision) => return (decision, spent),
                Progress::Paused => number += 1,
                Progress::GaveUp(why) => {
                    limit = why;
                    searches.remove(number);
                }
            }
        }
        if spent >= budget.nodes {
            limit = Exhausted::Nodes;
            searches.clear();
        } else if let Some(search) = waits.take() {
            searches.insert(0, search());
        } else {
            turn = turn.saturating_mul(TURN_GROWTH);
        }
        if searches.is_empty() {
            return (
                Decision::Undecided {
                    limit,
                    event: explained,
                },
                spent,
            );
        }
    }
}
