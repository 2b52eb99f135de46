//! The columns say what the model says.

use histories::{History, Operation, Outcome, Point, Value};
use seeds::Stream;

use super::{PlainRegister, register_parts};
use crate::testing::{chance, operations};
use crate::{Model, NilReads, normalise};

/// Both ways of reading give the same parts, value by value and moment by moment.
fn same(operations: &[Operation], register: &PlainRegister) {
    let history = History::from_operations(operations);
    let operations = history.operations();
    let by_columns = register_parts(&operations, register);
    let model = register.model();
    let Ok(parts) = normalise::parts(&model, &operations) else {
        assert!(by_columns.is_none(), "{operations:#?}");
        return;
    };
    let by_columns = by_columns.expect("nothing that the model does not know");
    assert_eq!(by_columns.len(), parts.len());
    for (columns, part) in by_columns.iter().zip(&parts) {
        let initial = model.initial(part.key.as_ref());
        let view = model.register_view(&initial, &part.intervals()).unwrap();
        assert_eq!(columns.key, part.key);
        let sources: Vec<u32> = part.members.iter().map(|member| member.source).collect();
        assert_eq!(columns.sources, sources);
        assert_eq!(columns.history, part.registers(&view), "{operations:#?}");
    }
}

fn register(chance: &mut Stream) -> PlainRegister {
    let nil_reads = match chance.chance(1, 2) {
        true => NilReads::Any,
        false => NilReads::Observe,
    };
    PlainRegister {
        initial: some_value(chance),
        nil_reads,
        with_cas: !chance.chance(1, 8),
    }
}

fn some_value(chance: &mut Stream) -> Value {
    match chance.below(8) {
        0 => Value::Nil,
        1 => Value::from("x"),
        2 => Value::Int(i64::MAX - chance.below(2) as i64),
        3 => Value::Int(-1),
        4 => Value::List(vec![Value::Int(1), Value::Int(2)]),
        _ => Value::Int(chance.below(3) as i64),
    }
}

/// Operations of some processes on two keys, with few distinct times.
fn history(chance: &mut Stream) -> Vec<Operation> {
    let mut made: Vec<Operation> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let (mut index, mut time_ns) = (0, 0);
    while made.len() < 12 || !open.is_empty() {
        let point = Point { index, time_ns };
        index += 1;
        time_ns += chance.below(2);
        if made.len() < 12 && open.len() < 4 && chance.chance(1, 2) {
            open.push(made.len());
            made.push(begin(chance, made.len() as u64, point));
        } else if !open.is_empty() {
            let ends = open.swap_remove(chance.below(open.len() as u64) as usize);
            end(chance, &mut made[ends], point);
        }
    }
    made
}

fn begin(chance: &mut Stream, process: u64, invoked: Point) -> Operation {
    let f = *chance
        .pick(&["read", "get", "write", "put", "cas"])
        .unwrap();
    let input = match f {
        "read" | "get" => Value::Nil,
        "cas" => Value::List(vec![some_value(chance), some_value(chance)]),
        _ => some_value(chance),
    };
    Operation {
        process,
        f: f.into(),
        key: chance.chance(1, 2).then_some(Value::Int(1)),
        input,
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

fn end(chance: &mut Stream, operation: &mut Operation, at: Point) {
    operation.ended = Some(at);
    operation.outcome = match chance.below(8) {
        0 => Outcome::Fail,
        1 => Outcome::Info,
        _ => Outcome::Ok,
    };
    if operation.outcome == Outcome::Ok {
        operation.output = match &*operation.f {
            "read" | "get" => some_value(chance),
            "cas" => Value::Bool(chance.chance(1, 2)),
            _ => Value::Nil,
        };
    }
}

#[test]
fn random_histories_read_the_same_both_ways() {
    for seed in 0..20_000 {
        let mut chance = chance(seed);
        let register = register(&mut chance);
        same(&history(&mut chance), &register);
    }
}

/// Goal: what the model has to say something about is left to it.
#[test]
fn odd_operations_are_left_to_the_model() {
    let plain = PlainRegister {
        initial: Value::Nil,
        nil_reads: NilReads::Observe,
        with_cas: true,
    };
    for row in ["0 a x 0 1", "0 c 5 0 1", "0 w 1 5 2"] {
        let operations = operations(row);
        let history = History::from_operations(&operations);
        assert!(register_parts(&history.operations(), &plain).is_none());
        same(&operations, &plain);
    }
}
