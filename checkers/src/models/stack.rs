//! A stack: push on top, pop from the top.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::{FxHashSet, FxHasher};

use crate::model::{asks_nothing, brief, is_known, took_effect};
use crate::models::InitialError;
use crate::monitors::pairing::{self, Gives};
use crate::monitors::stack::{self, Conditions};
use crate::oracle::Interval;
use crate::{Model, ModelError, Monitored, Moves};

/// How many elements of a stack are shown.
const SHOWN_MAX: usize = 20;

/// The model `stack`: each key holds a stack; a pop of an empty one answers nil.
#[derive(Debug, Clone)]
pub struct Stack {
    initial: Pile,
}

/// What an operation did to a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StackOp {
    /// Put this on top.
    Push(Value),
    /// Took this from the top.
    Pop(Value),
    /// Found the stack empty.
    PopEmpty,
    /// Took whatever was on top, if there was something: nobody knows the answer.
    PopAny,
}

/// What a stack holds. Stacks share what they have in common, so that a copy costs nothing and
/// two of them are told apart by a digest.
#[derive(Clone, Default)]
pub struct Pile(Option<Arc<Layer>>);

struct Layer {
    value: Value,
    below: Pile,
    height: usize,
    digest: u64,
}

impl Stack {
    /// Stacks start with the elements of the list `initial`, the first at the bottom; with nothing
    /// or nil empty.
    pub fn new(initial: Option<&Value>) -> Result<Self, InitialError> {
        let elements = match initial {
            None | Some(Value::Nil) => &[],
            Some(Value::List(elements)) if !elements.contains(&Value::Nil) => &**elements,
            Some(other) => {
                return Err(InitialError {
                    model: "stack",
                    initial: other.to_string(),
                    expected: "a list of elements other than nil, the bottom first",
                });
            }
        };
        let initial = elements
            .iter()
            .fold(Pile::default(), |pile, element| pile.push(element.clone()));
        Ok(Stack { initial })
    }
}

impl Model for Stack {
    type State = Pile;
    type Op = StackOp;

    fn name(&self) -> &'static str {
        "stack"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<StackOp>, ModelError> {
        match &*operation.f {
            "push" if operation.input.is_nil() => Err(ModelError::new(
                self.name(),
                operation,
                "a push of nil",
                "a value (nil is what a pop of an empty stack answers)",
            )),
            "push" => {
                took_effect(self.name(), operation)?;
                Ok(Some(StackOp::Push(operation.input.clone())))
            }
            "pop" if !is_known(operation) => Ok(Some(StackOp::PopAny)),
            "pop" => {
                asks_nothing(self.name(), operation)?;
                Ok(Some(match &operation.output {
                    Value::Nil => StackOp::PopEmpty,
                    top => StackOp::Pop(top.clone()),
                }))
            }
            _ => Err(ModelError::unknown_f(self.name(), operation, "push or pop")),
        }
    }

    fn part(&self, operation: &Operation, _op: &StackOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Pile {
        self.initial.clone()
    }

    fn step(&self, state: &Pile, op: &StackOp) -> Option<Pile> {
        match (op, &state.0) {
            (StackOp::Push(value), _) => Some(state.push(value.clone())),
            (StackOp::Pop(value), Some(top)) => (top.value == *value).then(|| top.below.clone()),
            (StackOp::Pop(_), None) => None,
            (StackOp::PopEmpty, top) => top.is_none().then(Pile::default),
            (StackOp::PopAny, Some(top)) => Some(top.below.clone()),
            (StackOp::PopAny, None) => Some(Pile::default()),
        }
    }

    fn is_observer(&self, op: &StackOp) -> bool {
        matches!(op, StackOp::PopEmpty)
    }

    /// An open push of what no completed pop answered can go, and with it, where there is one, the
    /// open pop that takes its element: on the smaller stacks in between everything that was legal
    /// still is, since it touched only what is above, or is an open pop that goes. An open pop of
    /// what nobody certainly pushed can go too: its element has gone, or another pop takes it.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&StackOp],
        open: &[&StackOp],
    ) -> Vec<bool> {
        if completed.contains(&&StackOp::PopAny) {
            return vec![false; open.len()];
        }
        let popped: FxHashSet<&Value> = completed
            .iter()
            .filter_map(|op| match op {
                StackOp::Pop(value) => Some(value),
                StackOp::Push(_) | StackOp::PopEmpty | StackOp::PopAny => None,
            })
            .collect();
        let pushed = completed.iter().filter_map(|op| match op {
            StackOp::Push(value) => Some(value),
            StackOp::Pop(_) | StackOp::PopEmpty | StackOp::PopAny => None,
        });
        let pushed: FxHashSet<&Value> = pushed.chain(self.initial.elements()).collect();
        // Pushes alone are always legal.
        let only_pushes = completed.iter().all(|op| matches!(op, StackOp::Push(_)));
        open.iter()
            .map(|op| match op {
                StackOp::Push(value) => !popped.contains(value),
                StackOp::Pop(value) => {
                    only_pushes || !pushed.contains(value) && !popped.contains(value)
                }
                StackOp::PopEmpty | StackOp::PopAny => only_pushes,
            })
            .collect()
    }

    fn moves(&self, op: &StackOp) -> Option<Moves> {
        match op {
            StackOp::Push(value) => Some(Moves::Puts(value.clone())),
            StackOp::Pop(value) => Some(Moves::Takes(value.clone())),
            StackOp::PopEmpty => None,
            StackOp::PopAny => Some(Moves::TakesAny),
        }
    }

    fn contents(&self, state: &Pile) -> Option<Vec<Value>> {
        Some(state.elements().cloned().collect())
    }

    fn monitor(&self, initial: &Pile, history: &[Interval<StackOp>]) -> Option<Monitored> {
        let mut held: Vec<Value> = initial.elements().cloned().collect();
        held.reverse();
        let decide = |held: &[Value], history: &[Interval<StackOp>]| {
            stack::decide(held, history, Conditions::ALL)
        };
        let told = |op: &StackOp, name| match op {
            StackOp::Push(_) => StackOp::Push(name),
            StackOp::Pop(_) => StackOp::Pop(name),
            other => other.clone(),
        };
        decide(&held, history)
            .or_else(|| pairing::told_apart(self, Gives::Last, &held, history, told, decide))
    }

    fn state_bytes(&self, _state: &Pile) -> usize {
        // What is below is shared with the state it came from.
        size_of::<Pile>() + size_of::<Layer>() + 2 * size_of::<usize>()
    }

    fn describe(&self, op: &StackOp) -> String {
        match op {
            StackOp::Push(value) => format!("push of {}", brief(&value.to_string())),
            StackOp::Pop(value) => format!("pop of {}", brief(&value.to_string())),
            StackOp::PopEmpty => "pop that found the stack empty".to_owned(),
            StackOp::PopAny => "pop of unknown answer".to_owned(),
        }
    }

    fn describe_state(&self, state: &Pile) -> String {
        if state.0.is_none() {
            return "the stack is empty".to_owned();
        }
        let mut shown: Vec<String> = state
            .elements()
            .take(SHOWN_MAX)
            .map(Value::to_string)
            .collect();
        if state.height() > SHOWN_MAX {
            shown.push("…".to_owned());
        }
        format!("the stack is [{}], the top first", brief(&shown.join(" ")))
    }
}

impl Pile {
    fn push(&self, value: Value) -> Self {
        let mut hasher = FxHasher::default();
        self.hash(&mut hasher);
        value.hash(&mut hasher);
        Pile(Some(Arc::new(Layer {
            value,
            below: self.clone(),
            height: self.height() + 1,
            digest: hasher.finish(),
        })))
    }

    /// How many elements there are.
    pub fn height(&self) -> usize {
        self.0.as_ref().map_or(0, |top| top.height)
    }

    /// The elements, the top first.
    pub fn elements(&self) -> impl Iterator<Item = &Value> {
        std::iter::successors(self.0.as_deref(), |layer| layer.below.0.as_deref())
            .map(|layer| &layer.value)
    }
}

impl PartialEq for Pile {
    fn eq(&self, other: &Self) -> bool {
        let (mut left, mut right) = (&self.0, &other.0);
        loop {
            match (left, right) {
                (None, None) => return true,
                (Some(a), Some(b)) if Arc::ptr_eq(a, b) => return true,
                (Some(a), Some(b)) => {
                    if (a.height, a.digest) != (b.height, b.digest) || a.value != b.value {
                        return false;
                    }
                    (left, right) = (&a.below.0, &b.below.0);
                }
                (Some(_), None) | (None, Some(_)) => return false,
            }
        }
    }
}

impl Eq for Pile {}

impl Hash for Pile {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0.as_ref().map_or(0, |top| top.digest));
    }
}

impl fmt::Debug for Pile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.elements()).finish()
    }
}

impl Drop for Pile {
    /// Layer by layer: dropping the top would drop what is below from within, one call inside the
    /// other, as deep as the stack is high.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(mut layer) = next.and_then(Arc::into_inner) {
            next = layer.below.0.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{judge_rows, samples};
    use crate::{ModelKind, ModelOptions, Verdict};
    use Verdict::{Invalid, Valid};

    fn options() -> ModelOptions {
        ModelOptions::new(ModelKind::Stack)
    }

    #[test]
    fn stack_histories() {
        judge_rows(
            &options(),
            &[
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> 2 @2 3; 0 pop nil -> 2 @4 5; \
                     0 pop nil -> 1 @6 7",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> nil @2 3; 0 pop nil -> 1 @4 5",
                    Invalid,
                ),
                ("0 pop nil -> nil @0 1", Valid),
                ("0 push 1 -> nil @0 1; 1 pop nil -> nil @2 3", Invalid),
                (
                    "0 push 1 -> nil @0 3; 1 pop nil -> nil @1 2; 1 pop nil -> 1 @4 5",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 pop nil -> 1 @2 3; 1 pop nil -> 1 @4 5",
                    Invalid,
                ),
                ("1 pop nil -> 1 @0 1; 0 push 1 -> nil @2 3", Invalid),
                // Side by side, either is on top.
                (
                    "0 push 1 -> nil @0 9; 1 push 2 -> nil @1 8; 0 pop nil -> 1 @10 11; \
                     0 pop nil -> 2 @12 13",
                    Valid,
                ),
                // An unknown pop took something, nothing, or has yet to happen.
                (
                    "0 push 1 -> nil @0 1; 1 pop nil -> ? @2 ?; 0 pop nil -> nil @3 4",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 1 pop nil -> ? @2 ?; 0 pop nil -> 1 @3 4",
                    Valid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> nil @2 3; 1 pop nil -> ? @4 ?; \
                     0 pop nil -> nil @5 6",
                    Invalid,
                ),
                (
                    "0 push 1 -> nil @0 1; 0 push 2 -> nil @2 3; 1 pop nil -> ? @4 ?; \
                     0 pop nil -> 1 @5 6",
                    Valid,
                ),
                // An unknown push is there when somebody finds it, and never when nobody does.
                (
                    "0 push 1 -> ? @0 ?; 1 pop nil -> 1 @1 2; 1 pop nil -> nil @3 4",
                    Valid,
                ),
                (
                    "0 push 1 -> ? @0 ?; 1 pop nil -> nil @1 2; 1 pop nil -> 1 @3 4; \
                     1 pop nil -> 1 @5 6",
                    Invalid,
                ),
                ("0 push 1 -> x @0 x; 1 pop nil -> 1 @1 2", Invalid),
                ("0 push a -> nil @0 1; 1 pop nil -> \"a\" @2 3", Valid),
            ],
        );
    }

    #[test]
    fn a_stack_may_start_with_elements() {
        let initial = histories::edn::parse_value("[1 2]").unwrap();
        let options = ModelOptions {
            initial: Some(initial),
            ..options()
        };
        judge_rows(
            &options,
            &[
                (
                    "0 pop nil -> 2 @0 1; 0 pop nil -> 1 @2 3; 0 pop nil -> nil @4 5",
                    Valid,
                ),
                ("0 pop nil -> 1 @0 1", Invalid),
            ],
        );
        let refused = Stack::new(Some(&Value::Int(1))).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the model stack cannot start from 1 (hint: give a list of elements other than nil, \
             the bottom first)"
        );
    }

    #[test]
    fn what_is_no_stack_is_refused() {
        let rows = [
            (
                "read nil -> 1",
                "operation 0 has an operation \"read\", but the model stack expects push or pop",
            ),
            (
                "push nil -> nil",
                "operation 0 has a push of nil, but the model stack expects a value (nil is what \
                 a pop of an empty stack answers)",
            ),
            (
                "push 1 -> false",
                "operation 0 has push with the argument 1 and the result false, but the model stack \
                 expects nil, true or the argument (fail is for what did not take effect)",
            ),
        ];
        for (row, expected) in rows {
            let stack = Stack::new(None).unwrap();
            let refused = stack.parse(&samples(row)[0]).unwrap_err().to_string();
            assert_eq!(refused, expected);
        }
    }

    /// Goal: no recursion on the height of a stack. Method: a stack far higher than threads' call
    /// stacks are deep; made, compared, printed and dropped.
    #[test]
    fn a_high_stack_is_compared_and_dropped() {
        let high = || (0..400_000).fold(Pile::default(), |pile, n| pile.push(Value::Int(n)));
        let (left, right) = (high(), high());
        assert_eq!(left, right);
        assert_ne!(left, right.push(Value::Int(0)));
        assert_eq!(left.elements().next(), Some(&Value::Int(399_999)));
        let shown = Stack::new(None).unwrap().describe_state(&left);
        assert!(shown.len() < 120, "{shown}");
        assert!(format!("{left:?}").len() > 400_000);
    }
}
