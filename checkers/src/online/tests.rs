//! What is said while a history is being made, against the truth about the whole of it.

mod by_chance;

use histories::{Event, EventType, History, Operation, Process, Value};
use seeds::Stream;

use by_chance::{Asked, asked, cas_op, history, keyed, kv_op, multi_op, register_op};

use super::judge::{Judge, Judging};
use super::release::Rules;
use super::search::Engines;
use super::{Online, OnlineLimit, OnlineLimits};
use crate::models::{Kv, MultiRegister};
use crate::oracle;
use crate::testing::chance;
use crate::{
    Model, ModelError, ModelKind, ModelOptions, NilReads, Register, RegisterOp, normalise,
};

/// What the events are a history of.
fn of_events(events: &[Event]) -> History {
    History {
        events: events.iter().cloned().collect(),
        ..History::default()
    }
}

/// For each part in violation its key and the operation (its place) at whose return that shows;
/// found by the oracle, on every prefix.
fn truth<M: Model>(model: &M, history: &[Event]) -> Vec<(Option<Value>, u64)> {
    let history = of_events(history);
    let operations = history.operations();
    let parts = normalise::parts(model, &operations).unwrap();
    let violated = parts.iter().filter_map(|part| {
        let problem = part.problem(model, false);
        let bad = |end: usize| {
            let prefix = crate::explain::intervals(&problem.weakened(end, |_| true));
            let initial = model.initial(part.key.as_ref());
            !oracle::is_linearizable(model, &initial, &prefix, u64::MAX).unwrap()
        };
        if !bad(problem.moments.len()) {
            return None;
        }
        let event = (0..problem.moments.len()).find(|&event| bad(event + 1))?;
        let source = problem.calls[problem.moments[event].call as usize].source;
        let operation = operations.get(source as usize);
        let op = model.parse(&operation).unwrap().unwrap();
        Some((model.realm(&operation, &op), operation.invoked.index))
    });
    violated.collect()
}

/// When the violation at this operation can be known at the earliest: the operations begun before
/// its end have ended, and an event of a later time shows that no other has the time of that end.
fn known_at(history: &[Event], operation: u64) -> Option<u64> {
    let operations = of_events(history).operations().to_vec();
    let end = operations
        .iter()
        .find(|other| other.invoked.index == operation)
        .and_then(|operation| operation.ended)?;
    let mut known = history
        .iter()
        .find(|event| event.time_ns > end.time_ns)?
        .index;
    for other in &operations {
        if other.invoked.time_ns <= end.time_ns {
            known = known.max(other.ended?.index);
        }
    }
    Some(known)
}

fn judging<M: Model + Clone + Send + 'static>(
    model: &M,
    rules: Rules,
    engines: Engines,
) -> Judging<M> {
    // Forgetting after every return, so that whatever must not be forgotten is missed.
    Judging::with(model.clone(), OnlineLimits::default(), rules, 0, engines)
}

/// Whether it finds what the oracle finds, in the part where it finds it first, when it can.
fn agrees<M: Model + Clone + Send + 'static>(
    model: &M,
    history: &[Event],
    rules: Rules,
    engines: Engines,
) -> bool {
    let mut judging = judging(model, rules, engines);
    let mut first = None;
    for event in history {
        judging.push(event).unwrap();
        if first.is_none() && judging.findings().violation.is_some() {
            first = Some(event.index);
        }
    }
    judging.finish().unwrap();
    let found = judging.findings();
    assert_eq!(found.undecided_parts, 0, "{history:#?}");
    let truth = truth(model, history);
    match &found.violation {
        None => truth.is_empty(),
        Some(violation) => {
            let index = violation.operation.invoked.index;
            truth.contains(&(violation.part.clone(), index))
                && truth.len() as u64 == found.violations
                && first == known_at(history, index)
        }
    }
}

/// How many of so many histories it judges wrongly, and how many of them are in violation.
fn wrong<M: Model + Clone + Send + 'static>(
    model: &M,
    histories: u64,
    op: impl Fn(&mut Stream) -> Asked,
    rules: Rules,
) -> (u64, u64) {
    let (mut wrong, mut violations) = (0, 0);
    for seed in 0..histories {
        let mut chance = chance(seed);
        let (count, width) = (1 + chance.below(9) as usize, 1 + chance.below(4) as usize);
        let history = history(&mut chance, count, width, &op);
        let by = [Engines::Fastest, Engines::Generic];
        let agrees = by
            .into_iter()
            .all(|engines| agrees(model, &history, rules, engines));
        assert!(agrees || rules != Rules::ALL, "seed {seed}: {history:#?}");
        wrong += u64::from(!agrees);
        violations += u64::from(!truth(model, &history).is_empty());
    }
    (wrong, violations)
}

fn register() -> Register {
    Register::new(Value::Int(0), NilReads::Observe)
}

fn cas_register() -> Register {
    Register::with_cas(Value::Int(0), NilReads::Observe)
}

fn kv() -> Kv {
    Kv::new(None, NilReads::Observe).unwrap()
}

fn multi() -> MultiRegister {
    MultiRegister::new(None, NilReads::Any).unwrap()
}

/// Goal: no verdict while the history is made differs from the oracle's on the whole, and it is
/// there as soon as it can be. Method: many small histories by chance.
#[test]
fn random_histories_are_judged_as_the_oracle_judges_them() {
    let rules = Rules::ALL;
    for (of, (wrong, violations)) in [
        (1000, wrong(&register(), 1000, register_op, rules)),
        (1000, wrong(&cas_register(), 1000, cas_op, rules)),
        (1000, wrong(&cas_register(), 1000, keyed(cas_op), rules)),
        (1000, wrong(&kv(), 1000, kv_op, rules)),
        (1000, wrong(&kv(), 1000, keyed(kv_op), rules)),
        (1000, wrong(&multi(), 1000, multi_op, rules)),
    ] {
        assert_eq!(wrong, 0);
        // Both answers are tried.
        assert!(
            violations > of / 10 && violations < of * 9 / 10,
            "{violations} of {of}"
        );
    }
}

/// Goal: the rules are needed. Method: without each of them some verdict is wrong.
#[test]
fn without_its_rules_it_is_wrong() {
    for rules in [
        Rules {
            waits_for_outcomes: false,
            ..Rules::ALL
        },
        Rules {
            closes_intervals: false,
            ..Rules::ALL
        },
    ] {
        let (wrong, _) = wrong(&cas_register(), 300, cas_op, rules);
        assert!(wrong > 0, "{rules:?}");
    }
}

/// The events of processes that all begin, then all return, in this order.
fn together(operations: &[Asked]) -> Vec<Event> {
    let event = |index: usize, process: usize, kind, asked: &Asked, value: &Value| Event {
        index: index as u64,
        time_ns: index as u64,
        process: Process::Client(process as u64),
        kind,
        f: asked.f.into(),
        key: asked.key.clone(),
        value: value.clone(),
        node: None,
        error: None,
        path: Vec::new(),
    };
    let count = operations.len();
    let begin = operations.iter().enumerate();
    let begin = begin.map(|(i, asked)| event(i, i, EventType::Invoke, asked, &asked.input));
    let end = operations.iter().enumerate();
    let end = end.map(|(i, asked)| event(count + i, i, EventType::Ok, asked, &asked.output));
    begin.chain(end).collect()
}

/// Goal: however many operations are under way together, the answer is right. Method: the first to
/// return reads what the last writes, then all that is between writes the same.
#[test]
fn any_number_of_operations_may_be_under_way() {
    for width in [1, 2, 63, 64, 65, 66, 200, 256, 257, 300, 511, 512, 513, 600] {
        for (found, violations) in [(7, 0), (8, 1)] {
            let mut operations = vec![asked("read", Value::Nil, Value::Int(found))];
            let write = || asked("write", Value::Int(5), Value::Nil);
            operations.extend(std::iter::repeat_with(write).take(width));
            operations.push(asked("write", Value::Int(7), Value::Nil));
            operations.push(asked("read", Value::Nil, Value::Int(5)));
            let mut events = together(&operations);
            events.extend(together(&[asked("read", Value::Nil, Value::Int(5))]));
            let mut online = Online::of(register(), OnlineLimits::default());
            for (index, event) in (0..).zip(&mut events) {
                (event.index, event.time_ns) = (index, index);
                online.push(event).unwrap();
            }
            online.finish().unwrap();
            assert_eq!(online.undecided(), [], "{width}");
            assert_eq!(online.violations(), violations, "{width}");
            let violation = online
                .violation()
                .map(|violation| violation.operation.process);
            assert_eq!(violation, (violations > 0).then_some(0), "{width}");
        }
    }
}

/// Goal: what cannot be decided within a limit is said, and the rest is judged on.
#[test]
fn a_limit_that_is_reached_gives_up_the_part_alone() {
    let writes = |key: i64| {
        (0..12).map(move |value| Asked {
            key: Some(key.into()),
            ..asked("put", Value::Int(value), Value::Nil)
        })
    };
    let on_key = |key: i64, value: i64| Asked {
        key: Some(key.into()),
        ..asked("get", Value::Nil, value.into())
    };
    let mut operations: Vec<Asked> = writes(1).collect();
    // Nobody wrote this: the second key is in violation.
    operations.push(on_key(2, 5));
    let events = together(&operations);
    for (limits, expected) in [
        (
            OnlineLimits {
                nodes_per_return_max: 100,
                ..OnlineLimits::default()
            },
            OnlineLimit::Work,
        ),
        (
            OnlineLimits {
                nodes_per_return_max: 1 << 24,
                configurations_max: 8,
                ..OnlineLimits::default()
            },
            OnlineLimit::Configurations,
        ),
        (
            OnlineLimits {
                nodes_per_return_max: 1 << 24,
                memory_bytes: 1000,
                ..OnlineLimits::default()
            },
            OnlineLimit::Memory,
        ),
    ] {
        let mut online = Online::of(kv(), limits);
        for event in &events {
            online.push(event).unwrap();
        }
        online.finish().unwrap();
        let undecided: Vec<_> = online.undecided().iter().collect();
        assert_eq!(undecided.len(), 1, "{expected}");
        assert_eq!(undecided[0].part, Some(Value::Int(1)));
        assert_eq!(undecided[0].limit, expected);
        assert_eq!(online.undecided_parts(), 1);
        assert_eq!(online.violations(), 1, "{expected}");
        assert_eq!(
            online.checked_through().map(|through| through.index),
            Some(25)
        );
    }
}

#[test]
fn too_long_a_wait_gives_up_everything() {
    let mut events = together(&[asked("write", Value::Int(1), Value::Nil)]);
    let waits = events.remove(0);
    let limits = OnlineLimits {
        waiting_events_max: 10,
        ..OnlineLimits::default()
    };
    let mut online = Online::of(register(), limits);
    online.push(&waits).unwrap();
    let mut others = together(&[asked("read", Value::Nil, Value::Int(9))]);
    for index in 1..40 {
        let event = &mut others[(index as usize + 1) % 2];
        (event.index, event.time_ns, event.process) = (index, index, Process::Client(1));
        online.push(event).unwrap();
    }
    online.finish().unwrap();
    assert_eq!(online.undecided()[0].limit, OnlineLimit::Waiting);
    assert_eq!(online.undecided()[0].part, None);
    assert_eq!(online.checked_through(), None);
    assert!(online.violation().is_none());
}

/// A register, of which an operation without a key is on all keys.
#[derive(Clone)]
struct Tying(Register);

impl Model for Tying {
    type State = Value;
    type Op = RegisterOp;

    fn name(&self) -> &'static str {
        "tying"
    }
    fn parse(&self, operation: &Operation) -> Result<Option<RegisterOp>, ModelError> {
        self.0.parse(operation)
    }
    fn part(&self, operation: &Operation, _op: &RegisterOp) -> Option<Value> {
        operation.key.clone()
    }
    fn initial(&self, part: Option<&Value>) -> Value {
        self.0.initial(part)
    }
    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        self.0.step(state, op)
    }
    fn describe(&self, op: &RegisterOp) -> String {
        self.0.describe(op)
    }
    fn describe_state(&self, state: &Value) -> String {
        self.0.describe_state(state)
    }
}

/// Goal: what touches all keys is judged with all keys, or given up. Method: such an operation
/// first, then (both have a key before it) last.
#[test]
fn an_operation_on_all_keys_is_judged_as_such_or_everything_is_given_up() {
    let write = |key: Option<&str>| Asked {
        key: key.map(Value::from),
        ..asked("write", Value::Int(1), Value::Nil)
    };
    let run = |operations: &[Asked]| {
        let mut online = Online::of(Tying(register()), OnlineLimits::default());
        for event in &together(operations) {
            online.push(event).unwrap();
        }
        online.finish().unwrap();
        online
    };
    let online = run(&[write(None), write(Some("k"))]);
    assert_eq!((online.undecided_parts(), online.violations()), (0, 0));
    assert_eq!(online.checked_through().map(|point| point.index), Some(3));

    let online = run(&[write(Some("k")), write(None)]);
    assert_eq!(online.undecided()[0].limit, OnlineLimit::TiedParts);
    assert_eq!(online.checked_through().map(|point| point.index), Some(0));
}

/// Goal: memory does not grow with length. Method: a long valid history of clients on a few keys
/// with values that are written once, a few of them of unknown outcome and observed later.
#[test]
fn memory_does_not_grow_with_length() {
    let options = ModelOptions::new(ModelKind::CasRegister);
    let mut online = Online::new(&options, OnlineLimits::default()).unwrap();
    let mut chance = chance(5);
    let mut held = [0_i64; 3];
    let mut most = [0; 2];
    let rounds = 6_000;
    let mut index = 0;
    let mut send = |online: &mut Online, process: u64, kind, f: &str, key: usize, value: Value| {
        index += 1;
        let event = Event {
            index,
            time_ns: index,
            process: Process::Client(process),
            kind,
            f: f.into(),
            key: Some(Value::Int(key as i64)),
            value,
            node: None,
            error: None,
            path: Vec::new(),
        };
        online.push(&event).unwrap();
    };
    for round in 0..rounds {
        let key = chance.below(3) as usize;
        let (value, process) = (round + 1, 10 + round as u64);
        // Two writes at once, the second never answered in one of ten rounds, and a read of it.
        send(
            &mut online,
            0,
            EventType::Invoke,
            "write",
            key,
            Value::Int(-value),
        );
        send(
            &mut online,
            process,
            EventType::Invoke,
            "write",
            key,
            Value::Int(value),
        );
        send(&mut online, 0, EventType::Ok, "write", key, Value::Nil);
        let kind = match round % 10 {
            0 => EventType::Info,
            _ => EventType::Ok,
        };
        send(&mut online, process, kind, "write", key, Value::Nil);
        held[key] = value;
        send(&mut online, 1, EventType::Invoke, "read", key, Value::Nil);
        send(
            &mut online,
            1,
            EventType::Ok,
            "read",
            key,
            Value::Int(held[key]),
        );
        let half = usize::from(round >= rounds / 2);
        most[half] = most[half].max(online.bytes());
    }
    online.finish().unwrap();
    assert_eq!((online.violations(), online.undecided_parts()), (0, 0));
    assert_eq!(online.operations(), 3 * rounds as u64);
    // What grows with length would double.
    assert!(most[1] <= most[0] + most[0] / 2, "{most:?}");
    assert!(most[1] < 200_000, "{most:?}");
}

/// Goal: parts are forgotten, and never taken for new when they come back. Method: more keys than
/// are kept, each written once; then one of the first and one of the last is read.
#[test]
fn parts_that_rested_too_long_are_forgotten_and_said_to_be() {
    let limits = OnlineLimits {
        resting_parts_max: 100,
        ..OnlineLimits::default()
    };
    let on_key = |key: i64, f, input: Value, output| Asked {
        key: Some(key.into()),
        ..asked(f, input, output)
    };
    for (key, undecided) in [(3, 1), (4_999, 0)] {
        let mut online = Online::of(register(), limits);
        let mut most = 0;
        let writes = (0..5_000).map(|key| on_key(key, "write", Value::Int(1), Value::Nil));
        let read = on_key(key, "read", Value::Nil, Value::Int(1));
        for (number, asked) in (0..).zip(writes.chain([read])) {
            for (index, mut event) in (2 * number..).zip(together(&[asked])) {
                (event.index, event.time_ns) = (index, index);
                online.push(&event).unwrap();
            }
            most = most.max(online.bytes());
        }
        online.finish().unwrap();
        assert_eq!(
            (online.violations(), online.undecided_parts()),
            (0, undecided)
        );
        let why = online.undecided().first().map(|first| first.limit);
        assert_eq!(why, (undecided > 0).then_some(OnlineLimit::Forgotten));
        assert!(most < 16 << 20, "{most}");
    }
}
