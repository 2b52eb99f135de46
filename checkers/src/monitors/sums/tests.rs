//! The orders of sums against the oracle.

use seeds::Stream;

use crate::models::{Bank, BankOp, Counter, CounterOp};
use crate::monitors::compare::{Comparison, at_moments, compare, every, random};
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
