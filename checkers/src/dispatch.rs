//! Which engine decides a part: the special ones where they apply, the general search elsewhere.
//!
//! Wherever a special engine decides, another one that shares no code with it decides too, as far
//! as that can be afforded. If they contradict each other nothing is known, and the checker has a
//! defect (`checker.md` sections 4 and 6.3).

use histories::Operations;

use crate::limits::{Budget, Exhausted};
use crate::mend;
use crate::monitors::{self, Replayed};
use crate::moves;
use crate::normalise::Part;
use crate::oracle::Interval;
use crate::registers::{self, Opinion, overwrite, zones};
use crate::search::{self, Decision, Engines, Moment, Problem, Reductions};

use crate::subject::{InRegisters, Subject};
use crate::{Model, Monitored};

/// What the general search may do to cross-check a monitor: all of a small history, the beginning
/// of a large one, where the monitor is chosen for being so much faster.
const CROSS_CHECK_NODES_MAX: u64 = 10_000;

/// What the general search may do, per moment and at least, before a local contradiction is looked
/// for.
const SEARCH_NODES_PER_MOMENT: u64 = 64;
const SEARCH_NODES_MIN: u64 = 1_000_000;
/// What may be done to find out where a part probably goes wrong, per moment.
const LIKELY_NODES_PER_MOMENT: u64 = 12;
/// How far before the moment where the search is stuck that begins, in moments.
const LOCAL_MOMENTS: [usize; 4] = [16, 64, 256, 1024];
/// What may be done about each.
const LOCAL_NODES_MAX: u64 = 200_000;

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
#[derive(Debug, Default)]
pub(crate) struct Violation {
    /// The moment with which the shortest prefix without an order ends, where known.
    pub event: Option<usize>,
    /// Members that contradict each other, all others being of unknown outcome.
    pub hint: Option<Vec<u32>>,
    /// Whether the part was decided as a register, and weakened parts may be as that register.
    pub in_registers: bool,
    /// The moments of [`Excised`], if it was found so.
    pub excised: Option<Excised>,
    /// The work it took.
    pub nodes: u64,
}

/// A few moments that have no order by themselves, whatever state was there before: numbers of
/// moments of the problem without what nobody could tell of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Excised {
    /// What returned before is left out.
    pub from: usize,
    /// The return with which they end.
    pub event: usize,
}

impl Excised {
    /// Those moments (`checker.md` section 5, local refutation); `None` where the model cannot name
    /// the states that may be there, or the call that returns at the end began too early.
    pub(crate) fn of<'m, M: Model>(self, problem: &Problem<'m, M>) -> Option<Problem<'m, M>> {
        let last = problem.moments.get(self.event)?;
        let source = problem.calls[last.call as usize].source;
        let local = problem.without_before(self.from)?;
        let is_last =
            |moment: &Moment| moment.returns && local.calls[moment.call as usize].source == source;
        let end = local.moments.iter().position(is_last)?;
        Some(local.weakened(end + 1, |_| true))
    }
}

/// Decides a part. With `side_by_side` engines may run at once.
pub(crate) fn decide<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    subject: &Subject<M::Op>,
    budget: &Budget,
    side_by_side: bool,
) -> Finding {
    let history = match subject {
        Subject::Part(part) => part.intervals(),
        Subject::Register(_) => Vec::new(),
    };
    let monitored = match subject {
        Subject::Part(part) => {
            let initial = model.initial(part.key.as_ref());
            match model.monitor(&initial, &history) {
                Some(Monitored::Ordered(order)) => {
                    match monitors::replay(model, &initial, &history, &order) {
                        // Nobody needs to look for another one.
                        Replayed::Explains => return Finding::Linearizable,
                        Replayed::DoesNot => {
                            return Finding::Disagreement(
                                "the model's own algorithm and its steps",
                            );
                        }
                        Replayed::TooLarge => Some(Monitored::Linearizable),
                    }
                }
                monitored => monitored,
            }
        }
        Subject::Register(_) => None,
    };
    let by_registers = by_registers(model, operations, subject, budget, side_by_side);
    let by_search = |budget: &Budget| {
        let part = subject.part(model, operations);
        search_alone(model, &part, budget)
    };
    let monitored = match by_registers {
        None => monitored.or_else(|| plain_to_see(model, subject)),
        Some(_) => monitored,
    };
    match (monitored, by_registers) {
        (None, None) => by_search(budget),
        (None, Some(finding)) => finding,
        (Some(monitored), None) => {
            let nodes = CROSS_CHECK_NODES_MAX.min(budget.nodes);
            agree(monitored, by_search(&budget.with_nodes(nodes)), &history)
        }
        (Some(monitored), Some(finding)) => agree(monitored, finding, &history),
    }
}

/// What is plain to see where the model says what operations find and leave, or move.
fn plain_to_see<M: Model>(model: &M, subject: &Subject<M::Op>) -> Option<Monitored> {
    let Subject::Part(part) = subject else {
        return None;
    };
    let overdrawn = moves::overdrawn(model, part, moves::Conditions::ALL);
    let stale = || search::stale(&part.problem(model, false), &Reductions::ALL);
    let calls = overdrawn.or_else(stale)?;
    Some(Monitored::Violated(
        calls.into_iter().map(|call| call as usize).collect(),
    ))
}

/// What the engines for registers say, where the part is a register.
fn by_registers<M: Model>(
    model: &M,
    operations: &Operations<'_>,
    subject: &Subject<M::Op>,
    budget: &Budget,
    side_by_side: bool,
) -> Option<Finding> {
    let InRegisters {
        history,
        looks_ahead,
        allows_more,
    } = subject.registers(model)?;
    let (opinion, nodes) = registers::decide(&history, budget, side_by_side);
    let violated = |mut hint: Option<Vec<u32>>| {
        if let (true, Some(calls)) = (looks_ahead, &mut hint) {
            zones::add_witnesses(&history, calls);
        }
        Finding::Violated(Violation {
            hint,
            in_registers: !looks_ahead,
            nodes,
            ..Violation::default()
        })
    };
    Some(match opinion {
        Opinion::Violated(hint) => violated(hint),
        Opinion::Linearizable | Opinion::Undecided(..) if allows_more => {
            let Subject::Part(part) = subject else {
                return None;
            };
            let initial = model.initial(part.key.as_ref());
            let is_so = mend::has_order(model, &initial, &part.intervals(), &history, budget);
            return is_so.then_some(Finding::Linearizable);
        }
        Opinion::Linearizable => Finding::Linearizable,
        Opinion::Disagreement => Finding::Disagreement("the zones and the set of configurations"),
        Opinion::Undecided(Exhausted::Nodes, reached) if nodes < budget.nodes => {
            // A hard one: both kinds of search in turns, the set with ever wider beams.
            let part = subject.part(model, operations);
            let problem = part.problem(model, true);
            let set = overwrite::widening(&history, budget);
            let likely = registers::has_open_cas(&history);
            match search::race_with(set, &problem, likely, budget).0 {
                Decision::Linearizable => Finding::Linearizable,
                Decision::NotLinearizable { .. } => violated(None),
                Decision::Undecided { limit, event } => Finding::Undecided {
                    limit,
                    event: event.max(reached),
                },
            }
        }
        Opinion::Undecided(limit, event) => Finding::Undecided { limit, event },
    })
}

/// The verdict of a monitor and of a second engine.
fn agree<Op>(monitored: Monitored, second: Finding, history: &[Interval<Op>]) -> Finding {
    let known = match monitored {
        Monitored::Linearizable | Monitored::Ordered(_) => None,
        Monitored::Violated(calls) => Some(Violation {
            hint: Some(calls.into_iter().map(|call| call as u32).collect()),
            ..Violation::default()
        }),
        Monitored::ViolatedAt(call) => Some(Violation {
            // Times of intervals are the numbers of moments.
            event: history[call].ends.map(|ends| ends as usize),
            ..Violation::default()
        }),
    };
    match (known, second) {
        (_, Finding::Disagreement(who)) => Finding::Disagreement(who),
        (None, Finding::Linearizable | Finding::Undecided { .. }) => Finding::Linearizable,
        (Some(known), Finding::Violated(violation)) => Finding::Violated(Violation {
            hint: known.hint,
            event: violation.event.or(known.event),
            ..violation
        }),
        (Some(known), Finding::Undecided { .. }) => Finding::Violated(known),
        (None, Finding::Violated(_)) | (Some(_), Finding::Linearizable) => {
            Finding::Disagreement("the model's own algorithm and the search")
        }
    }
}

/// Decides by the general search.
fn search_alone<M: Model>(model: &M, part: &Part<M::Op>, budget: &Budget) -> Finding {
    let problem = part.problem(model, true);
    let nodes = (problem.moments.len() as u64 * SEARCH_NODES_PER_MOMENT).max(SEARCH_NODES_MIN);
    let (mut decision, mut nodes) =
        search::decide(&problem, &budget.with_nodes(nodes.min(budget.nodes)));
    if let Decision::Undecided {
        limit: Exhausted::Nodes,
        event,
    } = decision
        && nodes < budget.nodes
    {
        // A contradiction near to where both searches are stuck may be plain to see without all that
        // came before.
        if let Some(excised) = refuted_locally(&problem, event, budget) {
            return Finding::Violated(Violation {
                excised: Some(excised),
                nodes,
                ..Violation::default()
            });
        }
        let more;
        (decision, more) = search::decide(&problem, budget);
        nodes += more;
        // The second search begins anew, and may not come as far as the first.
        if let Decision::Undecided { event: again, .. } = &mut decision {
            *again = event.max(*again);
        }
    }
    match decision {
        Decision::Linearizable => Finding::Linearizable,
        Decision::NotLinearizable { event } => Finding::Violated(Violation {
            event: (!problem.may_be_early(event)).then(|| moment_of(part, &problem, event)),
            nodes,
            ..Violation::default()
        }),
        Decision::Undecided { limit, event } => Finding::Undecided {
            limit,
            event: moment_of(part, &problem, event),
        },
    }
}

/// Where a part that has no order probably goes wrong: the furthest that the depth-first search
/// comes, which finds an order of what has one sooner than any other.
pub(crate) fn likely_event<M: Model>(
    model: &M,
    part: &Part<M::Op>,
    budget: &Budget,
) -> Option<usize> {
    let problem = part.problem(model, true);
    let nodes = problem.moments.len() as u64 * LIKELY_NODES_PER_MOMENT;
    let budget = budget.with_nodes(nodes.min(budget.nodes));
    let reductions = Reductions {
        dooms: false,
        ..Reductions::ALL
    };
    match search::decide_with(&problem, &budget, reductions, Engines::Depth).0 {
        Decision::NotLinearizable { event } | Decision::Undecided { event, .. } => {
            Some(moment_of(part, &problem, event))
        }
        Decision::Linearizable => None,
    }
}

/// The moment of the part that is this moment of a problem, which leaves calls out.
fn moment_of<M: Model>(part: &Part<M::Op>, problem: &Problem<'_, M>, event: usize) -> usize {
    let Some(moment) = problem.moments.get(event) else {
        return part.moments.len();
    };
    let source = problem.calls[moment.call as usize].source;
    let member = part.members.iter().position(|m| m.source == source);
    let wanted = member.map(|member| (member as u32) << 1 | u32::from(moment.returns));
    let found = part.moments.iter().position(|m| Some(*m) == wanted);
    found.unwrap_or(part.moments.len())
}

/// The fewest moments up to `event` of some that have no order by themselves.
fn refuted_locally<M: Model>(
    problem: &Problem<'_, M>,
    event: usize,
    budget: &Budget,
) -> Option<Excised> {
    let budget = budget.with_nodes(LOCAL_NODES_MAX);
    LOCAL_MOMENTS.into_iter().find_map(|moments| {
        let from = event.saturating_sub(moments);
        let excised = Excised { from, event };
        let (decision, _) = search::decide(&excised.of(problem)?, &budget);
        matches!(decision, Decision::NotLinearizable { .. }).then_some(excised)
    })
}
