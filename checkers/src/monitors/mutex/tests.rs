//! The mutex monitor against the oracle, and against the lock as a register.

use histories::Value;
use seeds::Stream;

use super::{Conditions, decide};
use crate::models::{Mutex, MutexOp, Owner};
use crate::monitors::compare::{
    Comparison, assert_all_needed, compare, every, in_order, random, with,
};
use crate::oracle::{self, Interval};
use crate::testing::{chance, random_intervals};
use crate::{Access, Model, Monitored, NilReads, Register, RegisterOp};

use MutexOp::{Acquire, AcquireRefused, Release, ReleaseRefused};

fn mutex() -> Mutex {
    Mutex::new(None).unwrap()
}

fn judge(history: &[Interval<MutexOp>], conditions: Conditions) -> Comparison {
    compare(&mutex(), history, decide(history, conditions))
}

fn ops(owners: u64) -> Vec<MutexOp> {
    (1..=owners)
        .map(Owner::Process)
        .flat_map(|owner| [Acquire(owner.clone()), Release(owner)])
        .collect()
}

/// Which owner is which does not matter.
fn chosen(ops: &[MutexOp]) -> bool {
    in_order(ops.iter().filter_map(|op| match op {
        Acquire(Owner::Process(owner)) | Release(Owner::Process(owner)) => Some(*owner as i64),
        _ => None,
    }))
}

/// Goal: no small history is judged wrongly. Method: all of them.
#[test]
fn all_small_histories() {
    for (count, owners) in [(3, 3), (4, 2)] {
        let tally = every(count, &ops(owners), chosen, |history| {
            judge(history, Conditions::ALL)
        });
        tally.assert_right();
        // In most of these an owner does two things at a time.
        assert!(tally.applicable_percent() >= 20, "{tally:?}");
    }
    let mut refused = ops(2);
    refused.extend([AcquireRefused, ReleaseRefused(Owner::Process(1))]);
    every(3, &refused, chosen, |history| {
        judge(history, Conditions::ALL)
    })
    .assert_right();
}

/// Goal: the lock is the register it is said to be. Method: every small history as both.
#[test]
fn the_register_of_a_lock_has_the_same_verdict() {
    let register = Register::with_cas(Value::Int(0), NilReads::Observe);
    let mut ops = ops(2);
    ops.extend([AcquireRefused, ReleaseRefused(Owner::Process(1))]);
    let tally = every(3, &ops, chosen, |history| {
        let view = mutex().register_view(&None, history).unwrap();
        let value = |number: u32| Value::Int(i64::from(number));
        let accesses = view.accesses.iter().map(|access| match *access {
            Access::Read(a) => RegisterOp::Read(value(a)),
            Access::Write(a) => RegisterOp::Write(value(a)),
            Access::Cas(a, b) => RegisterOp::Cas(value(a), value(b)),
            Access::Not(a) => RegisterOp::Mismatch(value(a)),
        });
        let as_register: Vec<_> = history
            .iter()
            .zip(accesses)
            .map(|(interval, op)| Interval {
                op,
                begins: interval.begins,
                ends: interval.ends,
            })
            .collect();
        let said = oracle::is_linearizable(&register, &Value::Int(0), &as_register, 100_000);
        match (
            said,
            oracle::is_linearizable(&mutex(), &None, history, 100_000),
        ) {
            (Some(true), Some(true)) => Comparison::Linearizable,
            (Some(false), Some(false)) => Comparison::Violated,
            _ => Comparison::Wrong(format!("{history:#?}")),
        }
    });
    tally.assert_right();
}

/// What clients do to a lock, each one thing after the other: they take it when it is free and
/// give it back. Now and then the lock is given to a second one, or an outcome is unknown, after
/// which the client goes on under the same name or another.
fn simulated(chance: &mut Stream) -> Vec<Interval<MutexOp>> {
    let clients = 2 + chance.below(2);
    let wrong_percent = 8 * chance.below(3);
    let unknown_percent = 20 * chance.below(3);
    let renames = chance.chance(1, 2);
    let mut names: Vec<u64> = (0..clients).collect();
    let mut holds: Vec<bool> = vec![false; clients as usize];
    // What a client has under way: the call, whether it acquires, and whether it happened.
    let mut busy: Vec<Option<(usize, bool, bool)>> = vec![None; clients as usize];
    let mut history: Vec<Interval<MutexOp>> = Vec::new();
    let (mut time, mut operations) = (0, 4 + chance.below(8));
    while time < 200 && (operations > 0 || busy.iter().any(Option::is_some)) {
        let client = chance.below(clients) as usize;
        time += 1;
        let owner = Owner::Process(names[client]);
        match busy[client] {
            None if operations > 0 => {
                operations -= 1;
                let acquires = holds[client] == chance.chance(wrong_percent, 300);
                let op = if acquires {
                    Acquire(owner)
                } else {
                    Release(owner)
                };
                busy[client] = Some((history.len(), acquires, false));
                let begins = time;
                history.push(Interval {
                    op,
                    begins,
                    ends: None,
                });
            }
            Some((call, acquires, false)) => {
                let free = holds.iter().all(|holds| !holds);
                let happens = !acquires || free || chance.chance(wrong_percent, 100);
                if happens {
                    holds[client] = acquires;
                    busy[client] = Some((call, acquires, true));
                }
                if chance.chance(unknown_percent, 200) {
                    busy[client] = None;
                }
            }
            Some((call, _, true)) => {
                busy[client] = None;
                if chance.chance(unknown_percent, 200) {
                    if renames {
                        names[client] += clients;
                    }
                } else {
                    history[call].ends = Some(time);
                }
            }
            None => {}
        }
    }
    history
}

fn simulate(seed: u64, conditions: Conditions) -> Comparison {
    judge(&simulated(&mut chance(seed)), conditions)
}

fn jumbled(seed: u64, conditions: Conditions) -> Comparison {
    let mut chance = chance(seed);
    let mut ops = ops(2);
    if chance.chance(1, 4) {
        ops.extend([AcquireRefused, ReleaseRefused(Owner::Process(1))]);
    }
    let (count, width) = (3 + chance.below(6) as usize, 1 + chance.below(3) as usize);
    let history = random_intervals(&mut chance, count, width, |chance| {
        chance.pick(&ops).unwrap().clone()
    });
    judge(&history, conditions)
}

const SEEDS: u64 = 6_000;

/// Goal: the same for longer histories. Method: locks that are right, locks that sometimes let two
/// in, and operations without any sense.
#[test]
fn random_histories() {
    let simulated = random(SEEDS, |seed| simulate(seed, Conditions::ALL));
    simulated.assert_right();
    assert!(simulated.applicable_percent() >= 85, "{simulated:?}");
    let jumbled = random(SEEDS, |seed| jumbled(seed, Conditions::ALL));
    jumbled.assert_right();
}

/// Goal: every condition is needed. Method: without it, the comparison with the oracle fails.
#[test]
fn no_condition_can_be_left_out() {
    let with = |change: fn(&mut Conditions)| with(Conditions::ALL, change);
    let changed = [
        ("turns", with(|c| c.turns = false)),
        ("apart", with(|c| c.apart = false)),
        ("windows", with(|c| c.windows = false)),
        ("open acquires", with(|c| c.open_acquires = false)),
        ("open releases", with(|c| c.open_releases = false)),
        ("not both", with(|c| c.not_both = false)),
        ("one at a time", with(|c| c.one_at_a_time = false)),
        ("refusals", with(|c| c.refusals = false)),
        ("all bound", with(|c| c.all_bound = false)),
        ("sealed", with(|c| c.sealed = false)),
    ];
    assert_all_needed(&changed, |conditions| {
        random(SEEDS, |seed| simulate(seed, conditions)).is_wrong()
            || random(SEEDS, |seed| jumbled(seed, conditions)).is_wrong()
    });
}

/// Goal: the calls named are the few that matter. Method: one history for each contradiction.
#[test]
fn what_contradicts_each_other_is_named() {
    let at = |op, begins, ends| Interval {
        op,
        begins,
        ends: Some(ends),
    };
    let open = |op, begins| Interval {
        op,
        begins,
        ends: None,
    };
    let acquire = |owner| Acquire(Owner::Process(owner));
    let release = |owner| Release(Owner::Process(owner));
    let rows: [(Vec<Interval<MutexOp>>, Vec<usize>); 6] = [
        (
            vec![
                at(acquire(1), 0, 1),
                at(acquire(2), 2, 3),
                at(release(1), 4, 5),
            ],
            vec![0, 1],
        ),
        (vec![at(acquire(1), 0, 1), at(release(2), 2, 3)], vec![1]),
        (vec![at(acquire(1), 0, 1), at(acquire(1), 2, 3)], vec![0, 1]),
        // It was given back once too often, by somebody.
        (
            vec![
                at(acquire(1), 0, 1),
                at(release(1), 2, 3),
                at(release(1), 4, 5),
            ],
            vec![1, 2],
        ),
        // Process 1 may have given it back when process 2 gave up asking, not before.
        (
            vec![
                at(acquire(1), 0, 1),
                at(acquire(2), 2, 3),
                open(release(1), 4),
            ],
            vec![0, 1],
        ),
        // Process 2 must have held it while process 1 did.
        (
            vec![
                at(acquire(1), 0, 1),
                open(acquire(2), 2),
                at(release(2), 3, 4),
                at(release(1), 5, 6),
            ],
            vec![0, 2],
        ),
    ];
    for (history, calls) in rows {
        let found = mutex().monitor(&None, &history);
        assert_eq!(found, Some(Monitored::Violated(calls)), "{history:#?}");
        assert_eq!(judge(&history, Conditions::ALL), Comparison::Violated);
    }
}
