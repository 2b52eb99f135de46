//! Tests of the tests: a search without some condition of a rule must be found out.

use super::super::Condition;
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
