//! The orders of sums against the oracle.

use seeds::Stream;

use super::missing::Tables;
use super::{Conditions, Effort, Sum, decide_with};
use crate::models::bank::sums_of;
use crate::models::{Bank, BankOp, Counter, CounterOp};
use crate::monitors::compare::{
    Comparison, assert_all_needed, at_moments, compare, every, random, with,
};
use crate::oracle::{self, Interval};
use crate::testing::{chance, each_history, random_intervals, samples};
use crate::{Model, NilReads};

fn bank(initial: &str) -> Bank {
    let initial = histories::edn::parse_value(initial).unwrap();
    Bank::new(Some(&initial), NilReads::Observe).unwrap()
}

/// What is found is an order, or the first place where there is none; and no order is missed.
fn judge<M: Model>(model: &M, history: &[Interval<M::Op>]) -> Comparison {
    let initial = model.initial(None);
    let said = model.monitor(&initial, history);
    let missed = said.is_none()
        && oracle::is_linearizable(model, &initial, history, 1_000_000) == Some(true);
    match missed {
        true => Comparison::Wrong(format!("missed an order of {history:#?}")),
        false => compare(model, history, said),
    }
}

fn bank_ops(rows: &str) -> Vec<BankOp> {
    let samples = samples(rows);
    let bank = bank("{}");
    samples
        .iter()
        .map(|op| bank.parse(op).unwrap().unwrap())
        .collect()
}

/// Goal: an order is found of every small history that has one, and of no other. Method: all of
/// them.
#[test]
fn all_small_histories() {
    let ops = bank_ops(
        "transfer {:from 0, :to 1, :amount 1} -> nil; transfer {:from 1, :to 2, :amount 2} -> nil; \
         transfer {:from 0, :to 1, :amount 1} -> false; read nil -> {0 1, 1 1}; \
         read nil -> {1 2}; read nil -> {0 1, 1 -1, 2 2}; read nil -> {2 2}",
    );
    for count in 1..=3 {
        let tally = every(
            count,
            &ops,
            |_| true,
            |history| judge(&bank("{0 1, 1 1}"), history),
        );
        assert_eq!(tally.wrong, 0, "{:?}", tally.example);
        assert!(tally.linearizable > 0);
    }
    each_history(4, 31, &ops, |_, history| {
        if let Comparison::Wrong(how) = judge(&bank("{0 1, 1 1}"), history) {
            panic!("{how}");
        }
    });
    let ops = [
        CounterOp::Add(1),
        CounterOp::Add(2),
        CounterOp::Add(-3),
        CounterOp::Read(0),
        CounterOp::Read(3),
        CounterOp::AddAndGet(2, 2),
    ];
    let counter = Counter::new(None, NilReads::Observe).unwrap();
    for count in 1..=3 {
        let tally = every(count, &ops, |_| true, |history| judge(&counter, history));
        assert_eq!(tally.wrong, 0, "{:?}", tally.example);
    }
}

/// What a model of sums is asked, and what one that now and then looks back finds.
fn simulated<M: Model>(
    seed: u64,
    model: &M,
    ask: impl Fn(&mut Stream) -> M::Op,
    find: impl Fn(&M::State, &M::Op) -> M::Op,
) -> Vec<Interval<M::Op>> {
    let mut chance = chance(seed);
    let (count, width) = (4 + chance.below(9) as usize, 1 + chance.below(6) as usize);
    let asked = random_intervals(&mut chance, count, width, |chance| ask(chance));
    let wrong_percent = 10 * chance.below(3);
    let (mut state, mut before) = (model.initial(None), model.initial(None));
    let history = at_moments(
        &mut chance,
        asked,
        20,
        |chance, op| {
            let seen = match chance.chance(wrong_percent, 100) {
                true => &before,
                false => &state,
            };
            let found = find(seen, op);
            if let Some(next) = model.step(&state, &found) {
                before = std::mem::replace(&mut state, next);
            }
            Some(found)
        },
        |asked, found, _| found.unwrap_or(asked),
    );
    // Nobody knows what an open one found.
    history
        .into_iter()
        .filter(|interval| interval.ends.is_some() || !model.is_observer(&interval.op))
        .collect()
}

const SEEDS: u64 = 2_000;

/// Goal: the same for longer histories, with balances that run short and calls of unknown outcome.
/// Method: banks and counters that are right, and such that now and then are behind.
#[test]
fn random_histories() {
    let bank = bank("{0 3, 1 3, 2 3}");
    let transfers = bank_ops(
        "transfer {:from 0, :to 1, :amount 1} -> nil; transfer {:from 1, :to 2, :amount 2} -> nil; \
         transfer {:from 2, :to 0, :amount 2} -> nil; transfer {:from 2, :to 1, :amount 1} -> nil; \
         read nil -> {0 1}; read nil -> {0 1}",
    );
    let tally = random(SEEDS, |seed| {
        let ask = |chance: &mut Stream| chance.pick(&transfers).unwrap().clone();
        let history = simulated(seed, &bank, ask, |held, op| match op {
            BankOp::Read(_) => BankOp::Read(held.clone()),
            BankOp::Transfer(transfer) if bank.step(held, op).is_none() => {
                BankOp::Refused(transfer.clone())
            }
            op => op.clone(),
        });
        judge(&bank, &history)
    });
    assert_eq!(tally.wrong, 0, "{:?}", tally.example);
    assert!(
        tally.linearizable > SEEDS / 2 && tally.violated > 50,
        "{tally:?}"
    );

    let counter = Counter::new(None, NilReads::Observe).unwrap();
    let tally = random(SEEDS, |seed| {
        let ask = |chance: &mut Stream| match chance.below(4) {
            0 => CounterOp::Read(0),
            1 => CounterOp::AddAndGet(chance.below(3) as i64, 0),
            _ => CounterOp::Add(chance.below(9) as i64 - 3),
        };
        let history = simulated(seed, &counter, ask, |count, op| match op {
            CounterOp::Read(_) => CounterOp::Read(*count as i64),
            CounterOp::AddAndGet(amount, _) => {
                CounterOp::AddAndGet(*amount, *count as i64 + amount)
            }
            op => op.clone(),
        });
        judge(&counter, &history)
    });
    assert_eq!(tally.wrong, 0, "{:?}", tally.example);
    assert!(
        tally.linearizable > SEEDS / 2 && tally.violated > 50,
        "{tally:?}"
    );
}

/// A counter, some amounts of which are equal, judged by what it finds.
fn counted(seed: u64, effort: Effort, conditions: Conditions) -> Comparison {
    let counter = Counter::new(None, NilReads::Observe).unwrap();
    let ask = |chance: &mut Stream| match chance.below(3) {
        0 => CounterOp::Read(0),
        _ => CounterOp::Add([1, 1, 2, 3][chance.below(4) as usize]),
    };
    let history = simulated(seed, &counter, ask, |count, op| match op {
        CounterOp::Read(_) => CounterOp::Read(*count as i64),
        op => op.clone(),
    });
    judge_counter(&history, effort, conditions)
}

fn judge_counter(
    history: &[Interval<CounterOp>],
    effort: Effort,
    conditions: Conditions,
) -> Comparison {
    let counter = Counter::new(None, NilReads::Observe).unwrap();
    let sums: Vec<Sum> = history
        .iter()
        .map(|interval| match interval.op {
            CounterOp::Read(found) => Sum {
                adds: 0,
                finds: Some(found as u64),
            },
            CounterOp::Add(amount) | CounterOp::AddAndGet(amount, _) => Sum {
                adds: amount as u64,
                finds: None,
            },
            CounterOp::Reached(_) | CounterOp::Below(_) => unreachable!("only made to explain"),
        })
        .collect();
    let said = decide_with(&counter, (&0, 0), history, &sums, effort, conditions);
    compare(&counter, history, said)
}

/// Two choices add what the first read found, and only the larger one goes on.
fn two_choices() -> Vec<Interval<CounterOp>> {
    let call = |op, begins, ends| Interval {
        op,
        begins,
        ends: Some(ends),
    };
    vec![
        call(CounterOp::Add(3), 0, 10),
        call(CounterOp::Add(1), 1, 5),
        call(CounterOp::Add(2), 2, 6),
        call(CounterOp::Read(3), 3, 4),
        call(CounterOp::Read(3), 7, 8),
        call(CounterOp::Read(6), 11, 12),
    ]
}

/// A bank whose balances often run short, likewise.
fn moved(seed: u64, effort: Effort, conditions: Conditions) -> Comparison {
    let bank = bank("{0 1, 1 1, 2 1}");
    let transfers = bank_ops(
        "transfer {:from 0, :to 1, :amount 1} -> nil; transfer {:from 1, :to 2, :amount 2} -> nil; \
         transfer {:from 2, :to 0, :amount 3} -> nil; transfer {:from 2, :to 1, :amount 1} -> nil; \
         read nil -> {0 1}; read nil -> {0 1}",
    );
    let ask = |chance: &mut Stream| chance.pick(&transfers).unwrap().clone();
    let history = simulated(seed, &bank, ask, |held, op| match op {
        BankOp::Read(_) => BankOp::Read(held.clone()),
        BankOp::Transfer(transfer) if bank.step(held, op).is_none() => {
            BankOp::Refused(transfer.clone())
        }
        op => op.clone(),
    });
    judge_bank(&bank, &history, effort, conditions)
}

fn judge_bank(
    bank: &Bank,
    history: &[Interval<BankOp>],
    effort: Effort,
    conditions: Conditions,
) -> Comparison {
    let initial = bank.initial(None);
    let (start, sums) = sums_of(&initial, history);
    let start = (&initial, start);
    let said = decide_with(bank, start, history, &sums, effort, conditions);
    compare(bank, history, said)
}

/// A transfer that can only happen after three others.
fn three_before(effort: Effort, conditions: Conditions) -> Comparison {
    let ops = bank_ops(
        "transfer {:from 0, :to 4, :amount 3} -> nil; transfer {:from 1, :to 0, :amount 1} -> nil; \
         transfer {:from 2, :to 0, :amount 1} -> nil; transfer {:from 3, :to 0, :amount 1} -> nil",
    );
    let history: Vec<Interval<BankOp>> = (0..)
        .zip(ops)
        .map(|(begins, op)| Interval {
            op,
            begins,
            ends: Some(10 + begins),
        })
        .collect();
    judge_bank(&bank("{1 1, 2 1, 3 1}"), &history, effort, conditions)
}

/// Goal: every condition is needed. Method: without it, and with so little effort that it counts, the
/// comparison with the oracle fails; with all of them it never does.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let changed = [
        ("with open", with(|c| c.with_open = false)),
        ("complete", with(|c| c.complete = false)),
        ("all choices", with(|c| c.all_choices = false)),
        ("all tried", with(|c| c.all_tried = false)),
        ("all ways", with(|c| c.all_ways = false)),
        ("possible", with(|c| c.possible = false)),
        ("first end", with(|c| c.first_end = false)),
    ];
    let all = Effort::THOROUGH;
    let tables = |sums_max, choices_max| Tables {
        sums_max,
        choices_max,
    };
    let efforts = [
        Effort::USUAL,
        all,
        Effort {
            tables: tables(2, 32),
            ..Effort::USUAL
        },
        Effort {
            tables: tables(3, 32),
            ..all
        },
        Effort {
            tables: tables(1_500, 1),
            ..all
        },
        Effort {
            tried_max: 0,
            ..all
        },
        Effort {
            ways_max: 1,
            ways_more_max: 1,
            ..all
        },
    ];
    let goes_wrong = |conditions: Conditions| {
        efforts.iter().any(|&effort| {
            let is_wrong = |said| matches!(said, Comparison::Wrong(_));
            is_wrong(judge_counter(&two_choices(), effort, conditions))
                || is_wrong(three_before(effort, conditions))
                || random(SEEDS, |seed| counted(seed, effort, conditions)).is_wrong()
                || random(SEEDS, |seed| moved(seed, effort, conditions)).is_wrong()
        })
    };
    assert!(!goes_wrong(Conditions::ALL));
    assert_all_needed(&changed, goes_wrong);
}
