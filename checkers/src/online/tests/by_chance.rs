//! Histories by chance, as events.

use histories::{Event, EventType, Process, Value};
use seeds::Stream;

/// What an operation asks for, and what comes back when it is `ok`.
pub(super) struct Asked {
    pub f: &'static str,
    pub key: Option<Value>,
    pub input: Value,
    pub output: Value,
}

pub(super) fn asked(f: &'static str, input: Value, output: Value) -> Asked {
    Asked {
        f,
        key: None,
        input,
        output,
    }
}

pub(super) fn few(chance: &mut Stream, count: u64) -> Value {
    Value::Int(chance.below(count) as i64)
}

/// Each of these asks for something by chance, and answers by chance.
pub(super) fn register_op(chance: &mut Stream) -> Asked {
    let (a, b) = (few(chance, 3), few(chance, 3));
    match chance.below(2) {
        0 => asked("read", Value::Nil, a),
        _ => asked("write", b, Value::Nil),
    }
}

pub(super) fn cas_op(chance: &mut Stream) -> Asked {
    let (a, b) = (few(chance, 3), few(chance, 3));
    let input = Value::List(vec![a.clone(), b.clone()]);
    match chance.below(8) {
        0..3 => asked("read", Value::Nil, a),
        3..5 => asked("write", b, Value::Nil),
        5..7 => asked("cas", input, Value::Bool(true)),
        _ => asked("cas", input, Value::Bool(false)),
    }
}

pub(super) fn kv_op(chance: &mut Stream) -> Asked {
    let text =
        |chance: &mut Stream| -> Value { ["a", "b", "ab", "ba"][chance.below(4) as usize].into() };
    let held = |chance: &mut Stream| match chance.below(3) {
        0 => Value::Nil,
        _ => text(chance),
    };
    let short = |chance: &mut Stream| -> Value { ["a", "b"][chance.below(2) as usize].into() };
    match chance.below(10) {
        0..3 => asked("get", Value::Nil, held(chance)),
        3 => asked("put", text(chance), Value::Nil),
        4..7 => asked("append", short(chance), Value::Nil),
        7 => {
            let input = Value::List(vec![held(chance), text(chance)]);
            asked("cas", input, Value::Bool(chance.chance(2, 3)))
        }
        8 => asked("delete", Value::Nil, Value::Nil),
        _ => asked("delete", Value::Nil, Value::Bool(chance.chance(1, 2))),
    }
}

pub(super) fn multi_op(chance: &mut Stream) -> Asked {
    let count = 2 + chance.below(2) as usize;
    // Every one touches both registers, so that no prefix falls into parts of its own.
    let registers = ["x", "y", "x"];
    let step = |register: &&str| {
        let f: Value = ["r", "w"][chance.below(2) as usize].into();
        Value::List(vec![f, (*register).into(), few(chance, 2)])
    };
    let steps = registers[..count].iter().map(step);
    let steps = Value::List(steps.collect());
    asked("txn", steps.clone(), steps)
}

/// With a key each, of two.
pub(super) fn keyed(op: impl Fn(&mut Stream) -> Asked) -> impl Fn(&mut Stream) -> Asked {
    move |chance| Asked {
        key: Some(few(chance, 2)),
        ..op(chance)
    }
}

/// A history by chance: up to `width` operations together, some of them unknown, failed or never
/// ended, some events of the same time.
pub(super) fn history(
    chance: &mut Stream,
    count: usize,
    width: usize,
    op: &impl Fn(&mut Stream) -> Asked,
) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut free: Vec<u64> = (0..width as u64).collect();
    let mut fresh = width as u64;
    let mut under_way: Vec<(u64, Asked)> = Vec::new();
    let (mut begun, mut time_ns) = (0, 0);
    while begun < count || !under_way.is_empty() {
        let begins = begun < count && !free.is_empty();
        let (process, kind, asked, value) =
            if begins && (under_way.is_empty() || chance.chance(1, 2)) {
                let process = free.swap_remove(chance.below(free.len() as u64) as usize);
                let asked = op(chance);
                begun += 1;
                let value = asked.input.clone();
                let event = (
                    process,
                    EventType::Invoke,
                    (asked.f, asked.key.clone()),
                    value,
                );
                // Some never end, and their process does nothing more.
                if chance.chance(1, 20) {
                    free.push(fresh);
                    fresh += 1;
                } else {
                    under_way.push((process, asked));
                }
                event
            } else {
                let ends = chance.below(under_way.len() as u64) as usize;
                let (process, asked) = under_way.swap_remove(ends);
                let (kind, value) = match chance.below(12) {
                    0 => (EventType::Fail, Value::Nil),
                    1 => (EventType::Info, Value::Nil),
                    _ => (EventType::Ok, asked.output.clone()),
                };
                free.push(process);
                (process, kind, (asked.f, asked.key), value)
            };
        time_ns += u64::from(!chance.chance(1, 4));
        events.push(Event {
            index: events.len() as u64,
            time_ns,
            process: Process::Client(process),
            kind,
            f: asked.0.into(),
            key: asked.1,
            value,
            node: None,
            error: None,
            path: Vec::new(),
        });
    }
    events
}
