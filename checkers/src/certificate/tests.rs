//! Certificates of valid histories are accepted; changed ones are not.

use histories::{History, Operation, Operations, Outcome, Point, Value};
use seeds::Stream;

use super::CertifyError;
use super::{Certificate, PartOrder, Refusal, Refused, VerifyError, certify, certify_of, verify};
use crate::models::Visitor;
use crate::normalise;
use crate::testing::{chance, operations};
use crate::{Cancel, Limits, Model, ModelError, ModelKind, ModelOptions};

/// What one operation does to the state of its key: name, argument, result.
type Act = (&'static str, Value, Value);

const CLIENTS: u64 = 4;

/// The models that [`act`] knows.
const KINDS: [ModelKind; 4] = [
    ModelKind::Register,
    ModelKind::CasRegister,
    ModelKind::MultiRegister,
    ModelKind::Kv,
];

/// An operation of the model by chance, done to the state.
fn act(kind: ModelKind, state: &mut Value, chance: &mut Stream) -> Act {
    let number = |chance: &mut Stream| Value::Int(chance.below(3) as i64);
    match (kind, chance.below(5)) {
        (ModelKind::Kv, 0..=2) => {
            let text = Value::from(["", "x", "yz"][chance.below(3) as usize]);
            let before = state.as_text().unwrap_or("").to_owned();
            match chance.below(4) {
                0 => {
                    *state = text.clone();
                    ("put", text, Value::Nil)
                }
                1 => {
                    *state = Value::from(before + text.as_text().unwrap());
                    ("append", text, Value::Nil)
                }
                2 => {
                    let found = !state.is_nil();
                    *state = Value::Nil;
                    ("delete", Value::Nil, Value::Bool(found))
                }
                _ => {
                    let pair = Value::List(vec![Value::from("x"), text.clone()]);
                    let swapped = state.as_text() == Some("x");
                    if swapped {
                        *state = text;
                    }
                    ("cas", pair, Value::Bool(swapped))
                }
            }
        }
        (ModelKind::Kv, _) => ("get", Value::Nil, state.clone()),
        (ModelKind::MultiRegister, what) => {
            let mut values = match &*state {
                Value::List(values) => values.clone(),
                _ => vec![Value::Nil; 2],
            };
            let at = chance.below(2) as usize;
            let register = Value::from(["a", "b"][at]);
            let step =
                |f: &str, value: Value| Value::List(vec![Value::from(f), register.clone(), value]);
            let asked = if what < 2 {
                values[at] = number(chance);
                step("write", values[at].clone())
            } else {
                step("read", Value::Nil)
            };
            let other = Value::from(["b", "a"][at]);
            let seen = Value::List(vec![Value::from("read"), other, values[1 - at].clone()]);
            let done = match what < 2 {
                true => asked.clone(),
                false => step("read", values[at].clone()),
            };
            *state = Value::List(values);
            let input = Value::List(vec![asked, seen.clone()]);
            ("txn", input, Value::List(vec![done, seen]))
        }
        (ModelKind::CasRegister, 0) => {
            let (old, new) = (number(chance), number(chance));
            let swapped = *state == old;
            if swapped {
                *state = new.clone();
            }
            let pair = Value::List(vec![old, new]);
            ("cas", pair, Value::Bool(swapped))
        }
        (_, 0..=2) => {
            *state = number(chance);
            ("write", state.clone(), Value::Nil)
        }
        _ => ("read", Value::Nil, state.clone()),
    }
}

/// What a client is at.
struct Pending {
    operation: usize,
    done: Option<Act>,
}

/// A linearizable history by chance: some operations fail, some have an unknown outcome, some
/// events have one time.
fn history(kind: ModelKind, chance: &mut Stream, count: usize) -> Vec<Operation> {
    let mut states = vec![Value::Nil; 2];
    let mut clients: Vec<Option<Pending>> = (0..CLIENTS).map(|_| None).collect();
    let mut processes: Vec<u64> = (0..CLIENTS).collect();
    let mut operations: Vec<Operation> = Vec::new();
    let (mut index, mut time_ns) = (0, 10);
    while operations.len() < count || clients.iter().any(Option::is_some) {
        index += chance.below(2) + 1;
        time_ns += chance.below(3) / 2;
        let point = Point { index, time_ns };
        let client = chance.below(CLIENTS) as usize;
        let Some(pending) = &mut clients[client] else {
            if operations.len() < count {
                clients[client] = Some(Pending {
                    operation: operations.len(),
                    done: None,
                });
                let key = Value::Int(chance.below(2) as i64);
                operations.push(begun(processes[client], key, point));
            }
            continue;
        };
        let operation = &mut operations[pending.operation];
        let key = operation.key.as_ref().and_then(Value::as_int).unwrap() as usize;
        match (&pending.done, chance.below(20)) {
            (None, 0) => {
                // It never happens: as failed, or as unknown.
                (operation.outcome, operation.ended) = match chance.chance(1, 2) {
                    true => (Outcome::Fail, Some(point)),
                    false => (Outcome::Info, None),
                };
                let act = act(kind, &mut states[key].clone(), chance);
                name(operation, act);
            }
            (None, _) => {
                pending.done = Some(act(kind, &mut states[key], chance));
                continue;
            }
            (Some(done), what) => {
                name(operation, done.clone());
                operation.outcome = Outcome::Ok;
                operation.ended = Some(point);
                if what == 0 {
                    operation.outcome = Outcome::Info;
                }
            }
        }
        if operation.outcome != Outcome::Ok {
            operation.output = Value::Nil;
            processes[client] += CLIENTS;
        }
        clients[client] = None;
    }
    operations
}

fn begun(process: u64, key: Value, invoked: Point) -> Operation {
    Operation {
        process,
        f: "".into(),
        key: Some(key),
        input: Value::Nil,
        output: Value::Nil,
        outcome: Outcome::Info,
        invoked,
        ended: None,
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    }
}

fn name(operation: &mut Operation, (f, input, output): Act) {
    operation.f = f.into();
    operation.input = input;
    operation.output = output;
}

fn certified(operations: &[Operation], options: &ModelOptions) -> Certificate {
    attempted(operations, options, &Cancel::new()).unwrap()
}

fn attempted(
    operations: &[Operation],
    options: &ModelOptions,
    cancel: &Cancel,
) -> Result<Certificate, CertifyError> {
    let history = History::from_operations(operations);
    certify(&history.operations(), options, &Limits::default(), cancel)
}

fn verified(
    operations: &[Operation],
    options: &ModelOptions,
    certificate: &Certificate,
) -> Result<u64, Refusal> {
    let orders = certificate.orders.iter().cloned().map(Ok::<_, String>);
    let history = History::from_operations(operations);
    match verify(&history.operations(), options, &certificate.header, orders) {
        Ok(accepted) => Ok(accepted.placed),
        Err(VerifyError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other}"),
    }
}

/// Whether orders are right, by definition: everything pair by pair, on the moments as the engines
/// order them.
struct ByDefinition<'a> {
    operations: &'a Operations<'a>,
    orders: &'a [PartOrder],
}

impl Visitor for ByDefinition<'_> {
    type Output = Result<bool, ModelError>;

    fn visit<M: Model>(self, model: &M) -> Self::Output {
        let parts = normalise::parts(model, self.operations)?;
        if parts.len() != self.orders.len() {
            return Ok(false);
        }
        for (part, order) in parts.iter().zip(self.orders) {
            let problem = part.problem(model, false);
            let moment = |call: u32, returns: bool| {
                let mut moments = problem.moments.iter();
                moments.position(|m| (m.call, m.returns) == (call, returns))
            };
            let call_of = |&index: &u64| {
                let mut calls = (0..).zip(&problem.calls);
                calls
                    .find(|(_, call)| {
                        self.operations.packed(call.source as usize).invoked.index == index
                    })
                    .map(|(number, _)| number)
            };
            let Some(calls) = order
                .order
                .iter()
                .map(call_of)
                .collect::<Option<Vec<u32>>>()
            else {
                return Ok(false);
            };
            let mut state = model.initial(part.key.as_ref());
            for (at, &call) in calls.iter().enumerate() {
                let turned = |&later: &u32| {
                    moment(later, true).is_some_and(|end| Some(end) < moment(call, false))
                };
                if calls[at + 1..]
                    .iter()
                    .any(|later| *later == call || turned(later))
                {
                    return Ok(false);
                }
                let class = problem.calls[call as usize].class;
                match model.step(&state, &problem.classes[class as usize]) {
                    Some(next) => state = next,
                    None => return Ok(false),
                }
            }
            let mut all = (0..).zip(&problem.calls);
            if !all.all(|(number, call)| call.open || calls.contains(&number)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[test]
fn certificates_of_valid_histories_of_every_model_are_accepted() {
    for kind in KINDS {
        let mut placed = 0;
        for seed in 0..60 {
            let mut chance = chance(seed);
            let operations = history(kind, &mut chance, 40);
            let options = ModelOptions::new(kind);
            let certificate = certified(&operations, &options);
            placed += verified(&operations, &options, &certificate).unwrap();
        }
        assert!(placed > 1_500, "{kind}: {placed}");
    }
}

#[test]
fn a_changed_certificate_is_accepted_only_where_it_is_right_by_definition() {
    let (mut accepted, mut refused) = (0, 0);
    for kind in KINDS {
        for seed in 0..250 {
            let mut chance = chance(1_000 + seed);
            let operations = history(kind, &mut chance, 16);
            let options = ModelOptions::new(kind);
            let mut certificate = certified(&operations, &options);
            for _ in 0..=chance.below(2) {
                change(&mut certificate, &operations, &mut chance);
            }
            let recorded = History::from_operations(&operations);
            let definition = ByDefinition {
                operations: &recorded.operations(),
                orders: &certificate.orders,
            };
            let expected = options.visit(definition).unwrap().unwrap();
            let found = verified(&operations, &options, &certificate);
            assert_eq!(
                found.is_ok(),
                expected,
                "{found:?} {certificate:?} {operations:#?}"
            );
            *if expected {
                &mut accepted
            } else {
                &mut refused
            } += 1;
        }
    }
    assert!(accepted > 50 && refused > 300, "{accepted} {refused}");
}

/// Any change of one place.
fn change(certificate: &mut Certificate, operations: &[Operation], chance: &mut Stream) {
    let parts = certificate.orders.len() as u64;
    let order = &mut certificate.orders[chance.below(parts) as usize].order;
    if order.is_empty() {
        return;
    }
    let at = chance.below(order.len() as u64) as usize;
    let other = chance.below(order.len() as u64) as usize;
    match chance.below(6) {
        0 => {
            order.remove(at);
        }
        1 => order.insert(other, order[at]),
        2 => {
            let operation = chance.pick(operations).unwrap();
            order.insert(at, operation.invoked.index);
        }
        3 => order[at] += 1,
        // Most often a change that may well be right.
        _ if at + 1 < order.len() => order.swap(at, at + 1),
        _ => order.swap(at, other),
    }
}

const ROW: &str = "0 w 1 0 2; 1 r 1 3 5; 2 w 2 4 ?; 0 r nil 6 x; 1 r 2 8 10; 3 r nil 11 ?";

#[test]
fn every_kind_of_change_is_refused_by_its_name() {
    let history = operations(ROW);
    let options = ModelOptions::new(ModelKind::Register);
    let whole = certified(&history, &options);
    assert_eq!(whole.orders[0].order, [0, 3, 4, 8]);
    let cases: [(&[u64], Refused); 8] = [
        (
            &[4, 0, 3, 8],
            Refused::TooLate {
                index: 0,
                before: 4,
            },
        ),
        (&[0, 4, 8], Refused::Missing(3)),
        (&[0, 3, 4, 4, 8], Refused::Twice(4)),
        (&[0, 3, 5, 8], Refused::NoSuchOperation(5)),
        (&[0, 3, 4, 8, 6], Refused::Failed(6)),
        (&[0, 3, 4, 8, 11], Refused::SaysNothing(11)),
        (&[], Refused::Missing(0)),
        (
            &[0, 3, 8, 4],
            Refused::Impossible {
                index: 8,
                what: "read of 2".to_owned(),
                state: "the value is 1".to_owned(),
            },
        ),
    ];
    for (order, why) in cases {
        let mut certificate = whole.clone();
        certificate.orders[0].order = order.to_vec();
        let refusal = verified(&history, &options, &certificate).unwrap_err();
        assert_eq!(refusal, Refusal { line: 2, why });
    }
}

#[test]
fn parts_are_complete_and_of_the_history() {
    let history = operations("0 w@a 1 0 1; 1 w@b 2 2 3");
    let options = ModelOptions::new(ModelKind::Register);
    let whole = certified(&history, &options);
    let changed = |change: &dyn Fn(&mut Certificate)| {
        let mut certificate = whole.clone();
        change(&mut certificate);
        verified(&history, &options, &certificate).unwrap_err()
    };
    let b = || "\"b\"".to_owned();
    let missing = changed(&|c| drop(c.orders.pop()));
    assert_eq!((missing.line, missing.why), (3, Refused::PartMissing(b())));
    let twice = changed(&|c| c.orders.push(c.orders[1].clone()));
    assert_eq!((twice.line, twice.why), (4, Refused::PartTwice(b())));
    let unknown = changed(&|c| c.orders[1].part = Some("b".to_owned()));
    assert_eq!(
        (unknown.line, unknown.why),
        (3, Refused::NoSuchPart("b".to_owned()))
    );
    let other = changed(&|c| c.orders[0].order.push(2));
    assert_eq!((other.line, other.why), (2, Refused::OtherPart(2)));
}

#[test]
fn another_history_or_another_check_is_refused() {
    let history = operations(ROW);
    let options = ModelOptions::new(ModelKind::Register);
    let certificate = certified(&history, &options);
    // The order would do for each of these too.
    for other in [
        "0 w 1 0 2; 1 r 1 3 5; 2 w 2 4 ?; 0 r nil 6 x; 1 r 2 8 10; 3 r nil 12 ?",
        "0 w 1 0 2; 1 r 1 3 5; 2 w 2 4 ?; 0 r nil 6 x; 4 r 2 8 10; 3 r nil 11 ?",
        "0 w 1 0 2; 1 r 1 3 5; 2 w 2 4 ?; 0 r nil 6 x; 1 r 2 8 10",
    ] {
        let refusal = verified(&operations(other), &options, &certificate).unwrap_err();
        assert_eq!((refusal.line, refusal.why), (1, Refused::OtherHistory));
    }
    let started = ModelOptions {
        initial: Some(Value::Int(7)),
        ..options.clone()
    };
    let other_kind = ModelOptions::new(ModelKind::CasRegister);
    let other_reads = ModelOptions {
        nil_reads: crate::NilReads::Any,
        ..options.clone()
    };
    for other in [started, other_kind, other_reads] {
        let refusal = verified(&history, &other, &certificate).unwrap_err();
        assert!(
            matches!(refusal.why, Refused::OtherCheck { .. }),
            "{refusal}"
        );
    }
}

#[test]
fn there_is_no_certificate_where_there_is_no_order_or_no_time() {
    let bad = operations("0 w@k 1 0 1; 0 w@k 2 2 3; 1 r@k 1 4 5");
    let options = ModelOptions::new(ModelKind::Register);
    let error = attempted(&bad, &options, &Cancel::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key \"k\": no order explains the operations"
    );
    let cancel = Cancel::new();
    cancel.cancel();
    let error = attempted(&bad, &options, &cancel).unwrap_err();
    assert!(
        matches!(error, CertifyError::Limit { operations: 3, .. }),
        "{error}"
    );
}

/// More operations under way together than any mask of one word holds.
#[test]
fn wide_histories_have_certificates() {
    for width in [63, 64, 65, 200, 300] {
        let row: Vec<String> = (0..width)
            .map(|process| match process % 3 {
                0 => format!("{process} w {process} {process} {}", 1_000 + process),
                1 => format!("{process} r {} {process} {}", process - 1, 1_000 + process),
                _ => format!("{process} w 7 {process} ?"),
            })
            .collect();
        let history = operations(&row.join(";"));
        let options = ModelOptions::new(ModelKind::Register);
        let certificate = certified(&history, &options);
        verified(&history, &options, &certificate).unwrap();
    }
}

#[test]
fn a_model_of_ones_own_has_orders_too() {
    let model = crate::Register::new(Value::Nil, crate::NilReads::Observe);
    let history = History::from_operations(&operations(ROW));
    let history = history.operations();
    let orders = certify_of(&model, &history, &Limits::default(), &Cancel::new()).unwrap();
    let mut verifier = super::Verifier::new(&model, &history).unwrap();
    for order in &orders {
        verifier.check(order).unwrap();
    }
    assert_eq!(verifier.finish().unwrap().placed, 4);
}
