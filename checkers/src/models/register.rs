//! A register: one value, read, written, and (as cas-register) compared and set.

use histories::{Operation, Value};
use rustc_hash::FxHashMap;

use crate::model::{asks_nothing, brief, cas_input, cas_swapped, is_known, took_effect};
use crate::oracle::Interval;
use crate::{Access, Model, ModelError, NilReads, RegisterView};

/// The models `register` and `cas-register`: each key holds one value.
#[derive(Debug, Clone)]
pub struct Register {
    initial: Value,
    nil_reads: NilReads,
    with_cas: bool,
}

/// What an operation did to a register.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Found this value.
    Read(Value),
    /// Left this value, whatever was there.
    Write(Value),
    /// Found the first value and left the second.
    Cas(Value, Value),
    /// Found another value than this one, and changed nothing.
    Mismatch(Value),
}

impl Register {
    /// A register that knows read and write.
    pub fn new(initial: Value, nil_reads: NilReads) -> Self {
        Register {
            initial,
            nil_reads,
            with_cas: false,
        }
    }

    /// A register that knows compare-and-set too.
    pub fn with_cas(initial: Value, nil_reads: NilReads) -> Self {
        Register {
            initial,
            nil_reads,
            with_cas: true,
        }
    }
}

impl Model for Register {
    type State = Value;
    type Op = RegisterOp;

    fn name(&self) -> &'static str {
        if self.with_cas {
            "cas-register"
        } else {
            "register"
        }
    }

    fn parse(&self, operation: &Operation) -> Result<Option<RegisterOp>, ModelError> {
        match &*operation.f {
            "read" | "get" => {
                asks_nothing(self.name(), operation)?;
                let says_nothing = !is_known(operation)
                    || (operation.output.is_nil() && self.nil_reads == NilReads::Any);
                Ok((!says_nothing).then(|| RegisterOp::Read(operation.output.clone())))
            }
            "write" | "put" => {
                took_effect(self.name(), operation)?;
                Ok(Some(RegisterOp::Write(operation.input.clone())))
            }
            "cas" if self.with_cas => {
                let (old, new) = cas_input(self.name(), operation)?;
                if is_known(operation) && !cas_swapped(self.name(), operation)? {
                    return Ok(Some(RegisterOp::Mismatch(old.clone())));
                }
                Ok(Some(RegisterOp::Cas(old.clone(), new.clone())))
            }
            "cas" => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "read (get) or write (put) (hint: the model cas-register knows cas)",
            )),
            _ if self.with_cas => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "read (get), write (put) or cas",
            )),
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "read (get) or write (put)",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &RegisterOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Value {
        self.initial.clone()
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        match op {
            RegisterOp::Read(value) => (state == value).then(|| state.clone()),
            RegisterOp::Write(value) => Some(value.clone()),
            RegisterOp::Cas(old, new) => (state == old).then(|| new.clone()),
            RegisterOp::Mismatch(old) => (state != old).then(|| state.clone()),
        }
    }

    fn is_observer(&self, op: &RegisterOp) -> bool {
        match op {
            RegisterOp::Read(_) | RegisterOp::Mismatch(_) => true,
            RegisterOp::Cas(old, new) => old == new,
            RegisterOp::Write(_) => false,
        }
    }

    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&RegisterOp],
        open: &[&RegisterOp],
    ) -> Vec<bool> {
        // Someone who saw "not this value" might have seen any other: then nothing is unobserved.
        if completed
            .iter()
            .any(|op| matches!(op, RegisterOp::Mismatch(_)))
        {
            return vec![false; open.len()];
        }
        let mut leaving: FxHashMap<&Value, Vec<usize>> = FxHashMap::default();
        for (place, op) in open.iter().enumerate() {
            if let Some(value) = leaves(op) {
                leaving.entry(value).or_default().push(place);
            }
        }
        let mut dead = vec![true; open.len()];
        let mut seen: Vec<&Value> = completed.iter().filter_map(|op| needs(op)).collect();
        while let Some(value) = seen.pop() {
            for place in leaving.remove(value).unwrap_or_default() {
                dead[place] = false;
                // What an open cas needs counts only if someone could tell that it happened.
                seen.extend(needs(open[place]));
            }
        }
        dead
    }

    fn states_after(&self, updates: &[&RegisterOp], _rest: &[&RegisterOp]) -> Option<Vec<Value>> {
        Some(
            updates
                .iter()
                .filter_map(|op| leaves(op).cloned())
                .collect(),
        )
    }

    fn register_view(
        &self,
        initial: &Value,
        history: &[Interval<RegisterOp>],
    ) -> Option<RegisterView> {
        RegisterView::of(initial, history, |interval| {
            Some(match &interval.op {
                RegisterOp::Read(value) => Access::Read(value),
                RegisterOp::Write(value) => Access::Write(value),
                RegisterOp::Cas(old, new) => Access::Cas(old, new),
                RegisterOp::Mismatch(value) => Access::Not(value),
            })
        })
    }

    fn access(&self, op: &RegisterOp) -> Option<Access<Value>> {
        Some(match op.clone() {
            RegisterOp::Read(value) => Access::Read(value),
            RegisterOp::Write(value) => Access::Write(value),
            RegisterOp::Cas(old, new) => Access::Cas(old, new),
            RegisterOp::Mismatch(value) => Access::Not(value),
        })
    }

    fn held(&self, state: &Value) -> Option<Value> {
        Some(state.clone())
    }

    fn describe(&self, op: &RegisterOp) -> String {
        match op {
            RegisterOp::Read(value) => format!("read of {}", show(value)),
            RegisterOp::Write(value) => format!("write of {}", show(value)),
            RegisterOp::Cas(old, new) => format!("cas from {} to {}", show(old), show(new)),
            RegisterOp::Mismatch(old) => {
                format!("cas that found another value than {}", show(old))
            }
        }
    }

    fn describe_state(&self, state: &Value) -> String {
        format!("the value is {}", show(state))
    }

    fn observed(&self, op: &RegisterOp) -> Option<Value> {
        needs(op).cloned()
    }

    fn written(&self, op: &RegisterOp) -> Option<Value> {
        leaves(op).cloned()
    }
}

/// The value that must be there for the operation to happen.
fn needs(op: &RegisterOp) -> Option<&Value> {
    match op {
        RegisterOp::Read(value) | RegisterOp::Cas(value, _) => Some(value),
        RegisterOp::Write(_) | RegisterOp::Mismatch(_) => None,
    }
}

/// The value that is there after the operation changed it.
fn leaves(op: &RegisterOp) -> Option<&Value> {
    match op {
        RegisterOp::Write(value) | RegisterOp::Cas(_, value) => Some(value),
        RegisterOp::Read(_) | RegisterOp::Mismatch(_) => None,
    }
}

fn show(value: &Value) -> String {
    brief(&value.to_string())
}
