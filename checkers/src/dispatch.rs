//! Which engine decides a part: the special ones where they apply, the general search elsewhere.
//!
//! Wherever a special engine decides, another one that shares no code with it decides too, as far
//! as that can be afforded. If they contradict each other nothing is known, and the checker has a
//! defect (`checker.md` sections 4 and 6.3).

use crate::limits::{Budget, Exhausted};
use crate::normalise::Part;
use crate::registers::{self, RegisterHistory};
use crate::search::{self, Decision};
use crate::{Model, Monitored};

/// What the general search may do to cross-check a monitor, per moment.
const CROSS_CHECK_NODES_PER_MOMENT: u64 = 16;

/// What is known of a part.
#[derive(Debug)]
pub(crate) enum Finding {
    /// It has an order.
    Linearizable,
    /// It has none.
    Violated(Violation),
    /// Not known. The moments before `event` have an order.
    Undecided { limit: Exhausted, event: usize },
    /// Two engines contradict each other.
    Disagreement(&'static str),
}

/// What was found out about a violation on the way.
#[derive(Debug)]
pub(crate) struct Violation {
    /// The moment with which the shortest prefix without an order ends, where known.
    pub event: Option<usize>,
    /// Members that contradict each other, all others being of unknown outcome.
    pub hint: Option<Vec<u32>>,
    /// The part as a register, where it was decided as one.
    pub registers: Option<RegisterHistory>,
    /// The work it took.
    pub nodes: u64,
}

/// Decides a part.
pub(crate) fn decide<M: Model>(model: &M, part: &Part<M::Op>, budget: &Budget) -> Finding {
    let initial = model.initial(part.key.as_ref());
    let intervals = part.intervals();
    let view = model.register_view(&initial, &intervals);
    let monitored = model.monitor(&initial, &intervals);
    drop(intervals);
    let by_view = view.map(|view| {
        let history = part.registers(&view);
        decide_registers(model, part, history, budget)
    });
    match (monitored, by_view) {
        (None, None) => by_search(model, part, budget),
        (None, Some(finding)) => finding,
        (Some(monitored), None) => {
            let nodes = CROSS_CHECK_NODES_PER_MOMENT * part.moments.len() as u64;
            let second = by_search(model, part, &budget.with_nodes(nodes.min(budget.nodes)));
            agree(monitored, second)
        }
        (Some(monitored), Some(finding)) => agree(monitored, finding),
    }
}

/// The verdict of a monitor and of a second engine.
fn agree(monitored: Monitored, second: Finding) -> Finding {
    match (monitored, second) {
        (_, Finding::Disagreement(who)) => Finding::Disagreement(who),
        (Monitored::Linearizable, Finding::Linearizable | Finding::Undecided { .. }) => {
            Finding::Linearizable
        }
        (Monitored::Violated(calls), Finding::Violated(violation)) => {
            Finding::Violated(Violation {
                hint: Some(calls.into_iter().map(|call| call as u32).collect()),
                ..violation
            })
        }
        (Monitored::Violated(calls), Finding::Undecided { .. }) => Finding::Violated(Violation {
            event: None,
            hint: Some(calls.into_iter().map(|call| call as u32).collect()),
            registers: None,
            nodes: 0,
        }),
        (Monitored::Linearizable, Finding::Violated(_))
        | (Monitored::Violated(_), Finding::Linearizable) => {
            Finding::Disagreement("the model's own algorithm and the search")
        }
    }
}

/// Decides by the engines for registers.
fn decide_registers<M: Model>(
    model: &M,
    part: &Part<M::Op>,
    history: RegisterHistory,
    budget: &Budget,
) -> Finding {
    let _ = (registers::decide_excerpt(&history, budget), history);
    by_search(model, part, budget)
}

/// Decides by the general search.
fn by_search<M: Model>(model: &M, part: &Part<M::Op>, budget: &Budget) -> Finding {
    let problem = part.problem(model, true);
    let (decision, nodes) = search::decide(&problem, budget);
    // The search leaves calls out, so its moments are others.
    let position = |event: usize| {
        let Some(moment) = problem.moments.get(event) else {
            return part.moments.len();
        };
        let source = problem.calls[moment.call as usize].source;
        let member = part.members.iter().position(|m| m.source == source);
        let wanted = member.map(|member| (member as u32) << 1 | u32::from(moment.returns));
        let found = part.moments.iter().position(|m| Some(*m) == wanted);
        found.unwrap_or(part.moments.len())
    };
    match decision {
        Decision::Linearizable => Finding::Linearizable,
        Decision::NotLinearizable { event } => Finding::Violated(Violation {
            event: Some(position(event)),
            hint: None,
            registers: None,
            nodes,
        }),
        Decision::Undecided { limit, event } => Finding::Undecided {
            limit,
            event: position(event),
        },
    }
}
