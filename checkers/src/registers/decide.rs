//! How a register history is decided: by its zones where its values are unique, else at once where one
//! is found that nobody can have written; by the set of configurations in any case.

use super::overwrite::{self, Options};
use super::unwritten;
use super::zones::{self, Zones};
use super::{Access, Excerpt, OPEN, RegisterCall, RegisterHistory};
use crate::limits::{Budget, Exhausted};
use crate::search::Decision;

/// Histories of more calls are worth a second thread.
const CALLS_ALONE_MAX: usize = 20_000;
/// What the set of configurations may do at first, per moment: enough for all but the hard ones.
const SET_NODES_PER_MOMENT: u64 = 64;
const SET_NODES_MIN: u64 = 100_000;
/// The same where it is likely to be hopeless.
const SET_NODES_HARD: u64 = 10_000;
/// Of more values than so many for each open compare-and-set there are not few.
const VALUES_PER_OPEN_CAS: usize = 4;
/// Of shorter excerpts the set of configurations tells at which moment they go wrong; of longer ones
/// only whether they do, which is faster.
const EXACT_MOMENTS_MAX: usize = 4_096;

/// What may be done to find out where a history goes wrong, per moment.
const PREFIX_NODES_PER_MOMENT: u64 = 32;

/// What the set of configurations may do to find an order, per moment: it must leave a general
/// search time to try.
const ORDER_NODES_PER_MOMENT: u64 = 1_000;
const ORDER_NODES_MIN: u64 = 1_000_000;

/// What is known of a register history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opinion {
    /// It has an order.
    Linearizable,
    /// It has none; and perhaps calls that contradict each other.
    Violated(Option<Vec<u32>>),
    /// Not known: the first moments, so many, have an order.
    Undecided(Exhausted, usize),
    /// The two engines contradict each other.
    Disagreement,
}

/// Decides a history, and says what work it took. With `side_by_side` the engines run at once.
pub(crate) fn decide(
    history: &RegisterHistory,
    budget: &Budget,
    side_by_side: bool,
) -> (Opinion, u64) {
    let nodes = (history.moments.len() as u64)
        .saturating_mul(SET_NODES_PER_MOMENT)
        .max(SET_NODES_MIN);
    let nodes = match has_open_cas(history) {
        true => SET_NODES_HARD,
        false => nodes,
    };
    let first = budget.with_nodes(nodes.min(budget.nodes));
    let by_zones = || zones::decide(history).or_else(|| out_of_thin_air(history));
    let by_set = || overwrite::decide(history, &Options::exact(true), &first);
    let (zones, set) = match side_by_side && history.calls.len() > CALLS_ALONE_MAX {
        true => rayon::join(by_zones, by_set),
        false => (by_zones(), by_set()),
    };
    let opinion = match (zones, set.decision) {
        (Some(Zones::Linearizable) | None, Decision::Linearizable)
        | (Some(Zones::Linearizable), Decision::Undecided { .. }) => Opinion::Linearizable,
        (Some(Zones::Violated { calls }), Decision::NotLinearizable { .. })
        | (Some(Zones::Violated { calls }), Decision::Undecided { .. }) => {
            Opinion::Violated(Some(calls))
        }
        (None, Decision::NotLinearizable { .. }) => Opinion::Violated(None),
        (None, Decision::Undecided { limit, event }) => Opinion::Undecided(limit, event),
        (Some(Zones::Linearizable), Decision::NotLinearizable { .. })
        | (Some(Zones::Violated { .. }), Decision::Linearizable) => Opinion::Disagreement,
    };
    (opinion, set.nodes)
}

/// An order of a history, by the numbers of the calls, if one is found in time.
pub(crate) fn order(history: &RegisterHistory, budget: &Budget) -> Option<Vec<u32>> {
    zones::order(history).or_else(|| {
        let nodes = ORDER_NODES_PER_MOMENT.saturating_mul(history.moments.len() as u64);
        let nodes = nodes.max(ORDER_NODES_MIN).min(budget.nodes);
        overwrite::order(history, &budget.with_nodes(nodes))
    })
}

/// What is plain to see where the zones do not apply: a value that nobody can have written.
fn out_of_thin_air(history: &RegisterHistory) -> Option<Zones> {
    let call = unwritten::unwritten(history, unwritten::Conditions::ALL)?;
    Some(Zones::Violated { calls: vec![call] })
}

/// Whether there are open compare-and-sets over few values: they are what the set alone has most
/// trouble with. Of many values hardly any lead from one to another.
pub(crate) fn has_open_cas(history: &RegisterHistory) -> bool {
    let is_one =
        |call: &&RegisterCall| call.returns == OPEN && matches!(call.access, Access::Cas(..));
    let open = history.calls.iter().filter(is_one).count();
    open.saturating_mul(VALUES_PER_OPEN_CAS) > history.values as usize
}

/// Whether an excerpt has an order. The event of a violation is one at which it shows.
pub(crate) fn decide_excerpt(excerpt: &Excerpt, budget: &Budget) -> Decision {
    let history = &excerpt.history;
    let last = history.moments.len().saturating_sub(1);
    if last < EXACT_MOMENTS_MAX {
        return overwrite::decide(history, &Options::exact(false), budget).decision;
    }
    match zones::decide(history) {
        Some(Zones::Linearizable) => Decision::Linearizable,
        Some(Zones::Violated { .. }) => Decision::NotLinearizable { event: last },
        None => match overwrite::decide(history, &Options::exact(true), budget).decision {
            Decision::NotLinearizable { .. } => Decision::NotLinearizable { event: last },
            other => other,
        },
    }
}

/// The moment with which the shortest prefix that has no order ends, if that can be found out in
/// time.
pub(crate) fn shortest_bad_prefix(history: &RegisterHistory, budget: &Budget) -> Option<usize> {
    if has_open_cas(history) {
        return None;
    }
    let moments = history.moments.len() as u64;
    let nodes = SET_NODES_MIN.max(moments.saturating_mul(PREFIX_NODES_PER_MOMENT));
    let nodes = nodes.min(budget.nodes);
    match overwrite::shortest_bad_prefix(history, &budget.with_nodes(nodes)).decision {
        Decision::NotLinearizable { event } => Some(event),
        Decision::Linearizable | Decision::Undecided { .. } => None,
    }
}
