//! A queue, first in, first out.

use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::FxHashSet;

use crate::model::{brief, is_done, is_known};
use crate::models::InitialError;
use crate::monitors::fifo_queue::{self, Conditions};
use crate::monitors::pairing::{self, Gives};
use crate::oracle::Interval;
use crate::{Model, ModelError, Monitored, Moves};

/// The model `fifo-queue`: each key is a queue.
#[derive(Debug, Clone)]
pub struct FifoQueue {
    initial: Arc<Vec<Value>>,
}

/// What an operation did to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FifoQueueOp {
    /// Put this value at the end.
    Enqueue(Value),
    /// Found this value at the front and took it.
    Dequeue(Value),
    /// Found nothing to take.
    DequeueEmpty,
    /// Took whatever was at the front, if anything was: of unknown outcome.
    DequeueUnknown,
}

impl FifoQueue {
    /// Queues start with the values of the list `initial`, the front first; empty without it.
    ///
    /// # Errors
    ///
    /// When `initial` is no list, or nil is in it.
    pub fn new(initial: Option<&Value>) -> Result<Self, InitialError> {
        let initial = match initial {
            None | Some(Value::Nil) => Vec::new(),
            Some(Value::List(values)) if !values.iter().any(Value::is_nil) => values.clone(),
            Some(other) => {
                return Err(InitialError {
                    model: "fifo-queue",
                    initial: other.to_string(),
                    expected: "a list of values, the front first, as [1 2]",
                });
            }
        };
        Ok(FifoQueue {
            initial: Arc::new(initial),
        })
    }

    fn parse_enqueue(&self, operation: &Operation) -> Result<FifoQueueOp, ModelError> {
        let value = &operation.input;
        let error =
            |found: String, expected| ModelError::new(self.name(), operation, found, expected);
        if value.is_nil() {
            let found = "an enqueue of nil".to_owned();
            return Err(error(found, "a value (nil stands for an empty queue)"));
        }
        match &operation.output {
            _ if is_done(operation) => Ok(FifoQueueOp::Enqueue(value.clone())),
            output => Err(error(
                format!("an enqueue of {value} with the result {output}"),
                "nil, true or the value itself (one that was refused is a fail)",
            )),
        }
    }

    fn parse_dequeue(&self, operation: &Operation) -> Result<FifoQueueOp, ModelError> {
        let (input, output) = (&operation.input, &operation.output);
        if !input.is_nil() && input != output {
            return Err(ModelError::new(
                self.name(),
                operation,
                format!("a dequeue with the argument {input} and the result {output}"),
                "no argument; the result is the value taken, or nil when the queue was empty",
            ));
        }
        Ok(match output {
            _ if !is_known(operation) => FifoQueueOp::DequeueUnknown,
            Value::Nil => FifoQueueOp::DequeueEmpty,
            value => FifoQueueOp::Dequeue(value.clone()),
        })
    }
}

impl Model for FifoQueue {
    /// From the front to the end.
    type State = Arc<Vec<Value>>;
    type Op = FifoQueueOp;

    fn name(&self) -> &'static str {
        "fifo-queue"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<FifoQueueOp>, ModelError> {
        match &*operation.f {
            "enqueue" => self.parse_enqueue(operation).map(Some),
            "dequeue" => self.parse_dequeue(operation).map(Some),
            "drain" => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "enqueue or dequeue (hint: a drain is many dequeues; record them one by one)",
            )),
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "enqueue or dequeue",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &FifoQueueOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Self::State {
        Arc::clone(&self.initial)
    }

    fn step(&self, state: &Self::State, op: &FifoQueueOp) -> Option<Self::State> {
        match op {
            FifoQueueOp::Enqueue(value) => {
                let mut values = Vec::with_capacity(state.len() + 1);
                values.extend_from_slice(state);
                values.push(value.clone());
                Some(Arc::new(values))
            }
            FifoQueueOp::Dequeue(value) => (state.first() == Some(value)).then(|| behind(state)),
            FifoQueueOp::DequeueEmpty => state.is_empty().then(|| Arc::clone(state)),
            FifoQueueOp::DequeueUnknown => Some(behind(state)),
        }
    }

    fn is_observer(&self, op: &FifoQueueOp) -> bool {
        matches!(op, FifoQueueOp::DequeueEmpty)
    }

    /// A value whose enqueue and dequeue are both open can be left out of any order: without it
    /// the others are in the same order, and the queue is only empty more often.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&FifoQueueOp],
        open: &[&FifoQueueOp],
    ) -> Vec<bool> {
        let mut enqueued: FxHashSet<&Value> = self.initial.iter().collect();
        let mut dequeued: FxHashSet<&Value> = FxHashSet::default();
        for op in completed {
            match op {
                FifoQueueOp::DequeueUnknown => return vec![false; open.len()],
                FifoQueueOp::Enqueue(value) => _ = enqueued.insert(value),
                FifoQueueOp::Dequeue(value) => _ = dequeued.insert(value),
                FifoQueueOp::DequeueEmpty => {}
            }
        }
        open.iter()
            .map(|op| match op {
                FifoQueueOp::Enqueue(value) => !dequeued.contains(value),
                FifoQueueOp::Dequeue(value) => !enqueued.contains(value),
                // Whatever it takes of what must be there, others may wait for that to be gone.
                FifoQueueOp::DequeueUnknown => enqueued.is_empty(),
                FifoQueueOp::DequeueEmpty => true,
            })
            .collect()
    }

    fn moves(&self, op: &FifoQueueOp) -> Option<Moves> {
        match op {
            FifoQueueOp::Enqueue(value) => Some(Moves::Puts(value.clone())),
            FifoQueueOp::Dequeue(value) => Some(Moves::Takes(value.clone())),
            FifoQueueOp::DequeueEmpty => None,
            FifoQueueOp::DequeueUnknown => Some(Moves::TakesAny),
        }
    }

    fn contents(&self, state: &Self::State) -> Option<Vec<Value>> {
        Some(state.to_vec())
    }

    fn monitor(
        &self,
        initial: &Self::State,
        history: &[Interval<FifoQueueOp>],
    ) -> Option<Monitored> {
        let decide = |initial: &[Value], history: &[Interval<FifoQueueOp>]| {
            fifo_queue::decide(initial, history, Conditions::ALL)
        };
        let told = |op: &FifoQueueOp, name| match op {
            FifoQueueOp::Enqueue(_) => FifoQueueOp::Enqueue(name),
            FifoQueueOp::Dequeue(_) => FifoQueueOp::Dequeue(name),
            other => other.clone(),
        };
        decide(initial, history)
            .or_else(|| pairing::told_apart(self, Gives::First, initial, history, told, decide))
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + size_of::<Vec<Value>>() + state.len() * size_of::<Value>()
    }

    fn describe(&self, op: &FifoQueueOp) -> String {
        match op {
            FifoQueueOp::Enqueue(value) => format!("enqueue of {}", show(value)),
            FifoQueueOp::Dequeue(value) => format!("dequeue of {}", show(value)),
            FifoQueueOp::DequeueEmpty => "dequeue that found the queue empty".to_owned(),
            FifoQueueOp::DequeueUnknown => "dequeue of whatever was in front".to_owned(),
        }
    }

    fn describe_state(&self, state: &Self::State) -> String {
        match &state[..] {
            [] => "the queue is empty".to_owned(),
            [value] => format!("the queue holds {}", show(value)),
            [front, more @ ..] => format!(
                "the queue holds {} in front and {} more",
                show(front),
                more.len()
            ),
        }
    }
}

/// The queue without its front.
fn behind(state: &Arc<Vec<Value>>) -> Arc<Vec<Value>> {
    match &state[..] {
        [] => Arc::clone(state),
        [_, rest @ ..] => Arc::new(rest.to_vec()),
    }
}

fn show(value: &Value) -> String {
    brief(&value.to_string())
}

#[cfg(test)]
mod tests;
