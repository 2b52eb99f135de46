//! Seeded histories: clients that never rest, each operation with a moment between its ends at which
//! it happens; valid, or with one wrong answer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use histories::{Operation, Outcome, Point, Value};
use seeds::{Purpose, Stream};

use crate::objects::{Answer, Object, Request, State};

const LATENCY_MEAN_NS: u64 = 1_000_000;
/// The client who does not wait for what was given up.
const NOBODY: usize = usize::MAX;

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
    /// After how much of the history one operation answers what it cannot.
    pub wrong_percent: Option<u64>,
    /// The seed.
    pub seed: u64,
}

/// What happens next.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin,
    Effect,
    End,
}

struct Simulation<'a> {
    load: &'a Load,
    chance: Stream,
    agenda: BinaryHeap<Reverse<(u64, Step, usize, usize)>>,
    state: State,
    operations: Vec<Operation>,
    processes: Vec<u64>,
    index: u64,
    /// From which operation on the next that can goes wrong.
    wrong_from: usize,
}

/// Makes the history.
pub fn simulate(load: &Load) -> Vec<Operation> {
    let wrong_from = load.wrong_percent.map_or(usize::MAX, |percent| {
        load.operations * percent as usize / 100
    });
    let mut simulation = Simulation {
        load,
        chance: Stream::new(load.seed, Purpose::Client, 0),
        agenda: BinaryHeap::new(),
        state: State::new(load.object, load.clients),
        operations: Vec::with_capacity(load.operations),
        processes: (0..load.clients as u64).collect(),
        index: 0,
        wrong_from,
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
    assert!(
        load.wrong_percent.is_none() || simulation.wrong_from == usize::MAX,
        "nothing went wrong in {load:?}"
    );
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
        let number = self.operations.len();
        let goes_wrong = number >= self.wrong_from;
        let Request { f, key, input } = self.state.draw(client, &mut self.chance, goes_wrong);
        let invoked = self.point(time_ns);
        self.operations.push(Operation {
            process: self.processes[client],
            f: f.into(),
            key,
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
        if self.chance.chance(self.load.unknown_permille, 1_000) {
            // Given up: half of them happen, late.
            self.processes[client] += self.load.clients as u64;
            if self.chance.chance(1, 2) {
                let late_ns = effect_ns + self.chance.exponential(20 * LATENCY_MEAN_NS);
                self.agenda
                    .push(Reverse((late_ns, Step::Effect, NOBODY, number)));
            }
            self.agenda
                .push(Reverse((effect_ns, Step::Begin, client, 0)));
        } else {
            self.agenda
                .push(Reverse((effect_ns, Step::Effect, client, number)));
        }
    }

    /// An operation takes effect.
    fn happen(&mut self, time_ns: u64, client: usize, number: usize) {
        let goes_wrong = number >= self.wrong_from && client != NOBODY;
        let operation = &self.operations[number];
        let mut request = Request {
            f: name_of(&operation.f),
            key: operation.key.clone(),
            input: operation.input.clone(),
        };
        let (answer, went_wrong) = self.state.happen(client, &mut request, goes_wrong);
        if went_wrong {
            self.wrong_from = usize::MAX;
        }
        match answer {
            // At the end nobody gives a lock back any more, and those who wait never get it.
            Answer::Waits if self.operations.len() == self.load.operations => return,
            Answer::Waits => {
                let again_ns = time_ns + 1 + self.chance.exponential(LATENCY_MEAN_NS);
                self.agenda
                    .push(Reverse((again_ns, Step::Effect, client, number)));
                return;
            }
            Answer::Done(output) => {
                self.operations[number].input = request.input;
                self.operations[number].output = output;
            }
        }
        if went_wrong || self.load.object == Object::Mutex {
            // Whoever waited long knows at once. So does whoever is told what cannot be: while the
            // answer was on its way it could become right, as an item that was taken out of turn
            // comes to the front.
            self.end(time_ns, client, number);
        } else if client != NOBODY {
            let end_ns = time_ns + 1 + self.chance.exponential(LATENCY_MEAN_NS / 2);
            self.agenda
                .push(Reverse((end_ns, Step::End, client, number)));
        }
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

/// The name of an operation, as [`Request`] has it.
fn name_of(f: &str) -> &'static str {
    const NAMES: [&str; 19] = [
        "read",
        "write",
        "cas",
        "get",
        "put",
        "delete",
        "push",
        "pop",
        "enqueue",
        "dequeue",
        "transfer",
        "append",
        "increment",
        "add",
        "remove",
        "contains",
        "acquire",
        "release",
        "txn",
    ];
    NAMES.into_iter().find(|name| *name == f).unwrap_or("read")
}
