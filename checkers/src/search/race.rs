//! Both engines take turns, each longer than the last: whichever decides first wins.
//!
//! Taking turns on one thread, rather than racing on two, makes a verdict and its cost the same on
//! every run.

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

/// Which engines to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engines {
    Sets,
    Depth,
    Both,
}

/// Decides with both engines, and says how much work it took.
pub(crate) fn decide<M: Model>(problem: &Problem<'_, M>, budget: &Budget) -> (Decision, u64) {
    decide_with(problem, budget, Reductions::ALL, Engines::Both)
}

/// Decides with the masks the width asks for.
pub(crate) fn decide_with<M: Model>(
    problem: &Problem<'_, M>,
    budget: &Budget,
    reductions: Reductions,
    engines: Engines,
) -> (Decision, u64) {
    match problem.width {
        0..=64 => race::<M, Fixed<1>>(problem, budget, reductions, engines),
        65..=256 => race::<M, Fixed<4>>(problem, budget, reductions, engines),
        _ => race::<M, Spilled>(problem, budget, reductions, engines),
    }
}

fn race<M: Model, K: Mask>(
    problem: &Problem<'_, M>,
    budget: &Budget,
    reductions: Reductions,
    engines: Engines,
) -> (Decision, u64) {
    let mut sets =
        (engines != Engines::Depth).then(|| SetSearch::<M, K>::new(problem, reductions, budget));
    // Made only when the first turn of the set search was not enough.
    let mut depth: Option<DepthSearch<M, K>> = None;
    let mut depth_may_start = engines != Engines::Sets;
    let mut turn = (problem.moments.len() as u64)
        .saturating_mul(TURN_NODES_PER_MOMENT)
        .max(TURN_NODES_MIN);
    let (mut nodes_spent, mut explained) = (0, 0);
    let mut limit = Exhausted::Cancelled;
    loop {
        let left = |spent: u64| turn.min(budget.nodes.saturating_sub(spent));
        if let Some(search) = &mut sets {
            let before = search.nodes();
            let progress = search.advance(left(nodes_spent));
            nodes_spent += search.nodes() - before;
            explained = explained.max(search.position());
            match progress {
                Progress::Done(decision) => return (decision, nodes_spent),
                Progress::Paused => {}
                Progress::GaveUp(why) => {
                    limit = why;
                    sets = None;
                }
            }
        }
        if depth_may_start && depth.is_none() {
            depth = Some(DepthSearch::new(problem, reductions, budget));
            depth_may_start = false;
        }
        if let Some(search) = &mut depth {
            let before = search.nodes();
            let progress = search.advance(left(nodes_spent));
            nodes_spent += search.nodes() - before;
            explained = explained.max(search.position());
            match progress {
                Progress::Done(decision) => return (decision, nodes_spent),
                Progress::Paused => {}
                Progress::GaveUp(why) => {
                    limit = why;
                    depth = None;
                }
            }
        }
        if sets.is_none() && depth.is_none() {
            return (
                Decision::Undecided {
                    limit,
                    event: explained,
                },
                nodes_spent,
            );
        }
        if nodes_spent >= budget.nodes {
            let limit = Exhausted::Nodes;
            return (
                Decision::Undecided {
                    limit,
                    event: explained,
                },
                nodes_spent,
            );
        }
        turn = turn.saturating_mul(TURN_GROWTH);
    }
}
