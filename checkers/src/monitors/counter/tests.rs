//! The counter monitor against the oracle.

use histories::Value;
use seeds::Stream;

use super::{Conditions, decide};
use crate::models::{Counter, CounterOp};
use crate::monitors::compare::{Comparison, assert_all_needed, compare, every, random, with};
use crate::oracle::Interval;
use crate::testing::{chance, random_intervals};
use crate::{Model, Monitored, NilReads};

use CounterOp::{Add, AddAndGet, Read};

fn counter(initial: i64) -> Counter {
    Counter::new(Some(&Value::Int(initial)), NilReads::Observe).unwrap()
}

fn judge(initial: i64, history: &[Interval<CounterOp>], conditions: Conditions) -> Comparison {
    let model = counter(initial);
    compare(
        &model,
        history,
        decide(model.initial(None), history, conditions),
    )
}

fn small_ops() -> Vec<CounterOp> {
    vec![
        Add(1),
        AddAndGet(1, 1),
        AddAndGet(1, 2),
        Read(0),
        Read(1),
        Read(2),
    ]
}

/// Goal: no small history is judged wrongly. Method: all of them.
#[test]
fn all_small_histories() {
    for count in 1..=4 {
        let tally = every(
            count,
            &small_ops(),
            |_| true,
            |history| judge(0, history, Conditions::ALL),
        );
        tally.assert_right();
        assert!(tally.applicable_percent() >= 60, "{count}: {tally:?}");
    }
    let plain = [Add(2), Read(1), Read(2), Read(4)];
    let tally = every(
        4,
        &plain,
        |_| true,
        |history| judge(0, history, Conditions::ALL),
    );
    tally.assert_right();
    assert_eq!(tally.applicable_percent(), 100);
    let mixed = [Add(1), Add(-2), Read(0), Read(1), Read(-1), AddAndGet(1, 0)];
    let tally = every(
        3,
        &mixed,
        |_| true,
        |history| judge(0, history, Conditions::ALL),
    );
    tally.assert_right();
}

/// A history of a counter: each operation happens at a moment between its ends, and now and then
/// one finds something a little wrong.
fn simulated(
    chance: &mut Stream,
    initial: i64,
    amounts: &[i64],
    answers_percent: u64,
) -> Vec<Interval<CounterOp>> {
    let (operations, width) = (4 + chance.below(9) as usize, 1 + chance.below(6) as usize);
    let mut history = random_intervals(chance, operations, width, |chance| {
        match chance.chance(2, 3) {
            true => Add(*chance.pick(amounts).unwrap()),
            false => Read(0),
        }
    });
    let mut moments: Vec<(u64, usize)> = Vec::new();
    for (call, interval) in history.iter_mut().enumerate() {
        interval.begins *= 2;
        interval.ends = interval.ends.map(|ends| 2 * ends);
        let ends = interval.ends.unwrap_or(interval.begins + 7);
        if interval.ends.is_some() || chance.chance(1, 2) {
            let moment = interval.begins + chance.below(ends - interval.begins);
            moments.push((moment, call));
        }
    }
    moments.sort_unstable();
    let wrong_percent = 10 * chance.below(3);
    let mut count = initial;
    for (_, call) in moments {
        let interval = &mut history[call];
        let seen = match chance.chance(wrong_percent, 100) {
            true => chance.below(3) as i64 - 1,
            false => 0,
        };
        interval.op = match interval.op {
            Add(amount) => {
                count += amount;
                let answers = interval.ends.is_some() && chance.chance(answers_percent, 100);
                match answers {
                    true => AddAndGet(amount, count + seen),
                    false => Add(amount),
                }
            }
            _ => Read(count + seen),
        };
    }
    history
}

fn simulate(
    seed: u64,
    conditions: Conditions,
    amounts: &[i64],
    answers_percent: u64,
) -> Comparison {
    let mut chance = chance(seed);
    let initial = chance.below(5) as i64 - 2;
    let history = simulated(&mut chance, initial, amounts, answers_percent);
    judge(initial, &history, conditions)
}

const SEEDS: u64 = 2_500;

/// Goal: the same for longer histories. Method: counters that are right, and counters that
/// sometimes answer wrongly.
#[test]
fn random_histories() {
    let all = Conditions::ALL;
    for amounts in [&[1][..], &[-1], &[3]] {
        for answers_percent in [0, 30] {
            let tally = random(SEEDS, |seed| simulate(seed, all, amounts, answers_percent));
            tally.assert_right();
            assert_eq!(tally.applicable_percent(), 100);
        }
    }
    let mixed = random(SEEDS, |seed| simulate(seed, all, &[1, 2, -1, 5], 30));
    assert_eq!(mixed.wrong, 0, "{:?}", mixed.example);
    assert!(mixed.violated > 0 && mixed.not_applicable > 0, "{mixed:?}");
}

/// Goal: every condition is needed. Method: without it, the comparison with the oracle fails.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let changed = [
        ("levels", with(|c| c.levels = false)),
        ("reads", with(|c| c.reads = false)),
        ("enough", with(|c| c.enough = false)),
        ("in time", with(|c| c.in_time = false)),
        ("first end", with(|c| c.first_end = false)),
        ("distinct", with(|c| c.distinct = false)),
        ("pinned", with(|c| c.pinned = false)),
        ("one amount", with(|c| c.one_amount = false)),
    ];
    assert_all_needed(&changed, |conditions| {
        let amounts = [&[1][..], &[3], &[1, 2]];
        amounts
            .into_iter()
            .any(|amounts| random(SEEDS, |seed| simulate(seed, conditions, amounts, 30)).is_wrong())
    });
    // Without the bounds nothing is found of different amounts.
    let without = with(|c| c.bounds = false);
    let tally = random(SEEDS, |seed| simulate(seed, without, &[1, 2, -1, 5], 30));
    let with = random(SEEDS, |seed| {
        simulate(seed, Conditions::ALL, &[1, 2, -1, 5], 30)
    });
    assert!(tally.violated < with.violated, "{tally:?} {with:?}");
}

/// Goal: the calls named are the few that matter. Method: one history for each contradiction.
#[test]
fn what_contradicts_each_other_is_named() {
    let at = |op, begins, ends| Interval {
        op,
        begins,
        ends: Some(ends),
    };
    let rows: [(Vec<Interval<CounterOp>>, Vec<usize>); 7] = [
        (vec![at(Add(2), 0, 1), at(Read(1), 2, 3)], vec![1]),
        (vec![at(Read(1), 0, 1), at(Add(1), 2, 3)], vec![0]),
        (vec![at(Add(1), 0, 1), at(Read(0), 2, 3)], vec![0, 1]),
        (
            vec![at(Add(1), 0, 9), at(Read(1), 1, 2), at(Read(0), 3, 4)],
            vec![1, 2],
        ),
        (
            vec![
                at(AddAndGet(1, 1), 0, 3),
                at(AddAndGet(1, 1), 1, 4),
                at(Add(1), 2, 5),
            ],
            vec![0, 1],
        ),
        // Between the reads there is room for one, but two happened.
        (
            vec![
                at(Add(1), 0, 99),
                at(Read(1), 1, 2),
                at(Add(1), 3, 4),
                at(Add(1), 5, 6),
                at(Read(2), 7, 8),
            ],
            vec![1, 2, 3, 4],
        ),
        // Five were taken away, but of at most six.
        (
            vec![
                at(Add(6), 0, 1),
                at(Add(-1), 2, 3),
                at(Add(-4), 4, 5),
                at(Read(3), 6, 7),
            ],
            vec![2, 3],
        ),
    ];
    for (history, calls) in rows {
        let found = counter(0).monitor(&0, &history);
        assert_eq!(found, Some(Monitored::Violated(calls)), "{history:#?}");
        assert_eq!(judge(0, &history, Conditions::ALL), Comparison::Violated);
    }
}
