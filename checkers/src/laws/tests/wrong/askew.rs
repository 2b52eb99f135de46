//! A set of which something else is said to happen to one element than does.

use histories::{Operation, Value};

use super::{try_laws, vocabulary};
use crate::laws::Law;
use crate::models::{ModelKind, Set, SetOp};
use crate::{Model, ModelError, NilReads};

type Seen = fn(&SetOp, &Value) -> Option<SetOp>;

/// A set that says something else of its elements than happens to them.
struct Askew {
    right: Set,
    seen: Seen,
}

impl Model for Askew {
    type State = <Set as Model>::State;
    type Op = SetOp;

    fn name(&self) -> &'static str {
        "askew"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<SetOp>, ModelError> {
        self.right.parse(operation)
    }

    fn part(&self, operation: &Operation, op: &SetOp) -> Option<Value> {
        self.right.part(operation, op)
    }

    fn initial(&self, part: Option<&Value>) -> Self::State {
        self.right.initial(part)
    }

    fn step(&self, state: &Self::State, op: &SetOp) -> Option<Self::State> {
        self.right.step(state, op)
    }

    fn things(&self, ops: &[&SetOp], among: &[&SetOp]) -> Vec<Value> {
        self.right.things(ops, among)
    }

    fn aspect(&self, op: &SetOp, thing: &Value) -> Option<SetOp> {
        (self.seen)(op, thing)
    }
}

fn right(op: &SetOp, thing: &Value) -> Option<SetOp> {
    Set::new(None, NilReads::Observe).unwrap().aspect(op, thing)
}

#[test]
fn what_does_not_happen_to_an_element_is_caught() {
    let (rows, initial) = vocabulary(ModelKind::Set);
    let row = rows.split('|').nth(1).unwrap();
    let initial = histories::edn::parse_value(initial).unwrap();
    let set = Set::new(Some(&initial), NilReads::Observe).unwrap();
    let said: [Seen; 4] = [
        right,
        // Additions, and removals, are forgotten.
        |op, thing| {
            right(op, thing).filter(|seen| !matches!(seen, SetOp::Add(_) | SetOp::AddNew(_)))
        },
        |op, thing| right(op, thing).filter(|seen| !matches!(seen, SetOp::Remove(_))),
        // A read of all finds what it does not find.
        |op, thing| match (op, right(op, thing)?) {
            (SetOp::ReadAll(..), SetOp::Contains(element, found)) => {
                Some(SetOp::Contains(element, !found))
            }
            (_, seen) => Some(seen),
        },
    ];
    for (number, seen) in said.into_iter().enumerate() {
        let model = Askew {
            right: set.clone(),
            seen,
        };
        match (number, try_laws(&model, row)) {
            (0, found) => assert!(found.unwrap().cases(Law::Aspect) > 0),
            (_, found) => assert_eq!(found.unwrap_err().law, Law::Aspect, "{number}"),
        }
    }
}
