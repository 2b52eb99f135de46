//! A container of which something else is said to move than does.

use histories::{Operation, Value};

use super::{try_laws, vocabulary};
use crate::laws::Law;
use crate::models::{FifoQueue, FifoQueueOp, ModelKind};
use crate::{Model, ModelError, Moves};

type Said = fn(&FifoQueueOp) -> Option<Moves>;

/// A queue that says something else of what it moves than it does.
struct Misplaced {
    right: FifoQueue,
    said: Said,
    has_all: bool,
}

impl Model for Misplaced {
    type State = <FifoQueue as Model>::State;
    type Op = FifoQueueOp;

    fn name(&self) -> &'static str {
        "misplaced"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<FifoQueueOp>, ModelError> {
        self.right.parse(operation)
    }

    fn part(&self, operation: &Operation, op: &FifoQueueOp) -> Option<Value> {
        self.right.part(operation, op)
    }

    fn initial(&self, part: Option<&Value>) -> Self::State {
        self.right.initial(part)
    }

    fn step(&self, state: &Self::State, op: &FifoQueueOp) -> Option<Self::State> {
        self.right.step(state, op)
    }

    fn moves(&self, op: &FifoQueueOp) -> Option<Moves> {
        (self.said)(op)
    }

    fn contents(&self, state: &Self::State) -> Option<Vec<Value>> {
        let all = self.right.contents(state)?;
        let skipped = usize::from(!self.has_all);
        Some(all.into_iter().skip(skipped).collect())
    }
}

#[test]
fn what_is_moved_otherwise_is_caught() {
    let (row, initial) = vocabulary(ModelKind::FifoQueue);
    let initial = histories::edn::parse_value(initial).unwrap();
    let right = FifoQueue::new(Some(&initial)).unwrap();
    let said: [(Said, bool); 6] = [
        (|op| right_moves(op), true),
        (|op| right_moves(op), false),
        (
            |op| right_moves(op).filter(|moves| !matches!(moves, Moves::Puts(_))),
            true,
        ),
        (
            |op| right_moves(op).filter(|moves| !matches!(moves, Moves::Takes(_))),
            true,
        ),
        (
            |op| right_moves(op).filter(|moves| *moves != Moves::TakesAny),
            true,
        ),
        (|op| right_moves(op).map(|_| Moves::TakesAny), true),
    ];
    for (number, (said, has_all)) in said.into_iter().enumerate() {
        let model = Misplaced {
            right: right.clone(),
            said,
            has_all,
        };
        match (number, try_laws(&model, row)) {
            (0, found) => assert!(found.unwrap().cases(Law::Moves) > 0),
            (_, found) => assert_eq!(found.unwrap_err().law, Law::Moves, "{number}"),
        }
    }
}

fn right_moves(op: &FifoQueueOp) -> Option<Moves> {
    FifoQueue::new(None).unwrap().moves(op)
}
