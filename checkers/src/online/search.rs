//! The search of one part: the configuration sets of any model, or those of a register.

use std::sync::Arc;

use histories::Value;
use rustc_hash::FxHashMap;

use super::OnlineLimit;
use crate::limits::Budget;
use crate::registers::overwrite::{self, StreamError};
use crate::search::{self, Reductions, StreamLimits};
use crate::{Access, Model};

/// So many values are known by number without looking for ones no longer needed.
const VALUES_MIN: usize = 64;

/// Which searches may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engines {
    /// That for registers where the model is one, else that for any model.
    Fastest,
    /// That for any model.
    #[cfg(test)]
    Generic,
}

/// A search of one part.
pub(super) enum Search<M: Model + 'static> {
    /// By the steps of its model.
    Generic(Box<search::Stream<M>>),
    /// Of a register: covered writes need far fewer configurations.
    Register(Box<Register>),
}

/// A call under way that will return.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ticket {
    Generic(search::Ticket),
    Register(overwrite::Ticket),
}

/// The search of a register.
pub(super) struct Register {
    stream: overwrite::Stream,
    limits: StreamLimits,
    numbers: Numbers,
    /// An operation was no access, although the model says that all are.
    is_lost: bool,
}

impl<M: Model + 'static> Search<M> {
    pub(super) fn new(
        model: &Arc<M>,
        start: M::State,
        engines: Engines,
        limits: StreamLimits,
        budget: &Budget,
    ) -> Self {
        match (model.held(&start), engines) {
            (Some(held), Engines::Fastest) => {
                let mut numbers = Numbers::default();
                let start = numbers.number(&held);
                Search::Register(Box::new(Register {
                    stream: overwrite::Stream::new(&[start], budget),
                    limits,
                    numbers,
                    is_lost: false,
                }))
            }
            _ => {
                let model = Arc::clone(model);
                let stream = search::Stream::new(model, start, Reductions::ALL, limits, budget);
                Search::Generic(Box::new(stream))
            }
        }
    }

    /// A call begins that will return; later ends have greater `deadline`s.
    pub(super) fn begins(&mut self, model: &M, op: M::Op, deadline: u64) -> Option<Ticket> {
        match self {
            Search::Generic(stream) => Some(Ticket::Generic(stream.begins(op, deadline))),
            Search::Register(register) => {
                let access = register.access(model.access(&op))?;
                Some(Ticket::Register(register.stream.begins(access, deadline)))
            }
        }
    }

    /// A call begins of which nobody knows whether it ever takes effect.
    pub(super) fn begins_open(&mut self, model: &M, op: M::Op) {
        match self {
            Search::Generic(stream) => stream.begins_open(op),
            // R4: an observer that nobody saw return constrains nothing.
            Search::Register(_) if model.is_observer(&op) => {}
            Search::Register(register) => {
                if let Some(access) = register.access(model.access(&op)) {
                    register.stream.begins_open(access);
                }
            }
        }
    }

    /// A call returns; false when no order explains that any more.
    ///
    /// # Errors
    ///
    /// The limit that was reached.
    pub(super) fn returns(&mut self, ticket: Ticket) -> Result<bool, OnlineLimit> {
        match (self, ticket) {
            (Search::Generic(stream), Ticket::Generic(ticket)) => stream.returns(ticket),
            (Search::Register(register), Ticket::Register(ticket)) => register.returns(ticket),
            // A ticket of another search says nothing of this one.
            _ => Err(OnlineLimit::Defect),
        }
    }

    /// Whether it must be given up whatever comes.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Search::Register(register) if register.is_lost)
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Search::Generic(stream) => size_of_val(&**stream) + stream.bytes(),
            Search::Register(register) => {
                size_of_val(&**register) + register.stream.bytes() + register.numbers.bytes()
            }
        }
    }

    /// Gives back what memory it can; nothing has happened to it for a while.
    pub(super) fn rest(&mut self) {
        match self {
            Search::Generic(stream) if !stream.is_resting() => stream.rest(),
            Search::Generic(_) => {}
            Search::Register(register) => register.forget_values(),
        }
    }
}

impl Register {
    /// The same access, with values by number.
    fn access(&mut self, access: Option<Access<Value>>) -> Option<Access<u64>> {
        if self.numbers.wants_collection() {
            self.forget_values();
        }
        let numbers = &mut self.numbers;
        self.is_lost |= access.is_none();
        Some(match access? {
            Access::Read(value) => Access::Read(numbers.number(&value)),
            Access::Write(value) => Access::Write(numbers.number(&value)),
            Access::Cas(old, new) => Access::Cas(numbers.number(&old), numbers.number(&new)),
            Access::Not(value) => Access::Not(numbers.number(&value)),
        })
    }

    fn returns(&mut self, ticket: overwrite::Ticket) -> Result<bool, OnlineLimit> {
        self.stream.begin_turn(self.limits.nodes_per_return_max);
        let passed = self.stream.returns(ticket).map_err(|error| match error {
            StreamError::Exhausted(crate::limits::Exhausted::Nodes) => OnlineLimit::Work,
            StreamError::Exhausted(_) => OnlineLimit::Memory,
            StreamError::OutOfOrder => OnlineLimit::Defect,
        })?;
        match self.stream.configurations() > self.limits.configurations_max {
            true => Err(OnlineLimit::Configurations),
            false => Ok(passed),
        }
    }

    /// Forgets the values that the search does not know any more.
    fn forget_values(&mut self) {
        let stream = &self.stream;
        self.numbers.retain(|number| stream.knows(number));
    }
}

/// Values by numbers that are never used again for another value.
#[derive(Debug, Default)]
struct Numbers {
    /// Of the values that have no number of their own.
    others: FxHashMap<Value, u64>,
    next: u64,
    /// How many values were needed when last looked.
    needed: usize,
}

impl Numbers {
    /// Whole numbers of 63 bits are their own; those of all other values are odd.
    fn number(&mut self, value: &Value) -> u64 {
        if let Value::Int(number) = value
            && number.checked_mul(2).is_some()
        {
            return (number << 1).cast_unsigned();
        }
        if let Some(&number) = self.others.get(value) {
            return number;
        }
        let number = self.next << 1 | 1;
        self.next += 1;
        self.others.insert(value.clone(), number);
        number
    }

    fn wants_collection(&self) -> bool {
        self.others.len() > VALUES_MIN + 2 * self.needed
    }

    fn retain(&mut self, knows: impl Fn(u64) -> bool) {
        self.others.retain(|_, number| knows(*number));
        self.needed = self.others.len();
        self.others.shrink_to(VALUES_MIN);
    }

    fn bytes(&self) -> usize {
        self.others.capacity() * (size_of::<(Value, u64)>() + 1)
    }
}
