//! The parts of a history that is being made, each with its search.

use std::hash::BuildHasher;
use std::sync::Arc;

use histories::{Event, Operation, Outcome, Point, Value};
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::release::{Queue, Rules, Waiting, What};
use super::search::{Engines, Search, Ticket};
use super::{OnlineLimit, OnlineLimits, OnlineUndecided, OnlineViolation, UNDECIDED_NAMED_MAX};
use crate::limits::Budget;
use crate::search::StreamLimits;
use crate::{Model, ModelError};

/// After so many events, or new parts, the parts that were not touched since the last time give
/// memory back.
const EVENTS_PER_SWEEP_MIN: u64 = 1 << 16;
const PARTS_PER_SWEEP_MIN: usize = 1 << 10;

/// So many things a search remembers before it is worth forgetting.
const REMEMBERED_MIN: usize = 256;

/// A check by some model.
pub(super) trait Judge: Send {
    /// Takes the next event.
    fn push(&mut self, event: &Event) -> Result<(), ModelError>;
    /// There are no more.
    fn finish(&mut self) -> Result<(), ModelError>;
    /// What is known.
    fn findings(&self) -> &Findings;
    /// Memory held.
    fn bytes(&self) -> usize;
}

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub checked_through: Option<Point>,
    pub violation: Option<OnlineViolation>,
    pub violations: u64,
    pub undecided: Vec<OnlineUndecided>,
    pub undecided_parts: u64,
    pub operations: u64,
}

/// A part of the system.
struct Part<M: Model + 'static> {
    key: Option<Value>,
    /// Its search, until it is in violation or given up.
    search: Option<Search<M>>,
    /// The last sweep before something happened to it.
    touched: u64,
    /// How many calls are under way.
    under_way: u32,
    bytes: usize,
}

/// An operation under way that will return.
struct UnderWay {
    part: u32,
    ticket: Ticket,
    operation: Box<Operation>,
}

/// How the history is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Division {
    /// Into parts that are judged on their own.
    Parts,
    /// Not at all.
    Whole,
}

impl From<bool> for Division {
    fn from(has_parts: bool) -> Self {
        match has_parts {
            true => Division::Parts,
            false => Division::Whole,
        }
    }
}

/// The check by one model.
pub(super) struct Judging<M: Model + 'static> {
    model: Arc<M>,
    limits: OnlineLimits,
    stream_limits: StreamLimits,
    engines: Engines,
    budget: Budget,
    queue: Queue,
    /// Known with the first operation.
    division: Option<Division>,
    parts: Vec<Part<M>>,
    numbers: FxHashMap<Value, u32>,
    /// Places in `parts` that are free.
    free: Vec<u32>,
    /// Of the parts that were forgotten the hashes of their keys, and whether they were over. A new
    /// key of the same hash counts as forgotten too: that is not wrong, only less.
    forgotten: FxHashMap<u64, bool>,
    /// By number.
    under_way: FxHashMap<u64, UnderWay>,
    /// What is taken out of the queue.
    group: Vec<Waiting>,
    findings: Findings,
    /// Nothing more is judged.
    is_over: bool,
    sweeps: u64,
    events_to_sweep: u64,
    parts_to_sweep: usize,
}

impl<M: Model + Send + 'static> Judge for Judging<M> {
    fn push(&mut self, event: &Event) -> Result<(), ModelError> {
        if self.is_over {
            return Ok(());
        }
        self.queue.push(event);
        self.release(false)?;
        if self.queue.len() > self.limits.waiting_events_max {
            self.give_up_all(OnlineLimit::Waiting);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ModelError> {
        if self.is_over {
            return Ok(());
        }
        self.queue.finish();
        self.release(true)
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.bytes).sum();
        self.queue.bytes()
            + parts
            + self.parts.capacity() * size_of::<Part<M>>()
            + self.numbers.capacity() * (size_of::<(Value, u32)>() + 1)
            + self.forgotten.capacity() * (size_of::<(u64, bool)>() + 1)
            + self.under_way.capacity() * (size_of::<(u64, UnderWay)>() + 1)
            + self.under_way.len() * size_of::<Operation>()
    }
}

impl<M: Model + Send + 'static> Judging<M> {
    pub(super) fn new(model: M, limits: OnlineLimits) -> Self {
        Judging::with(model, limits, Rules::ALL, REMEMBERED_MIN, Engines::Fastest)
    }

    pub(super) fn with(
        model: M,
        limits: OnlineLimits,
        rules: Rules,
        remembered_min: usize,
        engines: Engines,
    ) -> Self {
        Judging {
            model: Arc::new(model),
            limits,
            engines,
            stream_limits: StreamLimits {
                nodes_per_return_max: limits.nodes_per_return_max,
                configurations_max: limits.configurations_max,
                remembered_min,
            },
            budget: Budget::of_memory(limits.memory_bytes),
            queue: Queue::new(rules),
            division: None,
            parts: Vec::new(),
            numbers: FxHashMap::default(),
            free: Vec::new(),
            forgotten: FxHashMap::default(),
            under_way: FxHashMap::default(),
            group: Vec::new(),
            findings: Findings::default(),
            is_over: false,
            sweeps: 0,
            events_to_sweep: EVENTS_PER_SWEEP_MIN,
            parts_to_sweep: PARTS_PER_SWEEP_MIN,
        }
    }

    /// Judges what can be judged.
    fn release(&mut self, is_end: bool) -> Result<(), ModelError> {
        let mut ready = self.queue.ready(is_end);
        while ready > 0 && !self.is_over {
            let mut group = std::mem::take(&mut self.group);
            self.queue.take(&mut group);
            ready -= group.len();
            let last = group.last().map(|waiting| waiting.point);
            let judged = self.judge(&mut group);
            group.clear();
            self.group = group;
            if let Err(error) = judged {
                self.is_over = true;
                self.parts = Vec::new();
                return Err(error);
            }
            if !self.is_over {
                self.findings.checked_through = last;
            }
        }
        Ok(())
    }

    /// Judges the events of one time.
    fn judge(&mut self, group: &mut Vec<Waiting>) -> Result<(), ModelError> {
        self.events_to_sweep = self.events_to_sweep.saturating_sub(group.len() as u64);
        if self.events_to_sweep == 0 || self.parts_to_sweep == 0 {
            self.sweep();
        }
        if group.len() > 1 {
            return self.judge_together(group);
        }
        for waiting in group.drain(..) {
            match waiting.what {
                What::Begins(number, operation) => {
                    if let Some(begun) = self.parse(number, operation)? {
                        self.begin(begun);
                    }
                }
                What::Returns(number) => self.end(number, waiting.point),
                What::Nothing => {}
            }
        }
        Ok(())
    }

    /// Intervals are closed: of two events of different processes stamped with the same time nobody
    /// knows which came first, so an operation begins before those of other processes on the same
    /// part return (`normalise.rs` has the same rule for a whole history).
    fn judge_together(&mut self, group: &mut Vec<Waiting>) -> Result<(), ModelError> {
        // In the order of `Step`s at one place a return comes first.
        let mut steps: Vec<((u64, bool), Step<M>)> = Vec::with_capacity(group.len());
        // The process and part of each operation that begins in this group, and for each process
        // and part where it last returned.
        let mut begun_by: FxHashMap<u64, (u64, u32)> = FxHashMap::default();
        let mut last_return: FxHashMap<(u64, u32), u64> = FxHashMap::default();
        for (place, waiting) in (1..).zip(group.drain(..)) {
            match waiting.what {
                What::Begins(number, operation) => {
                    if let Some(begun) = self.parse(number, operation)? {
                        let by = (begun.operation.process, begun.part);
                        begun_by.insert(number, by);
                        let after = last_return.get(&by).copied().unwrap_or(0);
                        steps.push(((after, true), Step::Begins(begun)));
                    }
                }
                What::Returns(number) => {
                    let before = self.under_way.get(&number);
                    let before = before.map(|before| (before.operation.process, before.part));
                    if let Some(by) = begun_by.get(&number).copied().or(before) {
                        last_return.insert(by, place);
                        steps.push(((place, false), Step::Returns(number, waiting.point)));
                    }
                }
                What::Nothing => {}
            }
        }
        steps.sort_by_key(|(order, _)| *order);
        for (_, step) in steps {
            match step {
                Step::Begins(begun) => self.begin(begun),
                Step::Returns(number, point) => self.end(number, point),
            }
        }
        Ok(())
    }

    /// What an operation means, `None` when it constrains nothing that is judged.
    fn parse(
        &mut self,
        number: u64,
        operation: Box<Operation>,
    ) -> Result<Option<Begun<M>>, ModelError> {
        self.findings.operations += 1;
        if operation.outcome == Outcome::Fail {
            return Ok(None);
        }
        let Some(op) = self.model.parse(&operation)? else {
            return Ok(None);
        };
        let realm = self.model.realm(&operation, &op);
        let key = match (
            *self.division.get_or_insert_with(|| realm.is_some().into()),
            realm,
        ) {
            (Division::Whole, _) => None,
            (Division::Parts, Some(key)) => Some(key),
            (Division::Parts, None) => {
                self.give_up_all(OnlineLimit::TiedParts);
                return Ok(None);
            }
        };
        let part = self.part(key);
        Ok(Some(Begun {
            number,
            part,
            op,
            operation,
        }))
    }

    /// The number of a part, which is made when it is new.
    fn part(&mut self, key: Option<Value>) -> u32 {
        // The whole is the only part there is.
        let known = match &key {
            Some(key) => self.numbers.get(key).copied(),
            None => (!self.parts.is_empty()).then_some(0),
        };
        if let Some(known) = known {
            return known;
        }
        let hash = FxBuildHasher.hash_one(&key);
        let was_over = self.forgotten.remove(&hash);
        if was_over == Some(false) {
            let at = self.findings.checked_through.unwrap_or_default();
            self.findings
                .give_up(key.clone(), OnlineLimit::Forgotten, at);
        }
        let search = was_over.is_none().then(|| {
            let start = self.model.initial(key.as_ref());
            let limits = self.stream_limits;
            Search::new(&self.model, start, self.engines, limits, &self.budget)
        });
        let part = Part {
            key: key.clone(),
            bytes: search.as_ref().map_or(0, Search::bytes),
            search,
            touched: self.sweeps,
            under_way: 0,
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.parts[number as usize] = part;
                number
            }
            None => {
                self.parts.push(part);
                self.parts.len() as u32 - 1
            }
        };
        if let Some(key) = key {
            self.numbers.insert(key, number);
        }
        self.parts_to_sweep = self.parts_to_sweep.saturating_sub(1);
        number
    }

    fn begin(&mut self, begun: Begun<M>) {
        let Begun {
            number,
            part,
            op,
            operation,
        } = begun;
        let Some(in_part) = self.parts.get_mut(part as usize) else {
            return;
        };
        let Some(search) = &mut in_part.search else {
            return;
        };
        in_part.touched = self.sweeps;
        match (operation.outcome, operation.ended) {
            (Outcome::Ok, Some(ended)) => {
                if let Some(ticket) = search.begins(&self.model, op, ended.index) {
                    let under_way = UnderWay {
                        part,
                        ticket,
                        operation,
                    };
                    self.under_way.insert(number, under_way);
                    in_part.under_way += 1;
                }
            }
            _ => search.begins_open(&self.model, op),
        }
        if search.is_lost() {
            self.give_up_all(OnlineLimit::Defect);
        }
    }

    fn end(&mut self, number: u64, at: Point) {
        let Some(ended) = self.under_way.remove(&number) else {
            return;
        };
        let Some(part) = self.parts.get_mut(ended.part as usize) else {
            return;
        };
        part.under_way = part.under_way.saturating_sub(1);
        let Some(search) = &mut part.search else {
            return;
        };
        part.touched = self.sweeps;
        let passed = search.returns(ended.ticket);
        part.bytes = search.bytes();
        match passed {
            Ok(true) => return,
            Ok(false) => {
                self.findings.violations += 1;
                self.findings.violation.get_or_insert(OnlineViolation {
                    part: part.key.clone(),
                    operation: *ended.operation,
                });
            }
            Err(limit) => {
                let key = part.key.clone();
                self.findings.give_up(key, limit, at);
            }
        }
        part.search = None;
        part.bytes = 0;
    }

    /// Judges nothing more.
    fn give_up_all(&mut self, limit: OnlineLimit) {
        let at = self.findings.checked_through.unwrap_or_default();
        self.findings.give_up(None, limit, at);
        self.is_over = true;
        self.parts = Vec::new();
        self.under_way = FxHashMap::default();
        self.queue = Queue::new(Rules::ALL);
    }

    /// Parts that nothing happens to give memory back; of too many the first are forgotten.
    fn sweep(&mut self) {
        let mut resting: Vec<(u64, u32)> = Vec::new();
        for (number, part) in (0..).zip(&mut self.parts) {
            if part.touched == self.sweeps || part.under_way > 0 {
                continue;
            }
            if let Some(search) = &mut part.search {
                search.rest();
                part.bytes = search.bytes();
            }
            if part.key.is_some() {
                resting.push((part.touched, number));
            }
        }
        resting.sort_unstable();
        let surplus = resting.len().saturating_sub(self.limits.resting_parts_max);
        for &(_, number) in &resting[..surplus] {
            let part = &mut self.parts[number as usize];
            if let Some(key) = part.key.take() {
                self.numbers.remove(&key);
                let hash = FxBuildHasher.hash_one(Some(&key));
                self.forgotten.insert(hash, part.search.is_none());
            }
            part.search = None;
            part.bytes = 0;
            self.free.push(number);
        }
        self.sweeps += 1;
        self.events_to_sweep = EVENTS_PER_SWEEP_MIN.max(self.parts.len() as u64);
        self.parts_to_sweep = PARTS_PER_SWEEP_MIN.max(self.parts.len() / 2);
    }
}

/// An operation that begins on a part.
struct Begun<M: Model> {
    number: u64,
    part: u32,
    op: M::Op,
    operation: Box<Operation>,
}

/// What happens on a part.
enum Step<M: Model> {
    Begins(Begun<M>),
    Returns(u64, Point),
}

impl Findings {
    fn give_up(&mut self, part: Option<Value>, limit: OnlineLimit, at: Point) {
        self.undecided_parts += 1;
        if self.undecided.len() < UNDECIDED_NAMED_MAX {
            self.undecided.push(OnlineUndecided { part, limit, at });
        }
    }
}
