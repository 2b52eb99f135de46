//! Tests of the tests: a search without some condition of a rule must be found out.

use super::super::{Condition, stale};
use super::*;

fn without(dropped: Condition) -> Reductions {
    Reductions {
        dropped: Some(dropped),
        ..Reductions::ALL
    }
}

/// Whether an engine without the condition is wrong about the history.
fn is_wrong<M: Model>(
    model: &M,
    intervals: &[Interval<M::Op>],
    dropped: Condition,
    engines: Engines,
) -> bool {
    let problem = problem(model, intervals, true);
    let (decision, _) = decide_with(&problem, &budget(), without(dropped), engines);
    (decision == Decision::Linearizable) != truth(model, intervals)
}

/// Goal: every condition of R1, R2 and R3 is needed. Method: without it some history is judged wrongly.
#[test]
fn no_condition_of_the_searches_can_be_left_out() {
    let model = register();
    for (dropped, engines) in [
        (Condition::ObserverLegal, Engines::Sets),
        (Condition::EarliestFirst, Engines::Sets),
        (Condition::MatesOnly, Engines::Sets),
        (Condition::MatesLeft, Engines::Sets),
        (Condition::UsedFewer, Engines::Sets),
        (Condition::ObserversMore, Engines::Sets),
        (Condition::OpenBegun, Engines::Sets),
        (Condition::ObserverLegal, Engines::Depth),
        (Condition::EarliestFirst, Engines::Depth),
        (Condition::MatesOnly, Engines::Depth),
        (Condition::MatesLeft, Engines::Depth),
    ] {
        let wrong = (0..40_000_u64).into_par_iter().any(|seed| {
            let mut chance = chance(seed);
            let ops = register_ops(2 + chance.below(2) as i64, chance.chance(2, 3));
            let (count, width) = (4 + chance.below(7) as usize, 2 + chance.below(5) as usize);
            let intervals = random_intervals(&mut chance, count, width, |chance| {
                chance.pick(&ops).unwrap().clone()
            });
            is_wrong(&model, &intervals, dropped, engines)
        });
        assert!(wrong, "{engines:?}: nothing goes wrong without {dropped:?}");
    }
}

/// Goal: every condition of R6 is needed. Method: without it some good history is called bad.
#[test]
fn no_condition_of_what_is_to_come_can_be_left_out() {
    let model = Kv::new(None, NilReads::Observe).unwrap();
    for dropped in [
        Condition::SourceAhead,
        Condition::SourceUnderWay,
        Condition::SourceOpen,
        Condition::NeededStill,
        Condition::OpenNeedNot,
    ] {
        let wrong = (0..20_000_u64).into_par_iter().any(|seed| {
            let intervals = deletes(&mut chance(seed));
            is_wrong(&model, &intervals, dropped, Engines::Depth)
        });
        assert!(wrong, "nothing goes wrong without {dropped:?}");
    }
}

/// Goal: every condition of what is plain to see is needed. Method: without it, what has an order is
/// called stale.
#[test]
fn no_condition_of_what_is_stale_can_be_left_out() {
    fn is_wrong<M: Model>(model: &M, intervals: &[Interval<M::Op>], dropped: Condition) -> bool {
        let problem = problem(model, intervals, false);
        stale(&problem, &without(dropped)).is_some() && truth(model, intervals)
    }
    let registers = MultiRegister::new(None, NilReads::Observe).unwrap();
    let kv = Kv::new(None, NilReads::Observe).unwrap();
    for dropped in [
        Condition::SourceUnderWay,
        Condition::SourceOpen,
        Condition::SourceOver,
        Condition::OverwriterOver,
        Condition::OpenNeedNot,
    ] {
        let wrong = (0..10_000_u64).into_par_iter().any(|seed| {
            let transactions = transactions(&mut chance(seed), 2, 3 + seed % 3);
            let deletes = deletes(&mut chance(seed));
            is_wrong(&registers, &transactions, dropped) || is_wrong(&kv, &deletes, dropped)
        });
        assert!(wrong, "nothing goes wrong without {dropped:?}");
    }
}

/// Goal: calls of unknown outcome that begin when everything has returned make no difference, and others
/// may. Method: with and without them, by the oracle; as if they were all like that, an order is lost.
#[test]
fn only_what_begins_after_the_last_return_can_be_left_out() {
    let model = register();
    let ops = register_ops(3, true);
    let goes_wrong = |reductions: Reductions| {
        let differ = (0..5_000_u64).into_par_iter().map(|seed| {
            let mut chance = chance(seed);
            let (count, width) = (2 + chance.below(7) as usize, 1 + chance.below(4) as usize);
            let mut rest = random_intervals(&mut chance, count, width, |chance| {
                chance.pick(&ops).unwrap().clone()
            });
            let holds = truth(&model, &rest);
            let mut keep = vec![true; rest.len()];
            problem(&model, &rest, false).drop_late(&mut keep, &reductions);
            let mut kept = keep.iter();
            rest.retain(|_| *kept.next().unwrap());
            [rest.len() < keep.len(), truth(&model, &rest) != holds].map(usize::from)
        });
        differ.reduce(|| [0, 0], |a, b| [a[0] + b[0], a[1] + b[1]])
    };
    let [left_out, wrong] = goes_wrong(Reductions::ALL);
    assert!(left_out > 200 && wrong == 0, "{left_out} {wrong}");
    assert!(goes_wrong(without(Condition::NothingReturns))[1] > 0);
}

/// Goal: what is left after a call that is pinned has an order if the whole has one, from wherever that may
/// have begun, and every condition of that is needed. Method: histories by chance, cut anywhere and then
/// weakened; from all states their calls lead to, by the oracle.
#[test]
fn no_condition_of_what_is_pinned_can_be_left_out() {
    fn has_order<M: Model>(part: &Problem<'_, M>, starts: &[M::State]) -> bool {
        let intervals = crate::explain::intervals(part);
        let mut starts = starts.iter();
        starts
            .any(|start| oracle::is_linearizable(part.model, start, &intervals, u64::MAX).unwrap())
    }
    let model = MultiRegister::new(None, NilReads::Observe).unwrap();
    // Whether what has no order any more had one; `None` where it still has one.
    let is_wrong = |seed: u64, reductions: &Reductions| {
        let mut chance = chance(seed);
        let whole = problem(&model, &transactions(&mut chance, 1 + seed % 2, 3), false);
        let cut = chance.below(whole.moments.len() as u64 + 1) as usize;
        let local = whole.beginning_pinned(cut, reductions)?;
        let bounded = chance.below(256);
        let core = local.weakened(local.moments.len(), |call| bounded >> (call % 8) & 1 == 1);
        if has_order(&core, &core.starts) {
            return None;
        }
        let anywhere = states(&model, &whole.classes);
        Some(has_order(&whole, &anywhere) || has_order(&core, &anywhere))
    };
    let seeds = || (0..20_000_u64).into_par_iter();
    let found: Vec<bool> = seeds()
        .filter_map(|seed| is_wrong(seed, &Reductions::ALL))
        .collect();
    assert!(
        found.len() > 1_000 && !found.contains(&true),
        "{}",
        found.len()
    );
    for dropped in [
        Condition::PinnedLeavesOne,
        Condition::PinnedFits,
        Condition::PinnedReturns,
        Condition::BesideStays,
        Condition::BesideOpen,
    ] {
        let wrong = seeds().any(|seed| is_wrong(seed, &without(dropped)) == Some(true));
        assert!(wrong, "nothing goes wrong without {dropped:?}");
    }
}

/// All states that these operations lead to.
fn states<M: Model>(model: &M, ops: &[M::Op]) -> Vec<M::State> {
    let mut states = vec![model.initial(None)];
    let mut at = 0;
    while let Some(state) = states.get(at).cloned() {
        for next in ops.iter().filter_map(|op| model.step(&state, op)) {
            if !states.contains(&next) {
                states.push(next);
            }
        }
        at += 1;
    }
    states
}
