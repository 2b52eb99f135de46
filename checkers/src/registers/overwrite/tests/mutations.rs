//! Tests of the tests: a run without some condition of a rule must be found out.

use rayon::prelude::*;

use super::super::rules::Condition;
use super::*;

/// Histories looked at for each condition.
const SEEDS: u64 = 1_000;

/// All conditions, and from which seed on to look: some matter in few histories only.
const CONDITIONS: [(Condition, u64); 33] = [
    (Condition::ObserverLegal, 0),
    (Condition::EarliestFirst, 200),
    (Condition::OpenLast, 3400),
    (Condition::UsedFewer, 1600),
    (Condition::CoverLater, 7000),
    (Condition::UnobservedNots, 200),
    (Condition::UnobservedOpenCas, 21100),
    (Condition::DeadUnderWay, 0),
    (Condition::DeadAhead, 0),
    (Condition::DeadNots, 0),
    (Condition::HideOnlyNots, 100),
    (Condition::HideOnlyDead, 0),
    (Condition::DoomReturning, 100),
    (Condition::DoomOpen, 0),
    (Condition::DoomAhead, 0),
    (Condition::DoomOpenCas, 0),
    (Condition::HideBegun, 0),
    (Condition::SourceBegun, 8800),
    (Condition::OpenSourceBegun, 37600),
    (Condition::ReaderBegun, 2200),
    (Condition::RunServed, 21700),
    (Condition::Enabling, 0),
    (Condition::MatesOnly, 0),
    (Condition::PruneCover, 500),
    (Condition::PruneObservers, 300),
    (Condition::PruneWrites, 0),
    (Condition::PruneCas, 0),
    (Condition::PruneUsed, 700),
    (Condition::ForgetDead, 19800),
    (Condition::BeamTruncated, 0),
    (Condition::ForgetNots, 25600),
    (Condition::DoomCas, 0),
    (Condition::OneDead, 29800),
];

/// Whether a run without the condition is wrong about the history.
fn is_wrong(history: &RegisterHistory, expected: bool, condition: Condition) -> bool {
    let options = Options {
        look_ahead: true,
        beam: (condition == Condition::BeamTruncated).then_some(1),
        dropped: Some(condition),
    };
    match decide(history, &options, &budget()).decision {
        Decision::Linearizable => !expected,
        Decision::NotLinearizable { .. } => expected,
        Decision::Undecided { .. } => false,
    }
}

/// A history and the truth about it: small ones by the oracle, larger ones because a register made
/// them.
fn case(seed: u64) -> (RegisterHistory, bool) {
    if seed.is_multiple_of(3) {
        return (made(&mut chance(seed)), true);
    }
    let (intervals, starts) = small(&mut chance(seed));
    let expected = truth(&intervals, &starts);
    (history_of(&intervals, &starts), expected)
}

#[test]
fn every_condition_is_missed_when_it_is_dropped() {
    for (condition, from) in CONDITIONS {
        let found = (from..from + SEEDS).into_par_iter().find_any(|&seed| {
            let (history, expected) = case(seed);
            is_wrong(&history, expected, condition)
        });
        assert!(found.is_some(), "nobody misses {condition:?}");
    }
}
