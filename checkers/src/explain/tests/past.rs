//! What is left when what came before is left out has an order where the whole has one.

use std::sync::Arc;

use histories::{Operation, Value};
use rayon::prelude::*;
use seeds::Stream;

use super::{has_order, intervals};
use crate::limits::Budget;
use crate::models::{Counter, Set};
use crate::oracle::{self, Interval};
use crate::registers::{Excerpt, RegisterHistory, decide_excerpt};
use crate::search::{Decision, Problem};
use crate::testing::{chance, problem, random_intervals};
use crate::{
    Access, Cancel, CounterOp, Element, Kv, KvOp, Limits, Model, ModelError, NilReads, Register,
    RegisterOp, SetOp,
};

/// Which states to forget, given what comes later.
type Forgets<M> = fn(&<M as Model>::State, &[&<M as Model>::Op]) -> bool;

/// A model that forgets some of the states that may have been left.
struct Forgetful<M: Model> {
    right: M,
    forgets: Forgets<M>,
}

impl<M: Model> Model for Forgetful<M> {
    type State = M::State;
    type Op = M::Op;

    fn name(&self) -> &'static str {
        self.right.name()
    }

    fn parse(&self, operation: &Operation) -> Result<Option<M::Op>, ModelError> {
        self.right.parse(operation)
    }

    fn part(&self, operation: &Operation, op: &M::Op) -> Option<Value> {
        self.right.part(operation, op)
    }

    fn initial(&self, part: Option<&Value>) -> M::State {
        self.right.initial(part)
    }

    fn step(&self, state: &M::State, op: &M::Op) -> Option<M::State> {
        self.right.step(state, op)
    }

    fn is_observer(&self, op: &M::Op) -> bool {
        self.right.is_observer(op)
    }

    fn unobserved(&self, starts: &[M::State], completed: &[&M::Op], open: &[&M::Op]) -> Vec<bool> {
        self.right.unobserved(starts, completed, open)
    }

    fn states_after(&self, updates: &[&M::Op], rest: &[&M::Op]) -> Option<Vec<M::State>> {
        let mut states = self.right.states_after(updates, rest)?;
        states.retain(|state| !(self.forgets)(state, rest));
        Some(states)
    }
}

/// How many random histories stay without an order when they are cut somewhere, and how many that
/// have one lose it.
fn cut_anywhere<M: Model>(
    model: &M,
    operation: impl Fn(&mut Stream) -> M::Op + Sync,
) -> (u64, u64) {
    (0..6_000_u64)
        .into_par_iter()
        .map(|seed| {
            let mut chance = chance(seed);
            let count = 3 + chance.below(5) as usize;
            let history = random_intervals(&mut chance, count, 3, &operation);
            let problem = problem(model, &history, false);
            let cut = chance.below(problem.moments.len() as u64 + 1) as usize;
            let local = problem.without_before(cut).unwrap();
            match (has_order(&problem).unwrap(), has_order(&local).unwrap()) {
                (_, true) => (0, 0),
                (false, false) => (1, 0),
                (true, false) => (0, 1),
            }
        })
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

/// Goal: the states that are named are enough, and each kind of them is needed. Method: histories
/// by chance, with all states and without some.
fn states_suffice<M: Model>(
    right: impl Fn() -> M,
    operation: impl Fn(&mut Stream) -> M::Op + Sync,
    needed: &[Forgets<M>],
) {
    let (still_bad, wrong) = cut_anywhere(&right(), &operation);
    assert!(still_bad > 300 && wrong == 0, "{still_bad} {wrong}");
    for (place, &forgets) in needed.iter().enumerate() {
        let right = right();
        let (_, wrong) = cut_anywhere(&Forgetful { right, forgets }, &operation);
        assert!(wrong > 0, "states of kind {place} are not needed");
    }
}

fn text(chance: &mut Stream) -> Arc<str> {
    (*chance.pick(&["a", "b", "ab"]).unwrap()).into()
}

type Held = Option<Arc<str>>;

fn held(chance: &mut Stream) -> Held {
    let texts = [
        None,
        Some("a"),
        Some("b"),
        Some("ab"),
        Some("ba"),
        Some("aab"),
    ];
    chance.pick(&texts).unwrap().map(Into::into)
}

fn is_other(state: &Held) -> bool {
    state.as_deref() == Some("(something else)")
}

fn is_named(state: &Held, rest: &[&KvOp]) -> bool {
    rest.iter().any(|op| match op {
        KvOp::Get(held) | KvOp::Cas(held, _) | KvOp::Mismatch(held) => held == state,
        _ => false,
    })
}

#[test]
fn of_appends() {
    let operation = |chance: &mut Stream| match chance.below(14) {
        0..4 => KvOp::Append(text(chance)),
        4 => KvOp::Put(text(chance)),
        5 => KvOp::Cas(held(chance), text(chance)),
        6 => KvOp::Mismatch(held(chance)),
        7 => KvOp::Delete,
        8 => KvOp::DeleteFound,
        9 => KvOp::DeleteMissing,
        10..12 => KvOp::Mismatch(Some("a".into())),
        _ => KvOp::Get(held(chance)),
    };
    states_suffice(
        || Kv::new(Some(&"a".into()), NilReads::default()).unwrap(),
        operation,
        &[
            |state: &Held, _| state.is_none(),
            is_named,
            |state, rest| !is_named(state, rest) && !is_other(state),
            |state, _| is_other(state),
        ],
    );
}

fn is_found(state: &i128, rest: &[&CounterOp]) -> bool {
    let mut rest = rest.iter();
    rest.any(|op| matches!(op, CounterOp::Read(found) if i128::from(*found) == *state))
}

#[test]
fn of_additions() {
    let operation = |chance: &mut Stream| {
        let amount = *chance.pick(&[-1, 1, 1, 2]).unwrap();
        let found = chance.below(5) as i64 - 1;
        match chance.below(5) {
            0..2 => CounterOp::Add(amount),
            2 => CounterOp::AddAndGet(amount, found),
            _ => CounterOp::Read(found),
        }
    };
    states_suffice(
        || Counter::new(None, NilReads::default()).unwrap(),
        operation,
        &[is_found, |state, rest| !is_found(state, rest)],
    );
}

/// Goal: a window of a register that has no order is in a history that has none. Method: random
/// histories of few values; windows of every size; decided by the oracle.
#[test]
fn windows_of_registers() {
    let found: u64 = (0..3_000_u64)
        .into_par_iter()
        .map(|seed| {
            let mut chance = chance(seed);
            let accesses = random_intervals(&mut chance, 9, 3, |chance| {
                let (a, b) = (chance.below(4) as i64, chance.below(4) as i64);
                match chance.below(6) {
                    0..2 => Access::Write(a),
                    2..4 => Access::Read(a),
                    4 => Access::Cas(a, b),
                    _ => Access::Not(a),
                }
            });
            let (history, _) = RegisterHistory::from_intervals(&numbers(&accesses), 4);
            let whole = Excerpt::whole(history, true);
            let budget = Budget::new(&Limits::default(), &Cancel::new());
            let mut bad = 0;
            for moments in 1..whole.history.moments.len() {
                for window in whole.windows(moments) {
                    assert!(window.history.moments.len() <= moments + whole.history.calls.len());
                    let decision = decide_excerpt(&window, &budget);
                    bad += u64::from(decision != Decision::Linearizable);
                }
            }
            let model = Register::with_cas(Value::Int(0), NilReads::Observe);
            let plain = plain(&accesses);
            let good = oracle::is_linearizable(&model, &Value::Int(0), &plain, u64::MAX).unwrap();
            assert!(bad == 0 || !good, "{accesses:#?}");
            u64::from(bad > 0)
        })
        .sum();
    assert!(found > 500, "{found}");
}

fn numbers(accesses: &[Interval<Access<i64>>]) -> Vec<Interval<Access<u32>>> {
    let number = |value: i64| value as u32;
    with_ops(accesses, |access| match access {
        Access::Read(a) => Access::Read(number(a)),
        Access::Write(a) => Access::Write(number(a)),
        Access::Cas(a, b) => Access::Cas(number(a), number(b)),
        Access::Not(a) => Access::Not(number(a)),
    })
}

fn plain(accesses: &[Interval<Access<i64>>]) -> Vec<Interval<RegisterOp>> {
    with_ops(accesses, |access| match access {
        Access::Read(a) => RegisterOp::Read(a.into()),
        Access::Write(a) => RegisterOp::Write(a.into()),
        Access::Cas(a, b) => RegisterOp::Cas(a.into(), b.into()),
        Access::Not(a) => RegisterOp::Mismatch(a.into()),
    })
}

fn with_ops<A: Copy, B>(intervals: &[Interval<A>], op: impl Fn(A) -> B) -> Vec<Interval<B>> {
    let with_op = |interval: &Interval<A>| Interval {
        op: op(interval.op),
        begins: interval.begins,
        ends: interval.ends,
    };
    intervals.iter().map(with_op).collect()
}

#[test]
fn of_whole_reads() {
    let operation = |chance: &mut Stream| {
        let value = Value::Int(chance.below(3) as i64);
        let set = Value::Nil;
        let element = Element { set, value };
        match chance.below(8) {
            0..2 => SetOp::Add(element),
            2 => SetOp::AddNew(element),
            3 => SetOp::Remove(element),
            4 => SetOp::RemoveFound(element),
            5 => SetOp::Contains(element, chance.chance(1, 2)),
            _ => {
                let shown = (0..3).filter(|_| chance.chance(1, 2)).map(Value::Int);
                SetOp::ReadAll(Value::Nil, shown.collect())
            }
        }
    };
    fn has_other(state: &Arc<Vec<Element>>) -> bool {
        state
            .iter()
            .any(|element| element.value.as_text().is_some())
    }
    states_suffice(
        || Set::new(Some(&Value::List(vec![Value::Int(1)])), NilReads::default()).unwrap(),
        operation,
        &[
            |state, _| has_other(state),
            |state, _| !has_other(state),
            |state, _| state.len() % 2 == 1,
        ],
    );
}

/// The calls of a history that are kept, and whether they still return; for `None` they are left out.
fn kept<M: Model>(
    problem: &Problem<'_, M>,
    keep: impl Fn(usize) -> Option<bool>,
) -> Vec<Interval<M::Op>> {
    let whole = intervals(problem);
    let some = whole
        .into_iter()
        .enumerate()
        .filter_map(|(call, interval)| {
            let returns = keep(call)?;
            let ends = interval.ends.filter(|_| returns);
            Some(Interval { ends, ..interval })
        });
    some.collect()
}

fn from_any<M: Model>(model: &M, starts: &[M::State], history: &[Interval<M::Op>]) -> bool {
    let has_order = |start| oracle::is_linearizable(model, start, history, u64::MAX).unwrap();
    starts.iter().any(has_order)
}

/// Goal: what is weakened, and what is under way where a history begins anew, may have happened or
/// not (R7). Method: then no history that has an order loses it; one does when the weakened are left out,
/// and when those under way must still happen.
#[test]
fn what_is_weakened_may_have_happened_or_not() {
    let model = Kv::new(None, NilReads::default()).unwrap();
    let wrong = (0..20_000_u64).into_par_iter().map(|seed| {
        let mut chance = chance(seed);
        let history = random_intervals(&mut chance, 6, 3, |chance| match chance.below(6) {
            0..2 => KvOp::Append(text(chance)),
            2 => KvOp::Put(text(chance)),
            _ => KvOp::Get(held(chance)),
        });
        let problem = problem(&model, &history, false);
        if !has_order(&problem).unwrap() {
            return [0; 4];
        }
        let initial = [model.initial(None)];
        let bounded: Vec<bool> = history.iter().map(|_| chance.chance(1, 2)).collect();
        let is_over = |call: usize| !problem.calls[call].open;
        let weakened = |left_out: bool| {
            kept(&problem, |call| {
                let is_weakened = is_over(call) && !bounded[call];
                (!(is_weakened && left_out)).then_some(!is_weakened)
            })
        };
        let cut = chance.below(problem.moments.len() as u64 + 1) as usize;
        let starts = problem.without_before(cut).unwrap().starts;
        let anew = |must: bool| {
            let begins = intervals(&problem);
            kept(&problem, |call| {
                let is_under_way = (begins[call].begins as usize) < cut;
                let is_observer = problem.observers[problem.calls[call].class as usize];
                let is_left =
                    problem.returns[call] as usize >= cut && !(is_under_way && is_observer);
                is_left.then_some(!is_under_way || must)
            })
        };
        let lost = |starts: &[Held], history: &[_]| u64::from(!from_any(&model, starts, history));
        [
            lost(&initial, &weakened(false)),
            lost(&initial, &weakened(true)),
            lost(&starts, &anew(false)),
            lost(&starts, &anew(true)),
        ]
    });
    let add = |a: [u64; 4], b: [u64; 4]| std::array::from_fn(|place| a[place] + b[place]);
    let [weakened, left_out, anew, must] = wrong.reduce(|| [0; 4], add);
    assert_eq!([weakened, anew], [0, 0]);
    assert!(left_out > 0 && must > 0, "{left_out} {must}");
}
