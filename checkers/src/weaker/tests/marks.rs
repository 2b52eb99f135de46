//! The guarantees of lists, sets and versions against their definitions, tried out in full; and
//! sequential consistency by the steps of a model against all orders there are.

use std::collections::BTreeSet;

use histories::Value;
use rustc_hash::FxHashSet;
use seeds::Stream;

use crate::limits::{Budget, Limits};
use crate::models::{AppendList, AppendListOp, Counter, CounterOp};
use crate::testing::chance;
use crate::weaker::marks::{Call, Marked, check};
use crate::weaker::sequential::by_model;
use crate::weaker::{Answer, Cause};
use crate::{Cancel, Guarantee, Marks, Model, NilReads};

const SEEDS: u64 = 20_000;

fn budget() -> Budget {
    Budget::new(&Limits::default(), &Cancel::new())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    List,
    Set,
    Versions,
}

fn marks(chance: &mut Stream, kind: Kind) -> Marks {
    let number = |chance: &mut Stream| chance.below(4) as i64;
    let observes = chance.chance(1, 2);
    match kind {
        Kind::Versions if observes => Marks::Level(number(chance).into()),
        Kind::Versions => Marks::Leaves(number(chance).into()),
        Kind::List if observes => Marks::Finds {
            elements: match chance.chance(1, 6) {
                true => vec![Value::Int(number(chance))],
                false => (0..number(chance)).map(Value::Int).collect(),
            },
            in_order: true,
        },
        Kind::Set if observes => {
            let found: BTreeSet<i64> = (0..5).map(|_| number(chance)).collect();
            let found = found.into_iter().map(Value::Int);
            Marks::Finds {
                elements: found.collect(),
                in_order: false,
            }
        }
        Kind::Set if chance.chance(1, 8) => Marks::Removes(Value::Int(number(chance))),
        Kind::List | Kind::Set => Marks::Adds(Value::Int(number(chance))),
    }
}

/// Operations of some processes, each one after the other.
fn by_chance(chance: &mut Stream, kind: Kind) -> Vec<Call> {
    let processes = 1 + chance.below(3);
    let mut under_way: Vec<Option<usize>> = vec![None; processes as usize];
    let mut calls: Vec<Call> = Vec::new();
    for time in 0..16 {
        let process = chance.below(processes);
        match under_way[process as usize].take() {
            // It goes on with another one all the same, as no client does; the definitions do not mind.
            Some(_) if chance.chance(1, 8) => {}
            Some(call) => calls[call].ends = Some(time),
            None => {
                under_way[process as usize] = Some(calls.len());
                calls.push(Call {
                    process,
                    begins: time,
                    ends: None,
                    marks: marks(chance, kind),
                });
            }
        }
    }
    calls
}

/// Pairs of operations, the second of which shows that the guarantee is broken.
fn pairs(calls: &[Call], guarantee: Guarantee, removed: &FxHashSet<Value>) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    let done = |call: &Call| call.ends.is_some();
    let sees = |call: &Call| matches!(call.marks, Marks::Finds { .. } | Marks::Level(_));
    for (first, a) in (0..).zip(calls) {
        for (second, b) in (0..).zip(calls) {
            let after = a.process == b.process && first < second;
            let behind = |b: &Call, a: &Call| b.marks.is_behind(&a.marks, removed);
            let is_one = match guarantee {
                Guarantee::MonotonicReads => after && sees(a) && behind(b, a),
                Guarantee::ReadYourWrites => after && !sees(a) && behind(b, a),
                _ => a.ends < b.ends && sees(a) && behind(b, a) && behind(a, b),
            };
            if is_one && done(a) && done(b) && sees(b) {
                found.push((first, second));
            }
        }
    }
    found
}

/// Goal: what is said is what the definitions say, of every pair of operations. Method: all pairs.
#[test]
fn guarantees_are_as_defined() {
    let mut seen = [0_u32; 8];
    for seed in 0..SEEDS {
        let mut chance = chance(seed);
        let kind = [Kind::List, Kind::Set, Kind::Versions][(seed % 3) as usize];
        let calls = by_chance(&mut chance, kind);
        let removes = calls.iter().filter_map(|call| match &call.marks {
            Marks::Removes(element) => Some(element.clone()),
            _ => None,
        });
        let removed: FxHashSet<Value> = removes.collect();
        let numbered = (0..).zip(calls.iter().cloned());
        let marked = Marked::all(numbered.map(|(number, call)| (number, Value::Nil, call)));
        for (place, guarantee) in [
            Guarantee::ComparableReads,
            Guarantee::MonotonicReads,
            Guarantee::ReadYourWrites,
        ]
        .into_iter()
        .enumerate()
        {
            let pairs = pairs(&calls, guarantee, &removed);
            match check(&marked, guarantee, &budget()) {
                None => {
                    let levels = kind == Kind::Versions || !removed.is_empty();
                    let none = marked.is_empty()
                        || calls.iter().all(|call| {
                            call.ends.is_none() || !matches!(call.marks, Marks::Finds { .. })
                        });
                    assert!(none || (levels && guarantee == Guarantee::ComparableReads));
                }
                Some(Answer::Holds) => {
                    assert!(pairs.is_empty(), "{guarantee:?} {calls:#?}");
                    seen[2 * place] += 1;
                }
                Some(Answer::Broken(Cause::Behind(first, second))) => {
                    assert!(pairs.contains(&(first, second)), "{guarantee:?} {calls:#?}");
                    let ends = |(_, second): &(u32, u32)| calls[*second as usize].ends;
                    let first = pairs.iter().map(ends).min().unwrap();
                    let is_first = calls[second as usize].ends == first;
                    assert!(is_first || guarantee == Guarantee::ComparableReads);
                    seen[2 * place + 1] += 1;
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        for read in marked
            .iter()
            .flat_map(|marked| marked.behind(&budget()).unwrap())
        {
            assert_eq!(
                missing(&calls, read.read, &removed),
                (read.writes, read.overwriter)
            );
            seen[6] += 1;
        }
        let stale: usize = marked
            .iter()
            .map(|m| m.behind(&budget()).unwrap().len())
            .sum();
        let reads = (0..calls.len() as u32).filter(|read| {
            let call = &calls[*read as usize];
            let sees = matches!(call.marks, Marks::Finds { .. } | Marks::Level(_));
            sees && call.ends.is_some() && missing(&calls, *read, &removed).0 > 0
        });
        assert_eq!(reads.count(), stale);
    }
    assert!(seen[..7].iter().all(|times| *times > 500), "{seen:?}");
}

/// How many updates had ended before this read began that it does not show, an element that several add
/// counting once, from its first end; and the one of them that ended first.
fn missing(calls: &[Call], read: u32, removed: &FxHashSet<Value>) -> (u64, u32) {
    let reader = &calls[read as usize];
    let mut elements: Vec<&Marks> = Vec::new();
    let mut over: Vec<(u32, u32)> = (0..)
        .zip(calls)
        .filter(|(_, call)| !matches!(call.marks, Marks::Finds { .. } | Marks::Level(_)))
        .filter_map(|(number, call)| Some((call.ends?, number)))
        .filter(|(ends, _)| *ends < reader.begins)
        .collect();
    over.sort_unstable();
    over.retain(|(_, number)| {
        let marks = &calls[*number as usize].marks;
        let is_new = matches!(marks, Marks::Leaves(_)) || !elements.contains(&marks);
        elements.push(marks);
        is_new && reader.marks.is_behind(marks, removed)
    });
    (
        over.len() as u64,
        over.first().map_or(u32::MAX, |first| first.1),
    )
}

/// Whether some order of the operations explains them, each process' in their order: all tried.
fn some_order<M: Model>(
    model: &M,
    state: &M::State,
    left: &mut [Vec<by_model::Call<'_, M::Op>>],
) -> bool {
    if left.iter().flatten().all(|call| call.ends.is_none()) {
        return true;
    }
    for process in 0..left.len() {
        let Some(call) = left[process].first().cloned() else {
            continue;
        };
        left[process].remove(0);
        let next = model.step(state, call.op);
        let found = next.is_some_and(|next| some_order(model, &next, left))
            || (call.ends.is_none() && some_order(model, state, left));
        left[process].insert(0, call);
        if found {
            return true;
        }
    }
    false
}

fn compare_orders<M: Model>(model: &M, seed: u64, ops: &[M::Op]) -> bool {
    let mut chance = chance(seed);
    let mut processes: Vec<Vec<by_model::Call<'_, M::Op>>> = Vec::new();
    for process in 0..1 + chance.below(3) as u32 {
        let call = |chance: &mut Stream, at: u32| by_model::Call {
            op: &ops[chance.below(ops.len() as u64) as usize],
            ends: (!chance.chance(1, 8)).then_some(3 * at + process),
        };
        let count = 1 + chance.below(3) as u32;
        processes.push((0..count).map(|at| call(&mut chance, at)).collect());
    }
    let initial = model.initial(None);
    let found = by_model::check(model, initial.clone(), &processes, &budget());
    let truth = some_order(model, &initial, &mut processes.clone());
    let holds = match found {
        Answer::Holds => true,
        Answer::Broken(Cause::Somewhere) => false,
        other => panic!("{other:?}"),
    };
    assert_eq!(holds, truth, "{seed}");
    holds
}

/// Goal: an order is found exactly where there is one. Method: all orders of few operations.
#[test]
fn sequential_consistency_of_any_model() {
    let list = AppendList::new(None, NilReads::Observe).unwrap();
    let read =
        |elements: &[i64]| AppendListOp::Read(elements.iter().copied().map(Value::Int).collect());
    let append = |element| AppendListOp::Append(Value::Int(element));
    let of_list = [
        append(1),
        append(2),
        read(&[]),
        read(&[1]),
        read(&[1, 2]),
        read(&[2, 1]),
    ];
    let counter = Counter::new(None, NilReads::Observe).unwrap();
    let of_counter = [
        CounterOp::Add(1),
        CounterOp::Add(2),
        CounterOp::Read(0),
        CounterOp::Read(1),
        CounterOp::Read(3),
        CounterOp::AddAndGet(1, 3),
    ];
    let lists = (0..SEEDS).filter(|&seed| compare_orders(&list, seed, &of_list));
    let lists = lists.count() as u64;
    let counters = (0..SEEDS).filter(|&seed| compare_orders(&counter, seed, &of_counter));
    let counters = counters.count() as u64;
    for holds in [lists, counters] {
        assert!(holds > 1_000 && SEEDS - holds > 1_000, "{lists} {counters}");
    }
}
