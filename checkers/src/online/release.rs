//! What waits: events held back until it is known how the operations before them ended.

use std::collections::VecDeque;

use histories::{Event, EventType, FailedCas, Operation, Outcome, Point, Process};
use rustc_hash::FxHashMap;

/// An event that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub point: Point,
    /// The number of the first event stamped with the same time.
    group: u64,
    pub what: What,
}

/// What happens there.
#[derive(Debug)]
pub(super) enum What {
    /// An operation begins; the number is its own.
    Begins(u64, Box<Operation>),
    /// The operation of this number returns.
    Returns(u64),
    /// Nothing that constrains anything: an operation ends without effect, or is given up.
    Nothing,
}

/// When events are judged, and in which order. Both rules are needed for right answers; tests leave
/// them out to see that they would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// No event is judged before it is known how the operations that begin before it end.
    pub waits_for_outcomes: bool,
    /// Of events stamped with the same time those of other processes may come in any order.
    pub closes_intervals: bool,
}

impl Rules {
    pub(super) const ALL: Rules = Rules {
        waits_for_outcomes: true,
        closes_intervals: true,
    };
}

/// The events from the oldest operation whose outcome is not known yet.
#[derive(Debug)]
pub(super) struct Queue {
    rules: Rules,
    waiting: VecDeque<Waiting>,
    /// The number of the first event that waits: events are numbered as they come.
    first: u64,
    /// For each process with an operation under way the number of its invocation.
    under_way: FxHashMap<u64, u64>,
    /// The operations that begin before this number have ended, or never will.
    known: u64,
    /// The number of the first event stamped with the time of the last.
    last_group: u64,
    last_time_ns: u64,
}

impl Queue {
    pub(super) fn new(rules: Rules) -> Self {
        Queue {
            rules,
            waiting: VecDeque::new(),
            first: 0,
            under_way: FxHashMap::default(),
            known: 0,
            last_group: 0,
            last_time_ns: 0,
        }
    }

    /// Takes a client's event.
    pub(super) fn push(&mut self, event: &Event) {
        let Process::Client(process) = event.process else {
            return;
        };
        let number = self.first + self.waiting.len() as u64;
        let what = if event.kind == EventType::Invoke {
            // One that ended without a completion stays open.
            self.under_way.insert(process, number);
            What::Begins(number, Box::new(Operation::begun_by(process, event)))
        } else {
            self.end(process, event)
        };
        let is_apart = event.time_ns != self.last_time_ns || !self.rules.closes_intervals;
        if number == 0 || is_apart {
            self.last_group = number;
            self.last_time_ns = event.time_ns;
        }
        self.waiting.push_back(Waiting {
            point: Point {
                index: event.index,
                time_ns: event.time_ns,
            },
            group: self.last_group,
            what,
        });
        self.advance();
    }

    /// Completes the operation of a process; what its end means for the order.
    fn end(&mut self, process: u64, event: &Event) -> What {
        let Some(number) = self.under_way.remove(&process) else {
            return What::Nothing;
        };
        let place = number.checked_sub(self.first).map(|place| place as usize);
        let begun = place.and_then(|place| self.waiting.get_mut(place));
        match begun.map(|begun| &mut begun.what) {
            Some(What::Begins(_, operation)) => {
                operation.complete(event, FailedCas::NoEffect);
                match operation.outcome {
                    Outcome::Ok => What::Returns(number),
                    Outcome::Fail | Outcome::Info => What::Nothing,
                }
            }
            _ => What::Nothing,
        }
    }

    /// Passes the operations that have ended.
    fn advance(&mut self) {
        while let Some(waiting) = self.waiting.get((self.known - self.first) as usize) {
            if let What::Begins(_, operation) = &waiting.what
                && self.rules.waits_for_outcomes
                && self.under_way.get(&operation.process) == Some(&self.known)
            {
                break;
            }
            self.known += 1;
        }
    }

    /// No operation ends any more.
    pub(super) fn finish(&mut self) {
        self.under_way.clear();
        self.advance();
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many events can go: whole groups of the same time, all of whose operations have ended.
    /// The last group may still grow, unless this was the end.
    pub(super) fn ready(&self, is_end: bool) -> usize {
        let end = match self.waiting.get((self.known - self.first) as usize) {
            Some(waiting) => waiting.group,
            None if is_end => self.known,
            None => self.last_group,
        };
        (end.max(self.first) - self.first) as usize
    }

    /// Takes the next group out, into `group`.
    pub(super) fn take(&mut self, group: &mut Vec<Waiting>) {
        let same = self.waiting.front().map(|waiting| waiting.group);
        while let Some(waiting) = self
            .waiting
            .pop_front_if(|waiting| Some(waiting.group) == same)
        {
            group.push(waiting);
            self.first += 1;
        }
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<Waiting>()
            + self.waiting.len() / 2 * size_of::<Operation>()
            + self.under_way.capacity() * 17
    }
}
