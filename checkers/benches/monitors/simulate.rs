//! Seeded histories of queues, sets, locks and counters: clients that never rest, each operation
//! with a moment between its ends at which it happens; valid, or with one fault.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use histories::{Operation, Outcome, Point, Value};
use seeds::{Purpose, Stream};

const LATENCY_MEAN_NS: u64 = 1_000_000;

/// A history to make.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Which object.
    pub object: Object,
    /// How many operations.
    pub operations: usize,
    /// How many clients.
    pub clients: usize,
    /// How many in a thousand operations are of unknown outcome.
    pub unknown_permille: u64,
    /// Whether one operation, in the middle, answers what it cannot.
    pub faulty: bool,
    /// The seed.
    pub seed: u64,
}

/// What the clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A queue of values that are all different, about a hundred at a time.
    FifoQueue,
    /// A set, asked element by element, of so many.
    Set(u64),
    /// A set that only grows, and is now and then read whole.
    GrowingSet,
    /// A lock that everybody waits for.
    Mutex,
    /// A counter that goes up by one.
    Counter,
}

impl Object {
    /// The model that judges it.
    pub fn model(self) -> &'static str {
        match self {
            Object::FifoQueue => "fifo-queue",
            Object::Set(_) | Object::GrowingSet => "set",
            Object::Mutex => "mutex",
            Object::Counter => "counter",
        }
    }
}

/// What happens next.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin,
    Effect,
    End,
}

/// The objects, as they are.
#[derive(Default)]
struct State {
    queue: VecDeque<Value>,
    members: std::collections::BTreeSet<i64>,
    count: i64,
    /// Which client holds the lock, and whether it has begun to give it back.
    holder: Option<(usize, bool)>,
    next: i64,
}

struct Simulation<'a> {
    load: &'a Load,
    chance: Stream,
    agenda: BinaryHeap<Reverse<(u64, Step, usize, usize)>>,
    state: State,
    operations: Vec<Operation>,
    processes: Vec<u64>,
    index: u64,
    faulty: bool,
}

/// Makes the history.
pub fn simulate(load: &Load) -> Vec<Operation> {
    let mut simulation = Simulation {
        load,
        chance: Stream::new(load.seed, Purpose::Client, 0),
        agenda: BinaryHeap::new(),
        state: State::default(),
        operations: Vec::with_capacity(load.operations),
        processes: (0..load.clients as u64).collect(),
        index: 0,
        faulty: load.faulty,
    };
    for client in 0..load.clients {
        let time_ns = simulation.chance.exponential(LATENCY_MEAN_NS);
        simulation
            .agenda
            .push(Reverse((time_ns, Step::Begin, client, 0)));
    }
    while let Some(Reverse((time_ns, step, client, number))) = simulation.agenda.pop() {
        match step {
            Step::Begin => simulation.begin(time_ns, client),
            Step::Effect => simulation.happen(time_ns, client, number),
            Step::End => simulation.end(time_ns, client, number),
        }
    }
    for operation in &mut simulation.operations {
        if operation.outcome == Outcome::Info {
            operation.output = Value::Nil;
        }
    }
    simulation.operations
}

impl Simulation<'_> {
    fn point(&mut self, time_ns: u64) -> Point {
        let index = self.index;
        self.index += 1;
        Point { index, time_ns }
    }

    fn begin(&mut self, time_ns: u64, client: usize) {
        if self.operations.len() == self.load.operations {
            return;
        }
        let (f, input) = self.draw(client);
        let invoked = self.point(time_ns);
        let number = self.operations.len();
        self.operations.push(Operation {
            process: self.processes[client],
            f: f.into(),
            key: None,
            input,
            output: Value::Nil,
            outcome: Outcome::Info,
            invoked,
            ended: None,
            node: None,
            error: None,
            path: Vec::new(),
            line: None,
        });
        let effect_ns = time_ns + 1 + self.chance.exponential(LATENCY_MEAN_NS / 2);
        let unknown = self.chance.chance(self.load.unknown_permille, 1_000);
        if unknown && self.load.object != Object::Mutex {
            // Given up: half of them happen, late.
            self.processes[client] += self.load.clients as u64;
            if self.chance.chance(1, 2) {
                let late_ns = effect_ns + self.chance.exponential(20 * LATENCY_MEAN_NS);
                self.agenda
                    .push(Reverse((late_ns, Step::Effect, usize::MAX, number)));
            }
            self.agenda
                .push(Reverse((effect_ns, Step::Begin, client, 0)));
        } else {
            self.agenda
                .push(Reverse((effect_ns, Step::Effect, client, number)));
        }
    }

    /// What a client does next.
    fn draw(&mut self, client: usize) -> (&'static str, Value) {
        match self.load.object {
            Object::FifoQueue => {
                // Around a hundred are in the queue.
                match self.chance.below(200) >= self.state.queue.len() as u64 {
                    true => ("enqueue", self.new_value()),
                    false => ("dequeue", Value::Nil),
                }
            }
            Object::Set(elements) => {
                let element = Value::Int(self.chance.below(elements) as i64);
                match self.chance.below(4) {
                    0 => ("add", element),
                    1 => ("remove", element),
                    _ => ("contains", element),
                }
            }
            Object::GrowingSet if self.chance.chance(1, 1_000) => ("read", Value::Nil),
            Object::GrowingSet => ("add", self.new_value()),
            Object::Mutex => match self.state.holder {
                Some((holder, _)) if holder == client => {
                    self.state.holder = Some((holder, true));
                    ("release", Value::Nil)
                }
                _ => ("acquire", Value::Nil),
            },
            Object::Counter if self.chance.chance(1, 2) => ("read", Value::Nil),
            Object::Counter => ("increment", Value::Nil),
        }
    }

    fn new_value(&mut self) -> Value {
        self.state.next += 1;
        Value::Int(self.state.next)
    }

    /// An operation happens; nobody waits for it when the client is none.
    fn happen(&mut self, time_ns: u64, client: usize, number: usize) {
        let goes_wrong = self.faulty && number > self.load.operations / 2 && client != usize::MAX;
        let input = self.operations[number].input.clone();
        let element = input.as_int().unwrap_or(0);
        let state = &mut self.state;
        let output = match &*self.operations[number].f {
            "enqueue" => {
                state.queue.push_back(input);
                Value::Nil
            }
            // One takes what came long after the front.
            "dequeue" if goes_wrong && state.queue.len() > 4 * self.load.clients => {
                self.faulty = false;
                state
                    .queue
                    .remove(3 * self.load.clients)
                    .unwrap_or_default()
            }
            "dequeue" => state.queue.pop_front().unwrap_or_default(),
            "add" => {
                state.members.insert(element);
                Value::Nil
            }
            "remove" => {
                state.members.remove(&element);
                Value::Nil
            }
            // One sees an element that nobody ever added.
            "contains" if goes_wrong => {
                self.faulty = false;
                self.operations[number].input = Value::Int(-1);
                Value::Bool(true)
            }
            "contains" => Value::Bool(state.members.contains(&element)),
            "read" if self.load.object == Object::Counter => {
                // One does not see the last thousand.
                let missed = if goes_wrong { 1_000 } else { 0 };
                self.faulty &= !goes_wrong;
                Value::Int(state.count - missed)
            }
            "read" => {
                // One does not see what was added first.
                let missed = usize::from(goes_wrong);
                self.faulty &= !goes_wrong;
                let members = state.members.iter().skip(missed);
                Value::List(members.copied().map(Value::Int).collect())
            }
            "increment" => {
                state.count += 1;
                Value::Nil
            }
            "release" => {
                state.holder = None;
                Value::Nil
            }
            "acquire" => return self.acquire(time_ns, client, number, goes_wrong),
            other => unreachable!("{other}"),
        };
        self.operations[number].output = output;
        if client != usize::MAX {
            let end_ns = time_ns + 1 + self.chance.exponential(LATENCY_MEAN_NS / 2);
            self.agenda
                .push(Reverse((end_ns, Step::End, client, number)));
        }
    }

    /// Waits for the lock; one is let in while another holds it.
    fn acquire(&mut self, time_ns: u64, client: usize, number: usize, goes_wrong: bool) {
        match self.state.holder {
            None => self.state.holder = Some((client, false)),
            Some((_, false)) if goes_wrong => self.faulty = false,
            // At the end nobody gives it back any more, and those who wait never get it.
            Some(_) if self.operations.len() == self.load.operations => return,
            Some(_) => {
                let again_ns = time_ns + 1 + self.chance.exponential(LATENCY_MEAN_NS);
                self.agenda
                    .push(Reverse((again_ns, Step::Effect, client, number)));
                return;
            }
        }
        self.end(time_ns, client, number);
    }

    fn end(&mut self, time_ns: u64, client: usize, number: usize) {
        let ended = self.point(time_ns);
        let operation = &mut self.operations[number];
        operation.outcome = Outcome::Ok;
        operation.ended = Some(ended);
        self.agenda
            .push(Reverse((time_ns + 1, Step::Begin, client, 0)));
    }
}
