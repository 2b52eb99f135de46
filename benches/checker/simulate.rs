//! Histories by seed: clients that never rest, on objects that are right unless told otherwise.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use histories::{Event, EventType, Events, History, Process, Value};
use seeds::{Purpose, Stream};

const LATENCY_MEAN_NS: u64 = 1_000_000;
/// An operation of unknown outcome that takes effect late does so after this on average.
const LATE_MEAN_NS: u64 = 20 * LATENCY_MEAN_NS;
/// The number of the operation that writes the value which the stale read sees.
const MARKED_OPERATION: usize = 50;
/// The value that only the stale read sees, long after it was overwritten.
const MARK: i64 = 1_000_000_000_007;

/// What the clients operate on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// One register: half reads, the rest writes, of which some are cas instead.
    Register {
        /// How many distinct values are written; 0 for a new one each time.
        values: u64,
        /// Of 100 operations so many are cas.
        cas_percent: u64,
    },
    /// Keys of strings: half gets, a quarter puts, a quarter appends, each string a new one.
    Kv {
        /// How many keys.
        keys: u64,
    },
    /// A queue: half enqueues of new values, half dequeues.
    Queue,
    /// A set: adds of new elements, and questions after and removals of elements added lately.
    Set,
}

/// A history to make.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub object: Object,
    pub operations: usize,
    pub clients: usize,
    /// Of 10,000 updates so many are of unknown outcome, half of which take effect, late. With cas,
    /// only those are.
    pub unknown_per_10_000: u64,
    /// After so many percent of the operations a read sees a value overwritten long ago.
    pub stale_percent: Option<u64>,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin,
    Effect,
    End,
}

struct Operation {
    f: &'static str,
    key: Option<Value>,
    input: Value,
    output: Value,
    unknown: bool,
}

#[derive(Default)]
struct State {
    register: Value,
    keys: Vec<Option<String>>,
    queue: VecDeque<i64>,
    set: BTreeSet<i64>,
}

/// Makes the history of a load; the same every time.
pub fn simulate(load: &Load) -> History {
    let mut simulation = Simulation {
        load,
        chance: Stream::new(1, Purpose::Client, 0),
        processes: (0..load.clients as u64).collect(),
        operations: Vec::with_capacity(load.operations),
        events: Events::new(),
        state: State::default(),
        stale_is_due: load.stale_percent.is_some(),
        seen: vec![Value::Nil; load.clients],
    };
    if let Object::Kv { keys } = load.object {
        simulation.state.keys = vec![None; keys as usize];
    }
    simulation.run();
    History {
        events: simulation.events,
        ..History::default()
    }
}

struct Simulation<'a> {
    load: &'a Load,
    chance: Stream,
    /// The process each client goes by now.
    processes: Vec<u64>,
    operations: Vec<Operation>,
    events: Events,
    state: State,
    stale_is_due: bool,
    /// What each client read last.
    seen: Vec<Value>,
}

impl Simulation<'_> {
    fn run(&mut self) {
        let mut agenda = BinaryHeap::new();
        for client in 0..self.load.clients {
            let time_ns = self.chance.exponential(LATENCY_MEAN_NS);
            agenda.push(Reverse((time_ns, Step::Begin, client, 0)));
        }
        while let Some(Reverse((time_ns, step, client, number))) = agenda.pop() {
            match step {
                Step::Begin if self.operations.len() == self.load.operations => {}
                Step::Begin => {
                    let number = self.operations.len();
                    let operation = self.draw(client);
                    self.record(time_ns, client, &operation, EventType::Invoke);
                    let latency_ns = LATENCY_MEAN_NS / 2;
                    let effect_ns = time_ns + 1 + self.chance.exponential(latency_ns);
                    let end_ns = effect_ns + 1 + self.chance.exponential(latency_ns);
                    let effect_ns = match operation.unknown {
                        false => Some(effect_ns),
                        true => self
                            .chance
                            .chance(1, 2)
                            .then(|| end_ns + self.chance.exponential(LATE_MEAN_NS)),
                    };
                    agenda.extend(effect_ns.map(|at| Reverse((at, Step::Effect, client, number))));
                    agenda.push(Reverse((end_ns, Step::End, client, number)));
                    self.operations.push(operation);
                }
                Step::Effect => self.take_effect(client, number),
                Step::End => {
                    self.end(time_ns, client, number);
                    agenda.push(Reverse((time_ns + 1, Step::Begin, client, 0)));
                }
            }
        }
    }

    fn draw(&mut self, client: usize) -> Operation {
        let number = self.operations.len() as i64 + 1;
        let share = self.chance.below(100);
        let mut key = None;
        let (f, input) = match self.load.object {
            Object::Register { .. } if number == MARKED_OPERATION as i64 => {
                let marks = self.stale_is_due;
                ("write", Value::Int(if marks { MARK } else { number }))
            }
            Object::Register {
                values,
                cas_percent,
            } => {
                let new = match values {
                    0 => number,
                    _ => self.chance.below(values) as i64,
                };
                if share < 50 {
                    ("read", Value::Nil)
                } else if share >= 100 - cas_percent {
                    let old = match values {
                        0 => self.seen[client].clone(),
                        _ => Value::Int(self.chance.below(values) as i64),
                    };
                    ("cas", Value::List(vec![old, Value::Int(new)]))
                } else {
                    ("write", Value::Int(new))
                }
            }
            Object::Kv { keys } => {
                key = Some(Value::Int(self.chance.below(keys) as i64));
                match share {
                    0..50 => ("get", Value::Nil),
                    50..75 => ("put", Value::from(format!("p{number}"))),
                    _ => ("append", Value::from(format!("a{number}"))),
                }
            }
            Object::Queue if share < 50 => ("enqueue", Value::Int(number)),
            Object::Queue => ("dequeue", Value::Nil),
            Object::Set if share < 40 => ("add", Value::Int(number)),
            Object::Set => {
                let lately = number - 1 - self.chance.below(number.min(200) as u64) as i64;
                let f = if share < 80 { "contains" } else { "remove" };
                (f, Value::Int(lately))
            }
        };
        let may_be_lost = match self.load.object {
            Object::Register { cas_percent, .. } if cas_percent > 0 => f == "cas",
            _ => !matches!(f, "read" | "get" | "dequeue" | "contains"),
        };
        Operation {
            f,
            key,
            unknown: may_be_lost
                && number != MARKED_OPERATION as i64
                && self.chance.chance(self.load.unknown_per_10_000, 10_000),
            input,
            output: Value::Nil,
        }
    }

    fn take_effect(&mut self, client: usize, number: usize) {
        let Simulation {
            operations, state, ..
        } = self;
        let operation = &mut operations[number];
        let input = operation.input.clone();
        let int = input.as_int().unwrap_or_default();
        let slot = operation.key.as_ref().and_then(Value::as_int).unwrap_or(0) as usize;
        operation.output = match operation.f {
            "read" => {
                self.seen[client] = state.register.clone();
                state.register.clone()
            }
            "write" => {
                state.register = input;
                Value::Nil
            }
            "cas" => {
                let pair = input.as_list().unwrap_or_default();
                let swaps = pair[0] == state.register;
                if swaps {
                    state.register = pair[1].clone();
                }
                Value::Bool(swaps)
            }
            "get" => state.keys[slot].clone().map_or(Value::Nil, Value::from),
            "put" => {
                state.keys[slot] = input.as_text().map(str::to_owned);
                Value::Nil
            }
            "append" => {
                let held = state.keys[slot].get_or_insert_default();
                held.push_str(input.as_text().unwrap_or_default());
                Value::Nil
            }
            "enqueue" => {
                state.queue.push_back(int);
                Value::Nil
            }
            "dequeue" => state.queue.pop_front().map_or(Value::Nil, Value::Int),
            "add" => Value::Bool(state.set.insert(int)),
            "remove" => Value::Bool(state.set.remove(&int)),
            _ => Value::Bool(state.set.contains(&int)),
        };
    }

    fn end(&mut self, time_ns: u64, client: usize, number: usize) {
        let due = self.load.stale_percent.is_some_and(|percent| {
            number as u64 >= self.load.operations as u64 * percent / 100
                && number > 4 * MARKED_OPERATION
        });
        let mut operation = std::mem::replace(
            &mut self.operations[number],
            Operation {
                f: "",
                key: None,
                input: Value::Nil,
                output: Value::Nil,
                unknown: false,
            },
        );
        if due && self.stale_is_due && operation.f == "read" {
            operation.output = Value::Int(MARK);
            self.stale_is_due = false;
        }
        if operation.unknown {
            self.record(time_ns, client, &operation, EventType::Info);
            self.processes[client] += self.load.clients as u64;
            // It may still take effect.
            self.operations[number] = operation;
        } else if operation.f == "cas" && operation.output == Value::Bool(false) {
            self.record(time_ns, client, &operation, EventType::Fail);
        } else {
            self.record(time_ns, client, &operation, EventType::Ok);
        }
    }

    fn record(&mut self, time_ns: u64, client: usize, operation: &Operation, kind: EventType) {
        let value = match kind {
            EventType::Invoke => operation.input.clone(),
            EventType::Ok => operation.output.clone(),
            EventType::Fail | EventType::Info => Value::Nil,
        };
        self.events.push(Event {
            index: self.events.len() as u64,
            time_ns,
            process: Process::Client(self.processes[client]),
            kind,
            f: operation.f.into(),
            key: operation.key.clone(),
            value,
            node: None,
            error: None,
            path: Vec::new(),
        });
    }
}
