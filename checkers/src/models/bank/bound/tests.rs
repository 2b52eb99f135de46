//! What shows on one account against every order tried.

use super::*;
use crate::monitors::compare::{Comparison, compare, random, without_unobserved};
use crate::oracle;
use crate::testing::{chance, random_intervals};
use crate::{Bank, Model, NilReads};

const NODES_MAX: u64 = 1_000_000;

fn bank() -> Bank {
    let initial = histories::edn::parse_value("{a 3, b 3}").unwrap();
    Bank::new(Some(&initial), NilReads::Observe).unwrap()
}

fn history(seed: u64) -> Vec<Interval<BankOp>> {
    let mut chance = chance(seed);
    let names: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
    let (count, width) = (3 + chance.below(4) as usize, 1 + chance.below(3) as usize);
    let mut held = bank().initial(None);
    random_intervals(&mut chance, count, width, |chance| {
        let mut account = || Arc::clone(chance.pick(&names).unwrap());
        let transfer = BankOp::Transfer(Transfer {
            from: account(),
            to: account(),
            amount: 1 + chance.below(2) as i64,
        });
        let op = match chance.below(6) {
            0..3 => transfer,
            // Of what was never asked for.
            3 => BankOp::Read(bank().step(&held, &transfer).unwrap_or_default()),
            _ => BankOp::Read(Arc::clone(&held)),
        };
        if chance.chance(4, 5)
            && let Some(next) = bank().step(&held, &op)
        {
            held = next;
        }
        op
    })
}

/// The history as one thing shows it.
fn seen(history: &[Interval<BankOp>], seed: u64) -> Vec<Interval<BankOp>> {
    let names: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
    let things = things(names.iter());
    let thing = &things[seed as usize % things.len()];
    let see = |interval: &Interval<BankOp>| {
        Some(Interval {
            op: aspect(&interval.op, thing)?,
            begins: interval.begins,
            ends: interval.ends,
        })
    };
    history.iter().filter_map(see).collect()
}

/// Goal: what has an order has one on each account. Method: small histories against the oracle.
#[test]
fn what_has_an_order_has_one_on_each_account() {
    let judge = |seed: u64| {
        let history = history(seed);
        let has_order = |history: &[Interval<BankOp>]| {
            oracle::is_linearizable(&bank(), &bank().initial(None), history, NODES_MAX).unwrap()
        };
        match (has_order(&history), has_order(&seen(&history, seed))) {
            (true, false) => Comparison::Wrong(format!("{history:#?}")),
            (false, false) => Comparison::Violated,
            (true, true) => Comparison::Linearizable,
            (false, true) => Comparison::NotApplicable,
        }
    };
    let tally = random(20_000, judge);
    tally.assert_right();
    assert!(
        tally.violated > 1_000 && tally.linearizable > 1_000,
        "{tally:?}"
    );
}

/// Goal: what is blamed on one account contradicts itself, and an open read of it makes no difference. Method:
/// the same.
#[test]
fn what_is_blamed_on_an_account_has_no_order() {
    let blames = |seed: u64| {
        let history = seen(&history(seed), seed);
        compare(
            &bank(),
            &history,
            contradiction(&bank().initial(None), &history),
        )
    };
    let tally = random(20_000, blames);
    assert_eq!(tally.wrong, 0, "{:?}", tally.example);
    assert!(
        tally.violated > 1_000 && tally.not_applicable > 1_000,
        "{tally:?}"
    );
    let left_out = |seed: u64| without_unobserved(&bank(), &seen(&history(seed), seed));
    random(20_000, left_out).assert_right();
}
