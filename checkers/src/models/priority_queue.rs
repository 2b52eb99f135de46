//! A priority queue: what is taken is the smallest there is.

use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::FxHashSet;

use crate::model::{asks_nothing, brief, is_known, took_effect};
use crate::models::InitialError;
use crate::monitors::priority_queue::{self, Conditions};
use crate::oracle::Interval;
use crate::{Model, ModelError, Monitored, Moves};

/// How many elements of a queue are shown.
const SHOWN_MAX: usize = 20;

/// The model `priority-queue`: each key holds whole numbers, some of them perhaps more than once; a
/// pop takes the smallest, and answers nil when there is none.
#[derive(Debug, Clone)]
pub struct PriorityQueue {
    initial: Arc<[i64]>,
}

/// What an operation did to a priority queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PriorityQueueOp {
    /// Put this in.
    Push(i64),
    /// Took this out, the smallest.
    Pop(i64),
    /// Found the queue empty.
    PopEmpty,
    /// Took out the smallest, if there was something: nobody knows the answer.
    PopAny,
}

impl PriorityQueue {
    /// Queues start with the whole numbers of the list `initial`; with nothing or nil empty.
    pub fn new(initial: Option<&Value>) -> Result<Self, InitialError> {
        let numbers = match initial {
            None | Some(Value::Nil) => Some(Vec::new()),
            Some(Value::List(elements)) => elements.iter().map(Value::as_int).collect(),
            Some(_) => None,
        };
        let Some(mut numbers) = numbers else {
            return Err(InitialError {
                model: "priority-queue",
                initial: initial.unwrap_or(&Value::Nil).to_string(),
                expected: "a list of whole numbers",
            });
        };
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(PriorityQueue {
            initial: numbers.into(),
        })
    }

    fn number(&self, operation: &Operation, value: &Value) -> Result<i64, ModelError> {
        value.as_int().ok_or_else(|| {
            ModelError::new(
                self.name(),
                operation,
                format!("{} with the value {value}", operation.f),
                "a whole number",
            )
        })
    }
}

impl Model for PriorityQueue {
    /// In falling order: the next to be taken is the last.
    type State = Arc<[i64]>;
    type Op = PriorityQueueOp;

    fn name(&self) -> &'static str {
        "priority-queue"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<PriorityQueueOp>, ModelError> {
        match &*operation.f {
            "push" | "insert" => {
                took_effect(self.name(), operation)?;
                let number = self.number(operation, &operation.input)?;
                Ok(Some(PriorityQueueOp::Push(number)))
            }
            "pop" | "remove-min" if !is_known(operation) => Ok(Some(PriorityQueueOp::PopAny)),
            "pop" | "remove-min" => {
                asks_nothing(self.name(), operation)?;
                Ok(Some(match &operation.output {
                    Value::Nil => PriorityQueueOp::PopEmpty,
                    least => PriorityQueueOp::Pop(self.number(operation, least)?),
                }))
            }
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "push (insert) or pop (remove-min)",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &PriorityQueueOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Arc<[i64]> {
        Arc::clone(&self.initial)
    }

    fn step(&self, state: &Arc<[i64]>, op: &PriorityQueueOp) -> Option<Arc<[i64]>> {
        match (op, &**state) {
            (PriorityQueueOp::Push(number), held) => {
                let at = held.partition_point(|other| other > number);
                Some([&held[..at], &[*number], &held[at..]].concat().into())
            }
            (PriorityQueueOp::Pop(number), [rest @ .., least]) => {
                (least == number).then(|| rest.into())
            }
            (PriorityQueueOp::PopAny, [rest @ .., _]) => Some(rest.into()),
            (PriorityQueueOp::PopEmpty | PriorityQueueOp::PopAny, []) => Some(Arc::clone(state)),
            (PriorityQueueOp::Pop(_), []) | (PriorityQueueOp::PopEmpty, [..]) => None,
        }
    }

    fn is_observer(&self, op: &PriorityQueueOp) -> bool {
        matches!(op, PriorityQueueOp::PopEmpty)
    }

    /// An open push of what no completed pop answered can go, and with it the first open pop that
    /// takes such a number: until there the queue holds one number less, which is not the smallest
    /// whenever something else is taken, so the same things are taken; from there on it is the
    /// same. An open pop of what nobody certainly pushed can go too: its number has gone, or another
    /// pop takes it.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&PriorityQueueOp],
        open: &[&PriorityQueueOp],
    ) -> Vec<bool> {
        if completed.contains(&&PriorityQueueOp::PopAny) {
            return vec![false; open.len()];
        }
        let popped: FxHashSet<i64> = completed
            .iter()
            .filter_map(|op| match op {
                PriorityQueueOp::Pop(number) => Some(*number),
                _ => None,
            })
            .collect();
        let pushed = completed.iter().filter_map(|op| match op {
            PriorityQueueOp::Push(number) => Some(*number),
            _ => None,
        });
        let pushed: FxHashSet<i64> = pushed.chain(self.initial.iter().copied()).collect();
        // Pushes alone are always legal.
        let only_pushes = completed
            .iter()
            .all(|op| matches!(op, PriorityQueueOp::Push(_)));
        open.iter()
            .map(|op| match op {
                PriorityQueueOp::Push(number) => !popped.contains(number),
                PriorityQueueOp::Pop(number) => {
                    only_pushes || !pushed.contains(number) && !popped.contains(number)
                }
                _ => only_pushes,
            })
            .collect()
    }

    fn moves(&self, op: &PriorityQueueOp) -> Option<Moves> {
        match op {
            PriorityQueueOp::Push(number) => Some(Moves::Puts(Value::Int(*number))),
            PriorityQueueOp::Pop(number) => Some(Moves::Takes(Value::Int(*number))),
            PriorityQueueOp::PopEmpty => None,
            PriorityQueueOp::PopAny => Some(Moves::TakesAny),
        }
    }

    fn contents(&self, state: &Arc<[i64]>) -> Option<Vec<Value>> {
        Some(state.iter().copied().map(Value::Int).collect())
    }

    fn monitor(
        &self,
        initial: &Arc<[i64]>,
        history: &[Interval<PriorityQueueOp>],
    ) -> Option<Monitored> {
        priority_queue::decide(initial, history, Conditions::ALL)
    }

    fn state_bytes(&self, state: &Arc<[i64]>) -> usize {
        size_of::<Self::State>() + 2 * size_of::<usize>() + size_of_val(&**state)
    }

    fn describe(&self, op: &PriorityQueueOp) -> String {
        match op {
            PriorityQueueOp::Push(number) => format!("push of {number}"),
            PriorityQueueOp::Pop(number) => format!("pop of {number}"),
            PriorityQueueOp::PopEmpty => "pop that found the queue empty".to_owned(),
            PriorityQueueOp::PopAny => "pop of unknown answer".to_owned(),
        }
    }

    fn describe_state(&self, state: &Arc<[i64]>) -> String {
        if state.is_empty() {
            return "the queue is empty".to_owned();
        }
        let mut shown: Vec<String> = state
            .iter()
            .rev()
            .take(SHOWN_MAX)
            .map(i64::to_string)
            .collect();
        if state.len() > SHOWN_MAX {
            shown.push("…".to_owned());
        }
        format!("the queue holds [{}]", brief(&shown.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge_rows, samples};
    use crate::{ModelKind, ModelOptions, Verdict};
    use Verdict::{Invalid, Valid};

    fn options() -> ModelOptions {
        ModelOptions::new(ModelKind::PriorityQueue)
    }

    #[test]
    fn priority_queue_histories() {
        judge_rows(
            &options(),
            &[
                (
                    "0 push 2 -> nil @0 1; 0 insert 1 -> true @2 3; 0 pop nil -> 1 @4 5; \
                     0 remove-min nil -> 2 @6 7",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> nil @2 3; 0 pop nil -> 2 @4 5",
                    Invalid,
                ),
                (
                    "0 push -5 -> nil @0 1; 0 push 2 -> nil @2 3; 0 pop nil -> -5 @4 5",
                    Valid,
                ),
                ("0 pop nil -> nil @0 1", Valid),
                ("0 push 1 -> nil @0 1; 1 pop nil -> nil @2 3", Invalid),
                (
                    "0 push 1 -> nil @0 3; 1 pop nil -> nil @1 2; 1 pop nil -> 1 @4 5",
                    Valid,
                ),
                // The same number twice is there twice, and no more often.
                (
                    "0 push 1 -> nil @0 1; 0 push 1 -> nil @2 3; 0 pop nil -> 1 @4 5; \
                     0 pop nil -> 1 @6 7",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 pop nil -> 1 @4 5; 0 pop nil -> 1 @6 7",
                    Invalid,
                ),
                // An unknown pop takes the smallest, and nothing else.
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> nil @2 3; 1 pop nil -> ? @4 ?; \
                     0 pop nil -> 2 @5 6",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> nil @2 3; 1 pop nil -> ? @4 ?; \
                     0 pop nil -> 1 @5 6; 0 pop nil -> nil @7 8",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> nil @2 3; 1 pop nil -> ? @4 ?; \
                     0 pop nil -> 2 @5 6; 0 pop nil -> 1 @7 8",
                    Invalid,
                ),
                (
                    "0 push 1 -> ? @0 ?; 1 push 2 -> nil @1 2; 1 pop nil -> 2 @3 4; \
                     1 pop nil -> 1 @5 6",
                    Valid,
                ),
                (
                    "0 push 1 -> ? @0 ?; 1 push 2 -> nil @1 2; 1 pop nil -> 2 @3 4; \
                     1 pop nil -> 2 @5 6",
                    Invalid,
                ),
            ],
        );
    }

    #[test]
    fn a_queue_may_start_with_numbers() {
        let options = ModelOptions {
            initial: Some(Value::List([3, 1, 2].map(Value::Int).to_vec())),
            ..options()
        };
        judge_rows(
            &options,
            &[
                (
                    "0 pop nil -> 1 @0 1; 0 pop nil -> 2 @2 3; 0 pop nil -> 3 @4 5",
                    Valid,
                ),
                ("0 pop nil -> 3 @0 1", Invalid),
            ],
        );
        let refused = PriorityQueue::new(Some(&"a".into())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the model priority-queue cannot start from \"a\" (hint: give a list of whole numbers)"
        );
    }

    #[test]
    fn what_is_no_priority_queue_is_refused() {
        let rows = [
            (
                "push a -> nil",
                "operation 0 has push with the value \"a\", but the model priority-queue expects \
                 a whole number",
            ),
            (
                "pop nil -> [1]",
                "operation 0 has pop with the value [1], but the model priority-queue expects a \
                 whole number",
            ),
            (
                "dequeue nil -> 1",
                "operation 0 has an operation \"dequeue\", but the model priority-queue expects \
                 push (insert) or pop (remove-min)",
            ),
        ];
        for (row, expected) in rows {
            let queue = PriorityQueue::new(None).unwrap();
            let refused = queue.parse(&samples(row)[0]).unwrap_err().to_string();
            assert_eq!(refused, expected);
        }
    }
}
