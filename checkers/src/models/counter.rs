//! A counter: changed by amounts, and read.

use std::collections::BTreeSet;

use histories::{Operation, Value};

use crate::model::{asks_nothing, is_done, is_known};
use crate::models::InitialError;
use crate::monitors::counter::{self, Conditions};
use crate::monitors::sums::{self, Sum};
use crate::oracle::Interval;
use crate::{Model, ModelError, Monitored, NilReads};

/// More states that may have been left are not named.
const STATES_MAX: usize = 1_024;
const EXPECTED: &str = "add or increment, decrement, add-and-get, or read (get)";

/// The model `counter`: each key is a number that starts with 0.
#[derive(Debug, Clone)]
pub struct Counter {
    initial: i128,
    nil_reads: NilReads,
}

/// What an operation did to a counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Changed it by this.
    Add(i64),
    /// Changed it by the first, which made it the second.
    AddAndGet(i64, i64),
    /// Found it at this.
    Read(i64),
    /// Has come to this or beyond, whoever added: what is known of a read where not all additions are.
    Reached(i64),
    /// Found it below this.
    Below(i64),
}

impl Counter {
    /// Counters start with the whole number `initial`, or 0.
    ///
    /// # Errors
    ///
    /// When `initial` is no whole number.
    pub fn new(initial: Option<&Value>, nil_reads: NilReads) -> Result<Self, InitialError> {
        let initial = match initial {
            None | Some(Value::Nil) => 0,
            Some(Value::Int(number)) => i128::from(*number),
            Some(other) => {
                return Err(InitialError {
                    model: "counter",
                    initial: other.to_string(),
                    expected: "a whole number",
                });
            }
        };
        Ok(Counter { initial, nil_reads })
    }

    fn error(&self, operation: &Operation, found: String, expected: &str) -> ModelError {
        ModelError::new(self.name(), operation, found, expected)
    }

    /// The amount an operation names; 1 where it names none.
    fn amount(&self, operation: &Operation) -> Result<i64, ModelError> {
        match &operation.input {
            Value::Nil => Ok(1),
            Value::Int(amount) => Ok(*amount),
            other => {
                let found = format!("{} with the argument {other}", operation.f);
                Err(self.error(operation, found, "a whole number, or nothing for 1"))
            }
        }
    }

    /// A change that does not say what it led to.
    fn change(&self, operation: &Operation, amount: i64) -> Result<CounterOp, ModelError> {
        let output = &operation.output;
        if !is_done(operation) {
            let found = format!(
                "{} with the argument {} and the result {output}",
                operation.f, operation.input
            );
            let expected = "nil, true or the argument (hint: add-and-get answers the new value; \
                            fail is for a change that was not made)";
            return Err(self.error(operation, found, expected));
        }
        Ok(CounterOp::Add(amount))
    }

    fn add_and_get(&self, operation: &Operation) -> Result<CounterOp, ModelError> {
        let amount = self.amount(operation)?;
        match &operation.output {
            _ if !is_known(operation) => Ok(CounterOp::Add(amount)),
            Value::Int(result) => Ok(CounterOp::AddAndGet(amount, *result)),
            other => {
                let found = format!("add-and-get with the result {other}");
                Err(self.error(operation, found, "the whole number it led to"))
            }
        }
    }

    fn read(&self, operation: &Operation) -> Result<Option<CounterOp>, ModelError> {
        asks_nothing(self.name(), operation)?;
        match &operation.output {
            _ if !is_known(operation) => Ok(None),
            Value::Nil if self.nil_reads == NilReads::Any => Ok(None),
            Value::Int(found) => Ok(Some(CounterOp::Read(*found))),
            other => {
                let found = format!("{} with the result {other}", operation.f);
                Err(self.error(operation, found, "a whole number"))
            }
        }
    }
}

impl Model for Counter {
    /// Wide enough for any sum of changes.
    type State = i128;
    type Op = CounterOp;

    fn name(&self) -> &'static str {
        "counter"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<CounterOp>, ModelError> {
        match &*operation.f {
            "add" | "increment" => {
                let amount = self.amount(operation)?;
                self.change(operation, amount).map(Some)
            }
            "decrement" => {
                let amount = self.amount(operation)?.checked_neg().ok_or_else(|| {
                    let found = format!("a decrement by {}", operation.input);
                    self.error(operation, found, "a smaller number")
                })?;
                self.change(operation, amount).map(Some)
            }
            "add-and-get" => self.add_and_get(operation).map(Some),
            "read" | "get" => self.read(operation),
            _ => Err(ModelError::unknown_f(self.name(), operation, EXPECTED)),
        }
    }

    fn part(&self, operation: &Operation, _op: &CounterOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> i128 {
        self.initial
    }

    fn step(&self, state: &i128, op: &CounterOp) -> Option<i128> {
        match op {
            CounterOp::Add(amount) => state.checked_add(i128::from(*amount)),
            CounterOp::AddAndGet(amount, result) => state
                .checked_add(i128::from(*amount))
                .filter(|sum| *sum == i128::from(*result)),
            CounterOp::Read(found) => (*state == i128::from(*found)).then_some(*state),
            CounterOp::Reached(least) => Some(i128::from(*least).max(*state)),
            CounterOp::Below(limit) => (*state < i128::from(*limit)).then_some(*state),
        }
    }

    /// A number that one operation found, and others perhaps not any more.
    fn things(&self, ops: &[&CounterOp], _among: &[&CounterOp]) -> Vec<Value> {
        let found = ops.iter().filter_map(|op| match op {
            CounterOp::Read(found) | CounterOp::AddAndGet(_, found) => Some(*found),
            CounterOp::Add(_) | CounterOp::Reached(_) | CounterOp::Below(_) => None,
        });
        let limits = found.flat_map(|found| [found.checked_add(1), Some(found)]);
        limits.flatten().map(Value::Int).collect()
    }

    /// Whether the count has come so far. Additions are left out: without them it is never more than it was
    /// with them, so what found it below a number still does.
    fn aspect(&self, op: &CounterOp, thing: &Value) -> Option<CounterOp> {
        let limit = thing.as_int()?;
        let seen = |found: i64| match found >= limit {
            true => CounterOp::Reached(limit),
            false => CounterOp::Below(limit),
        };
        match op {
            CounterOp::Add(amount) | CounterOp::AddAndGet(amount, _) if *amount < 0 => {
                Some(CounterOp::Add(*amount))
            }
            CounterOp::Read(found) | CounterOp::AddAndGet(_, found) => Some(seen(*found)),
            CounterOp::Add(_) | CounterOp::Reached(_) | CounterOp::Below(_) => None,
        }
    }

    fn is_observer(&self, op: &CounterOp) -> bool {
        match op {
            CounterOp::Read(_) | CounterOp::Below(_) => true,
            CounterOp::Reached(_) => false,
            CounterOp::Add(amount) | CounterOp::AddAndGet(amount, _) => *amount == 0,
        }
    }

    /// While nobody looks, nobody can tell. Nor can anybody of a change that would lead beyond all that is
    /// found, where all others lead in the same direction: whoever looks did so before.
    fn unobserved(
        &self,
        starts: &[i128],
        completed: &[&CounterOp],
        open: &[&CounterOp],
    ) -> Vec<bool> {
        if completed.iter().chain(open).any(|op| is_seen(op)) {
            // To have come less far keeps nothing from happening.
            return open.iter().map(|op| amount(op) >= 0).collect();
        }
        let found = completed.iter().chain(open).filter_map(|op| match op {
            CounterOp::AddAndGet(_, found) | CounterOp::Read(found) => Some(i128::from(*found)),
            CounterOp::Add(_) | CounterOp::Reached(_) | CounterOp::Below(_) => None,
        });
        let (Some(least), Some(most)) = (found.clone().min(), found.max()) else {
            return vec![true; open.len()];
        };
        let amounts = completed.iter().chain(open).map(|op| amount(op));
        let (up, down) = (
            amounts.clone().all(|amount| amount >= 0),
            amounts.clone().all(|amount| amount <= 0),
        );
        let lead_beyond = |amount: i128| {
            starts.iter().all(|start| match amount > 0 {
                true => up && start.saturating_add(amount) > most,
                false => down && start.saturating_add(amount) < least,
            })
        };
        open.iter().map(|op| lead_beyond(amount(op))).collect()
    }

    fn leaves(&self, op: &CounterOp, _among: &[&CounterOp]) -> Option<i128> {
        match op {
            CounterOp::Read(found) => Some(i128::from(*found)),
            CounterOp::AddAndGet(_, result) => Some(i128::from(*result)),
            CounterOp::Add(_) | CounterOp::Reached(_) | CounterOp::Below(_) => None,
        }
    }

    /// What was there before additions that lead to what the rest finds, and one other number, from
    /// which none does.
    fn states_after(&self, updates: &[&CounterOp], rest: &[&CounterOp]) -> Option<Vec<i128>> {
        if updates.is_empty() {
            return Some(Vec::new());
        }
        if updates.iter().chain(rest).any(|op| is_seen(op)) {
            return None;
        }
        let (mut added, mut found) = (BTreeSet::from([0_i128]), BTreeSet::new());
        for op in rest {
            let amount = amount(op);
            if let CounterOp::AddAndGet(_, result) | CounterOp::Read(result) = op {
                found.insert(i128::from(*result) - amount);
            }
            if amount != 0 {
                let with: Vec<i128> = added.iter().map(|sum| sum + amount).collect();
                added.extend(with);
            }
            if added.len() * found.len().max(1) > STATES_MAX {
                return None;
            }
        }
        let before = |found: i128| added.iter().map(move |sum| found - sum);
        let mut states: BTreeSet<i128> = found.iter().flat_map(|&found| before(found)).collect();
        states.insert(states.last().map_or(0, |most| most + 1));
        Some(states.into_iter().collect())
    }

    fn monitor(&self, initial: &i128, history: &[Interval<CounterOp>]) -> Option<Monitored> {
        if history.iter().any(|interval| is_seen(&interval.op)) {
            return None;
        }
        counter::decide(*initial, history, Conditions::ALL).or_else(|| {
            let sums: Vec<Sum> = history.iter().map(|interval| sum(&interval.op)).collect();
            sums::decide(self, (initial, *initial as u64), history, &sums)
        })
    }

    fn describe(&self, op: &CounterOp) -> String {
        match op {
            CounterOp::Add(amount) => format!("addition of {amount}"),
            CounterOp::AddAndGet(amount, result) => {
                format!("addition of {amount} that led to {result}")
            }
            CounterOp::Read(found) => format!("read of {found}"),
            CounterOp::Reached(least) => format!("read of {least} or more"),
            CounterOp::Below(limit) => format!("read of less than {limit}"),
        }
    }

    fn describe_state(&self, state: &i128) -> String {
        format!("the count is {state}")
    }
}

/// What the operation adds.
fn amount(op: &CounterOp) -> i128 {
    match op {
        CounterOp::Add(amount) | CounterOp::AddAndGet(amount, _) => i128::from(*amount),
        CounterOp::Read(_) | CounterOp::Reached(_) | CounterOp::Below(_) => 0,
    }
}

/// Whether it is what is seen of an operation ([`Model::aspect`]).
fn is_seen(op: &CounterOp) -> bool {
    matches!(op, CounterOp::Reached(_) | CounterOp::Below(_))
}

/// What the operation adds, and what it found.
fn sum(op: &CounterOp) -> Sum {
    let (adds, finds) = match op {
        CounterOp::Add(amount) => (*amount, None),
        CounterOp::AddAndGet(amount, result) => (*amount, Some(result.wrapping_sub(*amount))),
        CounterOp::Read(found) => (0, Some(*found)),
        CounterOp::Reached(_) | CounterOp::Below(_) => (0, None),
    };
    Sum {
        adds: adds as u64,
        finds: finds.map(|found| found as u64),
    }
}

#[cfg(test)]
mod tests;
