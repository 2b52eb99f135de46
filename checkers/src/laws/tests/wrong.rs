//! Models that break one law each: every one is caught, and by the law that it breaks.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use histories::{Operation, Outcome, Value};
use rayon::prelude::*;

use super::vocabulary;
use crate::laws::{Effort, Law, LawViolation, Report, check};
use crate::models::{ModelKind, MultiRegister, Transaction};
use crate::oracle::{self, Interval};
use crate::testing::samples;
use crate::{
    Access, Marks, Model, ModelError, Monitored, NilReads, Register, RegisterOp, RegisterView,
    Touches,
};

use RegisterOp::{Cas, Mismatch, Read, Write};

mod askew;
mod misplaced;

/// What is wrong with a [`Wrong`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    StepPanics,
    HintPanics,
    WordsPanic,
    StepWavers,
    ParseWavers,
    UnknownWriteIsLost,
    UnknownCasIsWrite,
    UnknownIsElsewhere,
    UnknownIsRefused,
    CasObserves,
    StatesWithoutCas,
    StatesOfOneOnly,
    CasLeavesOld,
    MismatchObserved,
    CasWritesOld,
    LacksWhatItSees,
    LacksWhatWasOverwritten,
    KeepsWhatWasOverwritten,
    MismatchFinds,
    CasLeavesNothing,
    NobodySeesMismatches,
    NobodySeesCas,
    SpeaksOfOthers,
    ViewsNotAsRead,
    ViewsForgetStart,
    ViewsTooFew,
    ViewsTooHigh,
    ViewsOpenAsNothing,
    AlwaysValid,
    NeverValid,
    BlamesNobody,
    BlamesWhoIsNot,
    StartWavers,
}

/// A cas-register with every hint there is, all of them right but one.
struct Wrong {
    right: Register,
    fault: Fault,
    asked: AtomicU64,
}

impl Wrong {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// True every other time.
    fn wavers(&self, fault: Fault) -> bool {
        self.has(fault) && self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }
}

impl Model for Wrong {
    type State = Value;
    type Op = RegisterOp;

    fn name(&self) -> &'static str {
        "wrong"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<RegisterOp>, ModelError> {
        let unknown = operation.outcome == Outcome::Info;
        if self.wavers(Fault::ParseWavers) || unknown && self.has(Fault::UnknownWriteIsLost) {
            return Ok(None);
        }
        if unknown && self.has(Fault::UnknownIsRefused) {
            return Err(ModelError::new(self.name(), operation, "info", "ok"));
        }
        let parsed = self.right.parse(operation)?;
        Ok(parsed.map(|op| match op {
            Cas(_, new) if unknown && self.has(Fault::UnknownCasIsWrite) => Cas(Value::Int(7), new),
            op => op,
        }))
    }

    fn part(&self, operation: &Operation, op: &RegisterOp) -> Option<Value> {
        let unknown = operation.outcome == Outcome::Info;
        match unknown && self.has(Fault::UnknownIsElsewhere) {
            true => Some("elsewhere".into()),
            false => self.right.part(operation, op),
        }
    }

    fn initial(&self, part: Option<&Value>) -> Value {
        match self.wavers(Fault::StartWavers) {
            true => self.right.initial(part),
            false if self.has(Fault::StartWavers) => Value::Int(1),
            false => self.right.initial(part),
        }
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        assert!(
            !self.has(Fault::StepPanics) || *state != Value::Int(2),
            "two is too many"
        );
        match self.wavers(Fault::StepWavers) {
            true => None,
            false => self.right.step(state, op),
        }
    }

    fn is_observer(&self, op: &RegisterOp) -> bool {
        let wrong = self.has(Fault::CasObserves) && matches!(op, Cas(..));
        wrong || self.right.is_observer(op)
    }

    fn unobserved(
        &self,
        starts: &[Self::State],
        completed: &[&RegisterOp],
        open: &[&RegisterOp],
    ) -> Vec<bool> {
        assert!(!self.has(Fault::HintPanics), "no idea");
        let mut completed = completed.to_vec();
        if self.has(Fault::NobodySeesMismatches) {
            completed.retain(|op| !matches!(op, Mismatch(_)));
        }
        if self.has(Fault::NobodySeesCas) {
            completed.retain(|op| !matches!(op, Cas(..)));
        }
        let mut said = self.right.unobserved(starts, &completed, open);
        if self.has(Fault::SpeaksOfOthers) {
            said.push(false);
        }
        said
    }

    fn touches(&self, op: &RegisterOp) -> Option<Touches> {
        let (finds, leaves) = match op {
            Read(value) => (Some(value), None),
            Write(value) => (None, Some(value)),
            Cas(old, _) if self.has(Fault::CasLeavesNothing) => (Some(old), None),
            Cas(old, new) => (Some(old), Some(new)),
            Mismatch(value) => (self.has(Fault::MismatchFinds).then_some(value), None),
        };
        let there = |value: Option<&Value>| {
            let value = value.into_iter().cloned();
            value.map(|value| (Value::Nil, value)).collect()
        };
        Some(Touches {
            finds: there(finds),
            leaves: there(leaves),
        })
    }

    fn states_after(&self, updates: &[&RegisterOp], rest: &[&RegisterOp]) -> Option<Vec<Value>> {
        let mut named = self.right.states_after(updates, rest)?;
        if self.has(Fault::StatesWithoutCas) && updates.iter().any(|op| matches!(op, Cas(..))) {
            named.pop();
        }
        if self.has(Fault::StatesOfOneOnly) {
            named.truncate(1);
        }
        Some(named)
    }

    fn leaves(&self, op: &RegisterOp, _among: &[&RegisterOp]) -> Option<Value> {
        match op {
            Cas(old, _) if self.has(Fault::CasLeavesOld) => Some(old.clone()),
            Read(value) | Write(value) | Cas(_, value) => Some(value.clone()),
            Mismatch(_) => None,
        }
    }

    fn register_view(
        &self,
        initial: &Value,
        history: &[Interval<RegisterOp>],
    ) -> Option<RegisterView> {
        let nowhere = Value::Int(99);
        let start = match self.has(Fault::ViewsForgetStart) {
            true => &nowhere,
            false => initial,
        };
        let mut view = RegisterView::of(start, history, |interval| {
            Some(match &interval.op {
                Write(value) if interval.ends.is_none() && self.has(Fault::ViewsOpenAsNothing) => {
                    Access::Not(value)
                }
                Mismatch(value) if self.has(Fault::ViewsNotAsRead) => Access::Read(value),
                Mismatch(value) => Access::Not(value),
                Read(value) => Access::Read(value),
                Write(value) => Access::Write(value),
                Cas(old, new) => Access::Cas(old, new),
            })
        })?;
        if self.has(Fault::ViewsTooFew) {
            view.accesses.pop();
        }
        if self.has(Fault::ViewsTooHigh) {
            view.values -= 1;
        }
        Some(view)
    }

    fn monitor(&self, initial: &Value, history: &[Interval<RegisterOp>]) -> Option<Monitored> {
        let everybody: Vec<usize> = (0..history.len()).collect();
        let truth = oracle::is_linearizable(&self.right, initial, history, 100_000)?;
        Some(match self.fault {
            Fault::AlwaysValid => Monitored::Linearizable,
            Fault::NeverValid => Monitored::Violated(everybody),
            _ if truth => Monitored::Linearizable,
            Fault::BlamesNobody => Monitored::Violated(Vec::new()),
            Fault::BlamesWhoIsNot => Monitored::Violated(vec![history.len()]),
            _ => Monitored::Violated(everybody),
        })
    }

    fn describe(&self, op: &RegisterOp) -> String {
        assert!(!self.has(Fault::WordsPanic), "lost for words");
        self.right.describe(op)
    }

    fn describe_state(&self, state: &Value) -> String {
        self.right.describe_state(state)
    }

    fn observed(&self, op: &RegisterOp) -> Option<Value> {
        match op {
            Mismatch(value) if self.has(Fault::MismatchObserved) => Some(value.clone()),
            op => self.right.observed(op),
        }
    }

    fn written(&self, op: &RegisterOp) -> Option<Value> {
        match op {
            Cas(old, _) if self.has(Fault::CasWritesOld) => Some(old.clone()),
            op => self.right.written(op),
        }
    }

    /// The value 1 is an element, which other values remove.
    fn marks(&self, op: &RegisterOp) -> Option<(Value, Marks)> {
        let one = Value::Int(1);
        let marks = match op {
            Write(value) if *value == one => Marks::Adds(one),
            Read(found) => Marks::Finds {
                elements: Some(found)
                    .filter(|found| **found == one)
                    .cloned()
                    .into_iter()
                    .collect(),
                in_order: false,
            },
            Write(_) if self.has(Fault::KeepsWhatWasOverwritten) => return None,
            Write(_) | Cas(..) => Marks::Removes(one),
            Mismatch(_) => return None,
        };
        Some((Value::Nil, marks))
    }

    fn lacks(&self, observation: &RegisterOp, update: &RegisterOp) -> bool {
        match (observation, update) {
            (Read(found), Write(value)) if self.has(Fault::LacksWhatItSees) => found == value,
            (Mismatch(_), Write(_)) => self.has(Fault::LacksWhatWasOverwritten),
            (Read(found), Write(value)) => found != value,
            _ => false,
        }
    }
}

fn try_laws<M: Model>(model: &M, row: &str) -> Result<Report, LawViolation> {
    let effort = Effort {
        histories: 3_000,
        ..Effort::default()
    };
    check(model, &samples(row), &effort)
}

fn try_fault(fault: Fault) -> Result<Report, LawViolation> {
    let model = Wrong {
        right: Register::with_cas(Value::Int(0), NilReads::Observe),
        fault,
        asked: AtomicU64::new(0),
    };
    try_laws(&model, vocabulary(ModelKind::CasRegister).0)
}

/// Goal: a wrong hint fails, and is named. Method: one fault at a time, in a model that passes
/// without any.
#[test]
fn every_wrong_hint_is_caught() {
    let report = try_fault(Fault::Nothing).unwrap();
    assert_eq!(
        report.untried(),
        [Law::Parts, Law::Moves, Law::Aspect],
        "{report}"
    );
    let faults = [
        (Fault::StepPanics, Law::NoPanic),
        (Fault::HintPanics, Law::NoPanic),
        (Fault::WordsPanic, Law::NoPanic),
        (Fault::StepWavers, Law::Deterministic),
        (Fault::ParseWavers, Law::Deterministic),
        (Fault::UnknownWriteIsLost, Law::UnknownOutcome),
        (Fault::UnknownCasIsWrite, Law::UnknownOutcome),
        (Fault::UnknownIsElsewhere, Law::UnknownOutcome),
        (Fault::UnknownIsRefused, Law::UnknownOutcome),
        (Fault::CasObserves, Law::IsObserver),
        (Fault::StatesWithoutCas, Law::StatesAfter),
        (Fault::StatesOfOneOnly, Law::StatesAfter),
        (Fault::CasLeavesOld, Law::Leaves),
        (Fault::MismatchObserved, Law::Observed),
        (Fault::CasWritesOld, Law::Observed),
        (Fault::LacksWhatItSees, Law::Lacks),
        (Fault::LacksWhatWasOverwritten, Law::Lacks),
        (Fault::KeepsWhatWasOverwritten, Law::Marks),
        (Fault::MismatchFinds, Law::Touches),
        (Fault::CasLeavesNothing, Law::Touches),
        (Fault::NobodySeesMismatches, Law::Unobserved),
        (Fault::NobodySeesCas, Law::Unobserved),
        (Fault::SpeaksOfOthers, Law::Unobserved),
        (Fault::ViewsNotAsRead, Law::RegisterView),
        (Fault::ViewsForgetStart, Law::RegisterView),
        (Fault::ViewsTooFew, Law::RegisterView),
        (Fault::ViewsTooHigh, Law::RegisterView),
        (Fault::ViewsOpenAsNothing, Law::RegisterView),
        (Fault::AlwaysValid, Law::Monitor),
        (Fault::NeverValid, Law::Monitor),
        (Fault::BlamesNobody, Law::Monitor),
        (Fault::BlamesWhoIsNot, Law::Monitor),
        (Fault::StartWavers, Law::Verdict),
    ];
    faults.into_par_iter().for_each(|(fault, law)| {
        let violation = try_fault(fault).expect_err(&format!("{fault:?}"));
        assert_eq!(violation.law, law, "{fault:?}: {violation}");
    });
}

#[test]
fn a_violation_is_told_with_state_and_few_operations() {
    let told = |fault| try_fault(fault).unwrap_err().to_string();
    assert_eq!(
        told(Fault::CasObserves),
        "the model wrong breaks the law \"is_observer\": an operation that is said to only observe \
         leaves: the value is 1\n  state: the value is 0\n  operation: cas from 0 to 1"
    );
    let violation = try_fault(Fault::NobodySeesMismatches).unwrap_err();
    assert_eq!(violation.operations.len(), 2, "{violation}");
    assert!(violation.state.is_some());
    let violation = try_fault(Fault::StepPanics).unwrap_err();
    assert_eq!(violation.what, "step panicked: two is too many");
}

/// Two registers, of which transactions are not always said to touch both.
struct Unjoined(MultiRegister);

impl Model for Unjoined {
    type State = <MultiRegister as Model>::State;
    type Op = Transaction;

    fn name(&self) -> &'static str {
        "unjoined"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Transaction>, ModelError> {
        self.0.parse(operation)
    }

    fn part(&self, operation: &Operation, op: &Transaction) -> Option<Value> {
        self.0.part(operation, op)
    }

    fn joins(&self, operation: &Operation, op: &Transaction) -> Vec<Value> {
        match &*operation.f {
            "write" => Vec::new(),
            _ => self.0.joins(operation, op),
        }
    }

    fn initial(&self, part: Option<&Value>) -> Self::State {
        self.0.initial(part)
    }

    fn step(&self, state: &Self::State, op: &Transaction) -> Option<Self::State> {
        self.0.step(state, op)
    }

    fn describe(&self, op: &Transaction) -> String {
        self.0.describe(op)
    }

    fn describe_state(&self, state: &Self::State) -> String {
        self.0.describe_state(state)
    }
}

#[test]
fn parts_that_influence_each_other_are_caught() {
    let registers = MultiRegister::new(None, NilReads::Observe).unwrap();
    let row = "write {x 1, y 1} -> nil; read {y nil} -> {y 1}; read {x nil, y nil} -> {x 1, y 1}";
    let violation = try_laws(&Unjoined(registers.clone()), row).unwrap_err();
    assert_eq!(violation.law, Law::Parts, "{violation}");
    assert_eq!(violation.operations.len(), 2, "{violation}");
    let report = try_laws(&registers, row).unwrap();
    assert_eq!(
        report.cases(Law::Parts),
        0,
        "nothing is apart here: {report}"
    );
}

/// A counter whose operations or states are compared carelessly.
struct Careless {
    ops: bool,
    states: bool,
    hashes: bool,
}

#[derive(Debug, Clone, Eq)]
struct Add {
    amount: i64,
    careless: bool,
    hash: bool,
}

#[derive(Debug, Clone, Eq)]
struct Sum {
    sum: i64,
    /// How the sum came about, which is part of the state where it is compared.
    last: i64,
    careless: bool,
}

impl PartialEq for Add {
    fn eq(&self, other: &Self) -> bool {
        self.careless || self.amount == other.amount
    }
}

impl Hash for Add {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        match self.hash {
            true => CALLS.fetch_add(1, Ordering::Relaxed).hash(hasher),
            false if self.careless => {}
            false => self.amount.hash(hasher),
        }
    }
}

impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        self.sum == other.sum && (self.careless || self.last == other.last)
    }
}

impl Hash for Sum {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.sum.hash(hasher);
    }
}

impl Model for Careless {
    type State = Sum;
    type Op = Add;

    fn name(&self) -> &'static str {
        "careless"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Add>, ModelError> {
        Ok(operation.input.as_int().map(|amount| Add {
            amount,
            careless: self.ops,
            hash: self.hashes,
        }))
    }

    fn part(&self, _operation: &Operation, _op: &Add) -> Option<Value> {
        None
    }

    fn initial(&self, _part: Option<&Value>) -> Sum {
        Sum {
            sum: 0,
            last: 0,
            careless: self.states,
        }
    }

    /// The same amount cannot be added twice in a row.
    fn step(&self, state: &Sum, op: &Add) -> Option<Sum> {
        (state.last != op.amount).then(|| Sum {
            sum: state.sum + op.amount,
            last: op.amount,
            careless: self.states,
        })
    }

    fn describe(&self, op: &Add) -> String {
        format!("add {}", op.amount)
    }

    fn describe_state(&self, state: &Sum) -> String {
        format!("{} after {}", state.sum, state.last)
    }
}

#[test]
fn careless_equality_is_caught() {
    let row = "add 1 -> nil; add 2 -> nil; add -1 -> nil; add 1 -> nil";
    let of = |ops, states, hashes| {
        try_laws(
            &Careless {
                ops,
                states,
                hashes,
            },
            row,
        )
    };
    assert!(of(false, false, false).is_ok());
    for (ops, states, hashes) in [
        (true, false, false),
        (false, true, false),
        (false, false, true),
    ] {
        let violation = of(ops, states, hashes).unwrap_err();
        assert_eq!(violation.law, Law::Equality, "{violation}");
    }
}

#[test]
fn samples_that_mean_nothing_are_refused() {
    let register = Register::new(Value::Nil, NilReads::Any);
    for (row, what) in [
        (
            "cas [1 2] -> true",
            "it refuses an operation: operation 0 has an operation \"cas\"",
        ),
        (
            "read nil -> nil",
            "none of the samples means anything to it",
        ),
        ("write 1 -> x", "none of the samples means anything to it"),
    ] {
        let violation = try_laws(&register, row).unwrap_err();
        assert_eq!(violation.law, Law::Samples, "{violation}");
        assert!(violation.what.starts_with(what), "{violation}");
    }
}
