//! What operations on a queue mean.

use histories::{History, Operation, Outcome, Point, Value};

use super::{FifoQueue, FifoQueueOp};
use crate::monitors::compare::{every, in_order, without_unobserved};
use crate::{Cancel, Limits, Model, ModelKind, ModelOptions, Verdict, linearizability};

fn operation(f: &str, input: Value, output: Value, outcome: Outcome) -> Operation {
    let point = |index| Point {
        index,
        time_ns: index,
    };
    Operation {
        process: 0,
        f: f.into(),
        key: None,
        input,
        output,
        outcome,
        invoked: point(0),
        ended: (outcome == Outcome::Ok).then(|| point(1)),
        node: None,
        error: None,
        path: Vec::new(),
        line: None,
    }
}

#[test]
fn operations_mean_what_they_say() {
    let queue = FifoQueue::new(None).unwrap();
    let (one, nil) = (Value::Int(1), Value::Nil);
    let rows = [
        (
            "enqueue",
            &one,
            &nil,
            Outcome::Ok,
            FifoQueueOp::Enqueue(one.clone()),
        ),
        (
            "enqueue",
            &one,
            &one,
            Outcome::Ok,
            FifoQueueOp::Enqueue(one.clone()),
        ),
        (
            "enqueue",
            &one,
            &nil,
            Outcome::Info,
            FifoQueueOp::Enqueue(one.clone()),
        ),
        (
            "dequeue",
            &nil,
            &one,
            Outcome::Ok,
            FifoQueueOp::Dequeue(one.clone()),
        ),
        (
            "dequeue",
            &nil,
            &nil,
            Outcome::Ok,
            FifoQueueOp::DequeueEmpty,
        ),
        (
            "dequeue",
            &nil,
            &nil,
            Outcome::Info,
            FifoQueueOp::DequeueUnknown,
        ),
    ];
    for (f, input, output, outcome, expected) in rows {
        let operation = operation(f, input.clone(), output.clone(), outcome);
        assert_eq!(queue.parse(&operation), Ok(Some(expected)), "{operation:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let queue = FifoQueue::new(None).unwrap();
    let rows = [
        ("enqueue", Value::Nil, Value::Nil, "an enqueue of nil"),
        ("enqueue", Value::Int(1), Value::Int(2), "with the result 2"),
        (
            "dequeue",
            Value::Int(1),
            Value::Int(2),
            "the argument 1 and the result 2",
        ),
        (
            "drain",
            Value::Nil,
            Value::List(vec![]),
            "record them one by one",
        ),
        (
            "read",
            Value::Nil,
            Value::Int(2),
            "expects enqueue or dequeue",
        ),
    ];
    for (f, input, output, expected) in rows {
        let error = queue.parse(&operation(f, input, output, Outcome::Ok));
        let message = error.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let error = FifoQueue::new(Some(&Value::Int(3))).unwrap_err();
    assert!(error.to_string().contains("a list of values"), "{error}");
}

/// Goal: the model is there under its name, and starts with what it is given.
#[test]
fn a_queue_starts_with_its_initial_values() {
    let took = operation("dequeue", Value::Nil, Value::Int(7), Outcome::Ok);
    let verdict = |initial| {
        let options = ModelOptions {
            initial,
            ..ModelOptions::new("fifo-queue".parse::<ModelKind>().unwrap())
        };
        let history = History::from_operations(std::slice::from_ref(&took));
        let limits = Limits::default();
        let judged = linearizability(&history.operations(), &options, &limits, &Cancel::new());
        judged.unwrap().check.verdict
    };
    assert_eq!(verdict(None), Verdict::Invalid);
    assert_eq!(
        verdict(Some(Value::List(vec![Value::Int(7)]))),
        Verdict::Valid
    );
    assert_eq!(
        verdict(Some(Value::List(vec![Value::Int(8)]))),
        Verdict::Invalid
    );
}

/// Goal: what the model leaves out makes no difference. Method: every small history with and
/// without.
#[test]
fn leaving_out_the_unobserved_changes_nothing() {
    let queue = FifoQueue::new(None).unwrap();
    let mut ops = vec![FifoQueueOp::DequeueEmpty, FifoQueueOp::DequeueUnknown];
    for value in [1, 2].map(Value::Int) {
        ops.push(FifoQueueOp::Enqueue(value.clone()));
        ops.push(FifoQueueOp::Dequeue(value));
    }
    let chosen = |ops: &[FifoQueueOp]| {
        in_order(ops.iter().filter_map(|op| match op {
            FifoQueueOp::Enqueue(value) | FifoQueueOp::Dequeue(value) => value.as_int(),
            FifoQueueOp::DequeueEmpty | FifoQueueOp::DequeueUnknown => None,
        }))
    };
    let tally = every(4, &ops, chosen, |history| {
        without_unobserved(&queue, history)
    });
    tally.assert_right();
}
