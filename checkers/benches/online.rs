//! The check while the history is being made: how many events a second it takes, and how much
//! memory, over ten million operations of clients that never rest.
//!
//! `cargo bench -p checkers --bench online` (`-- N` for another number of operations, `-- WORD` for
//! the loads that have the word in their name). To compare with what the recorder can bear: `cargo bench -p histories --bench recorder`, its events a second
//! at most.
//!
//! The history is made as it is judged and is not kept. Only the judging is timed, by the time the
//! thread had a processor where the system tells (so that a busy machine does not count), else by
//! the clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use checkers::{ModelKind, ModelOptions, Online, OnlineLimits};
use histories::{Event, EventType, Process, Value};
use seeds::{Purpose, Stream};

const OPERATIONS: u64 = 10_000_000;
const LATENCY_MEAN_NS: u64 = 1_000_000;
/// Events made before they are judged.
const BATCH_EVENTS: usize = 50_000;

/// What the clients do.
struct Load {
    name: &'static str,
    model: ModelKind,
    clients: usize,
    keys: usize,
    /// After so many operations a key is retired for a fresh one; 0 for never.
    operations_per_key: u64,
    /// Of 1,000 operations so many have an unknown outcome; half of them take effect.
    unknown_per_1000: u64,
}

const LOADS: [Load; 4] = [
    Load {
        name: "register, unique values, 1 key, 10 clients",
        model: ModelKind::Register,
        clients: 10,
        keys: 1,
        operations_per_key: 0,
        unknown_per_1000: 0,
    },
    Load {
        name: "register, unique values, 1 key, 50 clients",
        model: ModelKind::Register,
        clients: 50,
        keys: 1,
        operations_per_key: 0,
        unknown_per_1000: 0,
    },
    Load {
        name: "register with cas, 5 keys of 300 operations, 10 clients, 1 % unknown",
        model: ModelKind::CasRegister,
        clients: 10,
        keys: 5,
        operations_per_key: 300,
        unknown_per_1000: 10,
    },
    Load {
        name: "kv with appends, 5 keys of 100 operations, 10 clients, 1 % unknown",
        model: ModelKind::Kv,
        clients: 10,
        keys: 5,
        operations_per_key: 100,
        unknown_per_1000: 10,
    },
];

fn main() {
    let mut operations = OPERATIONS;
    let mut words = Vec::new();
    for word in std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
    {
        match word.parse() {
            Ok(number) => operations = number,
            Err(_) => words.push(word),
        }
    }
    let is_asked = |load: &&Load| words.iter().all(|word| load.name.contains(word.as_str()));
    for load in LOADS.iter().filter(is_asked) {
        run(load, operations);
    }
}

fn run(load: &Load, operations: u64) {
    let mut simulation = Simulation::new(load, operations);
    let options = ModelOptions::new(load.model);
    let mut online = match Online::new(&options, OnlineLimits::default()) {
        Ok(online) => online,
        Err(error) => return println!("{}: {error}", load.name),
    };
    let mut events = Vec::with_capacity(BATCH_EVENTS);
    let (mut spent, mut count) = (Duration::ZERO, 0_u64);
    // The most memory held in each fifth of the run.
    let mut most = [0; 5];
    loop {
        events.clear();
        simulation.fill(&mut events);
        if events.is_empty() {
            break;
        }
        let begun = Timer::start();
        for event in &events {
            if let Err(error) = online.push(event) {
                return println!("{}: {error}", load.name);
            }
        }
        spent += begun.elapsed();
        count += events.len() as u64;
        let fifth = (online.operations() * 5 / operations.max(1)).min(4) as usize;
        most[fifth] = most[fifth].max(online.bytes());
    }
    let begun = Timer::start();
    if let Err(error) = online.finish() {
        return println!("{}: {error}", load.name);
    }
    spent += begun.elapsed();
    println!(
        "{}: {:.0} events a second ({} operations in {:.1} s)",
        load.name,
        count as f64 / spent.as_secs_f64(),
        online.operations(),
        spent.as_secs_f64()
    );
    println!(
        "  most memory in each fifth, KiB: {:?}; peak of the process {} MiB",
        most.map(|bytes| bytes >> 10),
        peak_mib().map_or("?".to_owned(), |peak| peak.to_string())
    );
    println!(
        "  violations {}, undecided keys {} {:?}",
        online.violations(),
        online.undecided_parts(),
        online.undecided().first().map(|first| first.limit)
    );
}

/// Time of this thread.
struct Timer {
    clock: Instant,
    on_processor_ns: Option<u64>,
}

impl Timer {
    fn start() -> Self {
        Timer {
            on_processor_ns: on_processor_ns(),
            clock: Instant::now(),
        }
    }

    fn elapsed(&self) -> Duration {
        match (self.on_processor_ns, on_processor_ns()) {
            (Some(before), Some(after)) => Duration::from_nanos(after - before),
            _ => self.clock.elapsed(),
        }
    }
}

/// How long this thread has had a processor until now.
fn on_processor_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The most memory that this process ever had.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib >> 10)
}

/// What happens next to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin,
    Effect,
    End,
}

/// A key: its name, what it holds, how often it was used, and by how many clients it is in use.
#[derive(Default)]
struct Key {
    name: Value,
    held: Value,
    used: u64,
    users: u64,
    is_retired: bool,
}

/// An operation under way.
#[derive(Default)]
struct Operation {
    f: &'static str,
    key: usize,
    input: Value,
    output: Value,
    is_unknown: bool,
    has_effect: bool,
}

/// Clients that never rest, on keys that are right.
struct Simulation<'a> {
    load: &'a Load,
    left: u64,
    chance: Stream,
    agenda: BinaryHeap<Reverse<(u64, Step, usize)>>,
    processes: Vec<u64>,
    operations: Vec<Operation>,
    seen: Vec<Value>,
    keys: Vec<Key>,
    /// The keys in use, by their places.
    live: Vec<usize>,
    index: u64,
    values_made: i64,
}

impl<'a> Simulation<'a> {
    fn new(load: &'a Load, operations: u64) -> Self {
        let mut simulation = Simulation {
            load,
            left: operations,
            chance: Stream::new(1, Purpose::Client, 0),
            agenda: BinaryHeap::new(),
            processes: (0..load.clients as u64).collect(),
            operations: (0..load.clients).map(|_| Operation::default()).collect(),
            seen: vec![Value::Nil; load.clients],
            keys: Vec::new(),
            live: Vec::new(),
            index: 0,
            values_made: 0,
        };
        for _ in 0..load.keys {
            let key = simulation.add_key();
            simulation.live.push(key);
        }
        for client in 0..load.clients {
            let at = simulation.chance.exponential(LATENCY_MEAN_NS);
            simulation.agenda.push(Reverse((at, Step::Begin, client)));
        }
        simulation
    }

    /// A fresh key; its place stays its own for ever.
    fn add_key(&mut self) -> usize {
        self.keys.push(Key {
            name: format!("k{}", self.keys.len()).into(),
            ..Key::default()
        });
        self.keys.len() - 1
    }

    /// A key for an operation.
    fn use_key(&mut self) -> usize {
        let place = self.chance.below(self.live.len() as u64) as usize;
        let limit = self.load.operations_per_key;
        if limit > 0 && self.keys[self.live[place]].used == limit {
            self.keys[self.live[place]].is_retired = true;
            self.live[place] = self.add_key();
        }
        let key = self.live[place];
        self.keys[key].used += 1;
        self.keys[key].users += 1;
        key
    }

    /// What a key holds that nobody can use any more is let go.
    fn leave_key(&mut self, key: usize) {
        let key = &mut self.keys[key];
        key.users -= 1;
        if key.is_retired && key.users == 0 {
            (key.held, key.name) = (Value::Nil, Value::Nil);
        }
    }

    fn fill(&mut self, events: &mut Vec<Event>) {
        while events.len() < BATCH_EVENTS {
            let Some(Reverse((at, step, client))) = self.agenda.pop() else {
                return;
            };
            match step {
                Step::Begin if self.left == 0 => {}
                Step::Begin => {
                    self.left -= 1;
                    self.begin(client);
                    events.push(self.event(at, client, EventType::Invoke));
                    let effect = at + 1 + self.chance.exponential(LATENCY_MEAN_NS / 2);
                    self.agenda.push(Reverse((effect, Step::Effect, client)));
                }
                Step::Effect => {
                    self.take_effect(client);
                    let end = at + 1 + self.chance.exponential(LATENCY_MEAN_NS / 2);
                    self.agenda.push(Reverse((end, Step::End, client)));
                }
                Step::End => {
                    let kind = match self.operations[client].is_unknown {
                        true => EventType::Info,
                        false => EventType::Ok,
                    };
                    events.push(self.event(at, client, kind));
                    self.leave_key(self.operations[client].key);
                    if kind == EventType::Info {
                        self.processes[client] += self.load.clients as u64;
                    }
                    self.agenda.push(Reverse((at + 1, Step::Begin, client)));
                }
            }
        }
    }

    /// Half reads, the rest updates, as the workloads of the runs have them.
    fn begin(&mut self, client: usize) {
        let key = self.use_key();
        self.values_made += 1;
        let text = || -> Value { format!("{client}.{} ", self.values_made).into() };
        let number = Value::Int(self.values_made);
        let (f, input) = match (self.load.model, self.chance.below(20)) {
            (ModelKind::Kv, 0..10) => ("get", Value::Nil),
            (ModelKind::Kv, 10..15) => ("append", text()),
            (ModelKind::Kv, 15..18) => ("put", text()),
            (ModelKind::Kv, _) => ("cas", Value::List(vec![self.seen[client].clone(), text()])),
            (ModelKind::CasRegister, 15..20) => {
                ("cas", Value::List(vec![self.seen[client].clone(), number]))
            }
            (_, 0..10) => ("read", Value::Nil),
            _ => ("write", number),
        };
        let is_unknown = self.chance.below(1000) < self.load.unknown_per_1000;
        self.operations[client] = Operation {
            f,
            key,
            input,
            output: Value::Nil,
            is_unknown,
            has_effect: !is_unknown || self.chance.chance(1, 2),
        };
    }

    fn take_effect(&mut self, client: usize) {
        let operation = &mut self.operations[client];
        if !operation.has_effect {
            return;
        }
        let held = &mut self.keys[operation.key].held;
        match (operation.f, &operation.input) {
            ("get" | "read", _) => {
                operation.output.clone_from(held);
                self.seen[client].clone_from(held);
            }
            ("append", text) => {
                let before = held.as_text().unwrap_or_default();
                let after = format!("{before}{}", text.as_text().unwrap_or_default());
                *held = after.into();
            }
            ("cas", Value::List(pair)) => {
                let swaps = *held == pair[0];
                if swaps {
                    held.clone_from(&pair[1]);
                }
                operation.output = Value::Bool(swaps);
            }
            (_, value) => held.clone_from(value),
        }
    }

    fn event(&mut self, time_ns: u64, client: usize, kind: EventType) -> Event {
        let operation = &self.operations[client];
        self.index += 1;
        Event {
            index: self.index - 1,
            time_ns,
            process: Process::Client(self.processes[client]),
            kind,
            f: operation.f.into(),
            key: Some(self.keys[operation.key].name.clone()),
            value: match kind {
                EventType::Invoke => operation.input.clone(),
                _ => operation.output.clone(),
            },
            node: None,
            error: None,
            path: Vec::new(),
        }
    }
}
