//! Every engine, with every reduction in and out, against the oracle.

use rayon::prelude::*;
use seeds::Stream;

use super::race::{Engines, decide_with};
use super::{Decision, Problem, Reductions, decide};
use crate::limits::{Budget, Exhausted};
use crate::models::{Kv, KvOp, MultiRegister, Transaction};
use crate::oracle::{self, Interval};
use crate::testing::{chance, problem, random_intervals, register_ops, shapes};
use crate::{Cancel, Limits, Model, NilReads, Register, RegisterOp};
use histories::{Operation, Outcome, Point, Value};

mod mutations;

fn budget() -> Budget {
    Budget::new(&Limits::default(), &Cancel::new())
}

fn register() -> Register {
    Register::with_cas(Value::Int(0), NilReads::Observe)
}

fn truth<M: Model>(model: &M, intervals: &[Interval<M::Op>]) -> bool {
    oracle::is_linearizable(model, &model.initial(None), intervals, u64::MAX).unwrap()
}

/// One engine with some reductions agrees with the oracle, on the verdict and on the prefix.
fn agrees<M: Model>(
    model: &M,
    intervals: &[Interval<M::Op>],
    reductions: Reductions,
    engines: Engines,
) {
    let expected = truth(model, intervals);
    let problem = problem(model, intervals, reductions.unobserved);
    let (decision, _) = decide_with(&problem, &budget(), reductions, engines);
    let said = match decision {
        Decision::Linearizable => true,
        Decision::NotLinearizable { event } if problem.may_be_early(event) => {
            assert_eq!(event + 1, problem.moments.len());
            false
        }
        Decision::NotLinearizable { event } => {
            assert_shortest(&problem, event, intervals);
            false
        }
        Decision::Undecided { .. } => panic!("undecided: {intervals:?}"),
    };
    assert_eq!(said, expected, "{reductions:?} {engines:?} {intervals:#?}");
}

/// Up to `event` there is an order, with it there is none.
fn assert_shortest<M: Model>(
    problem: &Problem<'_, M>,
    event: usize,
    intervals: &[Interval<M::Op>],
) {
    for (end, expected) in [(event, true), (event + 1, false)] {
        let prefix = crate::explain::intervals(&problem.weakened(end, |_| true));
        assert_eq!(
            truth(problem.model, &prefix),
            expected,
            "{end} {intervals:#?}"
        );
    }
}

fn some_reductions(chance: &mut Stream) -> Reductions {
    match chance.below(3) {
        0 => Reductions::ALL,
        _ => Reductions {
            eager_observers: chance.chance(1, 2),
            symmetry: chance.chance(1, 2),
            dominance: chance.chance(1, 2),
            unobserved: chance.chance(1, 2),
            dooms: chance.chance(1, 2),
            truncation: true,
            dropped: None,
        },
    }
}

fn some_engine(chance: &mut Stream) -> Engines {
    match chance.below(3) {
        0 => Engines::Sets,
        1 => Engines::Depth,
        _ => Engines::Beam,
    }
}

/// Every combination of operations and overlaps.
fn enumerate(count: usize, ops: &[RegisterOp]) -> u64 {
    let shapes = shapes(count);
    let model = register();
    ops.par_iter()
        .map(|first| {
            let mut histories = 0;
            for rest in 0..ops.len().pow(count as u32 - 1) {
                let mut rest = rest;
                let mut chosen = vec![first.clone()];
                while chosen.len() < count {
                    chosen.push(ops[rest % ops.len()].clone());
                    rest /= ops.len();
                }
                if !is_first_of_its_kind(&chosen) {
                    continue;
                }
                for shape in &shapes {
                    let intervals: Vec<_> = chosen
                        .iter()
                        .zip(shape)
                        .map(|(op, &(begins, ends))| Interval {
                            op: op.clone(),
                            begins,
                            ends,
                        })
                        .collect();
                    agrees(&model, &intervals, Reductions::ALL, Engines::Sets);
                    agrees(&model, &intervals, Reductions::ALL, Engines::Depth);
                    agrees(&model, &intervals, Reductions::ALL, Engines::Beam);
                    histories += 1;
                }
            }
            histories
        })
        .sum()
}

/// Whether 1 is mentioned before 2: the other half is the same with the names exchanged.
fn is_first_of_its_kind(ops: &[RegisterOp]) -> bool {
    let first = ops
        .iter()
        .flat_map(|op| match op {
            RegisterOp::Read(a) | RegisterOp::Write(a) | RegisterOp::Mismatch(a) => vec![a],
            RegisterOp::Cas(a, b) => vec![a, b],
        })
        .find(|value| **value != Value::Int(0));
    first != Some(&Value::Int(2))
}

/// Goal: no small history is judged wrongly. Method: all of them.
#[test]
fn all_histories_of_three_operations_on_three_values() {
    // 18 operations, 4 of them on the value 0 only; 37 ways for three intervals to overlap, each
    // with an end or without.
    let operations = (18_u64.pow(3) + 4_u64.pow(3)) / 2;
    assert_eq!(enumerate(3, &register_ops(3, true)), operations * 37);
}

#[test]
fn all_histories_of_four_operations_on_two_values() {
    assert_eq!(enumerate(4, &register_ops(2, false)), 4_u64.pow(4) * 266);
}

/// Goal: each reduction is sound by itself and with each other. Method: random histories, random
/// choices of reductions and engine.
#[test]
fn random_register_histories() {
    let model = register();
    (0..60_000_u64).into_par_iter().for_each(|seed| {
        let mut chance = chance(seed);
        let values = 1 + chance.below(3) as i64;
        let with_cas = chance.chance(2, 3);
        let ops = register_ops(values, with_cas);
        let (count, width) = (2 + chance.below(8) as usize, 1 + chance.below(6) as usize);
        let intervals = random_intervals(&mut chance, count, width, |chance| {
            chance.pick(&ops).unwrap().clone()
        });
        let (reductions, engine) = (some_reductions(&mut chance), some_engine(&mut chance));
        agrees(&model, &intervals, reductions, engine);
    });
}

#[test]
fn random_kv_histories() {
    let model = Kv::new(None, NilReads::Observe).unwrap();
    let texts = ["", "a", "b", "ab", "ba", "aa", "aba"];
    (0..40_000_u64).into_par_iter().for_each(|seed| {
        let mut chance = chance(seed);
        let (count, width) = (2 + chance.below(7) as usize, 1 + chance.below(5) as usize);
        let intervals = random_intervals(&mut chance, count, width, |chance| {
            let text: std::sync::Arc<str> = (*chance.pick(&texts).unwrap()).into();
            let held = (!chance.chance(1, 3)).then(|| text.clone());
            match chance.below(16) {
                0..5 => KvOp::Get(held),
                5..7 => KvOp::Put(chance.pick(&texts[..4]).map(|&text| text.into()).unwrap()),
                7..11 => KvOp::Append(chance.pick(&texts[..3]).map(|&text| text.into()).unwrap()),
                11..13 => KvOp::Cas(held, text),
                13 if chance.chance(1, 4) => KvOp::Mismatch(held),
                14 if chance.chance(1, 4) => KvOp::DeleteFound,
                15 if chance.chance(1, 4) => KvOp::DeleteMissing,
                _ => KvOp::Delete,
            }
        });
        // What was observed is not part of an operation of unknown outcome.
        let observed = |op: &KvOp| matches!(op, KvOp::Mismatch(_) | KvOp::DeleteFound);
        let intervals: Vec<_> = intervals
            .into_iter()
            .filter(|i| i.ends.is_some() || !observed(&i.op))
            .collect();
        let (reductions, engine) = (some_reductions(&mut chance), some_engine(&mut chance));
        agrees(&model, &intervals, reductions, engine);
    });
}

/// Transactions that write and read some of so many values of so many registers.
fn transactions(chance: &mut Stream, registers: u64, values: u64) -> Vec<Interval<Transaction>> {
    let model = MultiRegister::new(None, NilReads::Observe).unwrap();
    let (count, width) = (2 + chance.below(6) as usize, 1 + chance.below(5) as usize);
    let mut intervals = random_intervals(chance, count, width, |chance| {
        let mut steps = || {
            let f = if chance.chance(1, 2) { "read" } else { "write" };
            let register = Value::Int(chance.below(registers) as i64);
            let value = match chance.below(values) {
                0 => Value::Nil,
                n => Value::Int(n as i64),
            };
            Value::List(vec![f.into(), register, value])
        };
        let txn = vec![steps(), steps()];
        transaction(&model, txn, Outcome::Ok)
    });
    // Of unknown outcome are only transactions that write blindly: what they read is unknown.
    intervals.retain(|interval| interval.ends.is_some() || is_blind(&interval.op));
    intervals
}

#[test]
fn random_multi_register_histories() {
    let model = MultiRegister::new(None, NilReads::Observe).unwrap();
    (0..20_000_u64).into_par_iter().for_each(|seed| {
        let mut chance = chance(seed);
        let intervals = transactions(&mut chance, 2, 3 + seed % 3);
        let (reductions, engine) = (some_reductions(&mut chance), some_engine(&mut chance));
        agrees(&model, &intervals, reductions, engine);
    });
}

/// Puts and deletes of a key, some of which say whether they found something.
fn deletes(chance: &mut Stream) -> Vec<Interval<KvOp>> {
    let (count, width) = (2 + chance.below(7) as usize, 1 + chance.below(5) as usize);
    let mut intervals = random_intervals(chance, count, width, |chance| {
        let text: std::sync::Arc<str> = (*chance.pick(&["a", "b", "c"]).unwrap()).into();
        match chance.below(9) {
            0..3 => KvOp::Get((!chance.chance(1, 3)).then_some(text)),
            3..5 => KvOp::Put(text),
            5 => KvOp::DeleteMissing,
            6 => KvOp::Cas((!chance.chance(1, 3)).then(|| text.clone()), text),
            7 => KvOp::Delete,
            _ => KvOp::DeleteFound,
        }
    });
    intervals.retain(|interval| interval.ends.is_some() || interval.op != KvOp::DeleteFound);
    intervals
}

#[test]
fn random_histories_of_deletes() {
    let model = Kv::new(None, NilReads::Observe).unwrap();
    (0..20_000_u64).into_par_iter().for_each(|seed| {
        let mut chance = chance(seed);
        let intervals = deletes(&mut chance);
        let (reductions, engine) = (some_reductions(&mut chance), some_engine(&mut chance));
        agrees(&model, &intervals, reductions, engine);
    });
}

/// Goal: what is plain to see is so, and is seen often. Method: what is said to contradict each
/// other, by itself, and the oracle.
#[test]
fn what_is_stale_by_facts_is_no_order() {
    fn seen<M: Model>(model: &M, intervals: &[Interval<M::Op>]) -> u64 {
        let problem = problem(model, intervals, false);
        let Some(calls) = super::stale(&problem, &Reductions::ALL) else {
            return 0;
        };
        let core = problem.weakened(problem.moments.len(), |call| calls.contains(&call));
        for problem in [problem, core] {
            let intervals = crate::explain::intervals(&problem);
            assert!(!truth(model, &intervals), "{calls:?} {intervals:#?}");
        }
        1
    }
    let registers = MultiRegister::new(None, NilReads::Observe).unwrap();
    let kv = Kv::new(None, NilReads::Observe).unwrap();
    let found = (0..10_000_u64).into_par_iter().map(|seed| {
        let intervals = transactions(&mut chance(seed), 2, 3 + seed % 3);
        (
            seen(&registers, &intervals),
            seen(&kv, &deletes(&mut chance(seed))),
        )
    });
    let (of_registers, of_kv) = found.reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    assert!(
        of_registers > 1_000 && of_kv > 1_000,
        "{of_registers} {of_kv}"
    );
}

fn is_blind(transaction: &Transaction) -> bool {
    let model = MultiRegister::new(None, NilReads::Observe).unwrap();
    let marked = Value::Map(vec![
        (Value::Int(0), "x".into()),
        (Value::Int(1), "x".into()),
    ]);
    let other = MultiRegister::new(Some(&marked), NilReads::Observe).unwrap();
    let legal = |model: &MultiRegister| model.step(&model.initial(None), transaction).is_some();
    legal(&model) && legal(&other) && !model.is_observer(transaction)
}

fn transaction(model: &MultiRegister, steps: Vec<Value>, outcome: Outcome) -> Transaction {
    let point = Point {
        index: 0,
        time_ns: 0,
    };
    let operation = Operation {
        process: 0,
        f: "txn".into(),
        key: None,
        input: Value::List(steps.clone()),
        output: Value::List(steps),
        outcome,
        invoked: point,
        ended: None,
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    };
    model.parse(&operation).unwrap().unwrap()
}

/// A chain of swaps, all under way at once, in which only one order is possible.
fn chain(width: u64, missing: Option<u64>) -> Vec<Interval<RegisterOp>> {
    let value = |n: u64| Value::Int(n as i64);
    let mut intervals: Vec<_> = (0..width)
        .filter(|link| Some(*link) != missing)
        .map(|link| Interval {
            op: RegisterOp::Cas(value(link), value(link + 1)),
            begins: link,
            ends: Some(3 * width - link),
        })
        .collect();
    intervals.push(Interval {
        op: RegisterOp::Read(value(width)),
        begins: 4 * width,
        ends: Some(4 * width + 1),
    });
    intervals
}

/// Goal: any number of operations may be under way at once.
#[test]
fn widths_around_and_above_the_size_of_a_word() {
    let model = register();
    for width in [63, 64, 65, 200, 256, 257, 300] {
        for engines in [Engines::Sets, Engines::Depth, Engines::Both] {
            let decide = |missing| {
                let problem = problem(&model, &chain(width, missing), true);
                decide_with(&problem, &budget(), Reductions::ALL, engines).0
            };
            assert_eq!(decide(None), Decision::Linearizable, "{width} {engines:?}");
            for missing in [0, width / 2, width - 1] {
                let decision = decide(Some(missing));
                let bad = matches!(decision, Decision::NotLinearizable { .. });
                assert!(bad, "{width} without {missing} {engines:?}: {decision:?}");
            }
        }
    }
}

/// Goal: a search that cannot end says so, and how far it came, and does not say valid.
#[test]
fn too_much_to_search_is_undecided() {
    let model = register();
    let mut intervals: Vec<_> = (0..40)
        .map(|n| Interval {
            op: RegisterOp::Write(Value::Int(n)),
            begins: n as u64 + 10,
            ends: Some(n as u64 + 100),
        })
        .collect();
    intervals.push(Interval {
        op: RegisterOp::Read(Value::Int(0)),
        begins: 0,
        ends: Some(1),
    });
    intervals.push(Interval {
        op: RegisterOp::Read(Value::Int(99)),
        begins: 90,
        ends: Some(190),
    });
    let problem = problem(&model, &intervals, true);
    let (decision, nodes) = decide(&problem, &budget().with_nodes(100_000));
    let Decision::Undecided {
        limit: Exhausted::Nodes,
        event,
    } = decision
    else {
        panic!("{decision:?}")
    };
    assert!(event >= 2, "the first read is explained");
    assert!((100_000..400_000).contains(&nodes), "{nodes}");
    let small = Limits {
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    let (decision, _) = decide(&problem, &Budget::new(&small, &Cancel::new()));
    assert!(matches!(
        decision,
        Decision::Undecided {
            limit: Exhausted::Memory,
            ..
        }
    ));
    let cancel = Cancel::new();
    cancel.cancel();
    let (decision, _) = decide(&problem, &Budget::new(&Limits::default(), &cancel));
    assert!(matches!(
        decision,
        Decision::Undecided {
            limit: Exhausted::Cancelled,
            ..
        }
    ));
    let short = Limits {
        time_ms: 20,
        ..Limits::default()
    };
    let (decision, _) = decide(&problem, &Budget::new(&short, &Cancel::new()));
    assert!(matches!(
        decision,
        Decision::Undecided {
            limit: Exhausted::Time,
            ..
        }
    ));
}

/// Goal: what cannot matter does not. Method: a history is changed in ways that keep it
/// linearizable if it is.
#[test]
fn what_only_gives_more_freedom_keeps_a_history_linearizable() {
    let model = register();
    (0..5_000_u64).into_par_iter().for_each(|seed| {
        let mut chance = chance(seed);
        let ops = register_ops(3, true);
        let intervals = random_intervals(&mut chance, 8, 4, |chance| {
            chance.pick(&ops).unwrap().clone()
        });
        let holds = |intervals: &[Interval<RegisterOp>]| {
            decide(&problem(&model, intervals, true), &budget()).0 == Decision::Linearizable
        };
        if !holds(&intervals) {
            return;
        }
        let mut wider = intervals.clone();
        let at = chance.below(8) as usize;
        wider[at].begins = wider[at].begins.saturating_sub(chance.below(4));
        wider[at].ends = wider[at].ends.map(|end| end + chance.below(4));
        // Of equal times beginnings come first.
        for interval in &mut wider {
            interval.begins *= 2;
            interval.ends = interval.ends.map(|end| end * 2 + 1);
        }
        assert!(holds(&wider), "wider: {intervals:#?}");
        let mut open = intervals.clone();
        open[at].ends = None;
        assert!(
            model.is_observer(&open[at].op) || holds(&open),
            "open: {intervals:#?}"
        );
        let cut = chance.below(16);
        let mut prefix = intervals.clone();
        prefix.retain(|interval| interval.begins < cut);
        for interval in &mut prefix {
            interval.ends = interval.ends.filter(|end| *end < cut);
        }
        prefix.retain(|interval| interval.ends.is_some() || !model.is_observer(&interval.op));
        assert!(holds(&prefix), "prefix of {cut}: {intervals:#?}");
    });
}

/// Goal: a beam that died proves nothing. Method: as if it did, some good history is called bad.
#[test]
fn what_a_beam_left_out_counts() {
    let model = register();
    let ops = register_ops(3, true);
    let reductions = Reductions {
        truncation: false,
        ..Reductions::ALL
    };
    let wrong = (0..2_000_u64).into_par_iter().any(|seed| {
        let mut chance = chance(seed);
        let intervals = random_intervals(&mut chance, 8, 5, |chance| {
            chance.pick(&ops).unwrap().clone()
        });
        let problem = problem(&model, &intervals, true);
        let (decision, _) = decide_with(&problem, &budget(), reductions, Engines::Beam);
        let said = decision == Decision::Linearizable;
        said != truth(&model, &intervals)
    });
    assert!(wrong);
}
