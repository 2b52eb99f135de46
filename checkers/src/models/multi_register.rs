//! Several registers, read and written together in transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::FxHashMap;

use crate::model::{brief, is_blank, is_known, took_effect};
use crate::models::InitialError;
use crate::{Model, ModelError, NilReads, Touches};

const EXPECTED: &str = "txn with a list of [read register value] and [write register value], \
                        or read or write with a map from register to value";

/// More states that may have been left are not named.
const STATES_MAX: usize = 1_024;

/// The model `multi-register`: a transaction reads and writes some registers at one instant.
#[derive(Debug, Clone)]
pub struct MultiRegister {
    initial: Vec<(Value, Value)>,
    nil_reads: NilReads,
}

/// What a transaction did, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transaction {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    /// Found this value in this register.
    Read(Value, Value),
    /// Left this value in this register.
    Write(Value, Value),
}

impl MultiRegister {
    /// Registers start with the values of the map `initial`, all others with nil.
    pub fn new(initial: Option<&Value>, nil_reads: NilReads) -> Result<Self, InitialError> {
        let initial = match initial {
            None | Some(Value::Nil) => Vec::new(),
            Some(Value::Map(entries)) => sorted(entries),
            Some(other) => {
                return Err(InitialError {
                    model: "multi-register",
                    initial: other.to_string(),
                    expected: "a map from register to value, as {x 0, y 0}",
                });
            }
        };
        Ok(MultiRegister { initial, nil_reads })
    }

    fn read(&self, operation: &Operation, register: &Value, value: &Value) -> Option<Step> {
        let says_nothing =
            !is_known(operation) || (value.is_nil() && self.nil_reads == NilReads::Any);
        (!says_nothing).then(|| Step::Read(register.clone(), value.clone()))
    }

    fn parse_step(&self, operation: &Operation, step: &Value) -> Result<Option<Step>, ModelError> {
        match step.as_list() {
            Some([f, _]) if !is_known(operation) && matches!(f.as_text(), Some("read" | "r")) => {
                Ok(None)
            }
            Some([f, register, value]) => match f.as_text() {
                Some("read" | "r") => Ok(self.read(operation, register, value)),
                Some("write" | "w") => Ok(Some(Step::Write(register.clone(), value.clone()))),
                _ => Err(self.error(operation, step)),
            },
            _ => Err(self.error(operation, step)),
        }
    }

    /// The steps of a transaction with what its reads found. The result repeats the argument but for
    /// that; where nothing was read it may say nothing.
    fn answered<'a>(
        &self,
        operation: &'a Operation,
        asked: &'a [Value],
    ) -> Result<&'a [Value], ModelError> {
        let reads = |step: &Value| match step.as_list() {
            Some([f, ..]) => matches!(f.as_text(), Some("read" | "r")),
            _ => false,
        };
        let repeats = |asked: &Value, said: &Value| match (asked.as_list(), said.as_list()) {
            (Some([f, register, value]), Some([same_f, same_register, found])) => {
                let is_said = value == found || is_blank(value) && reads(asked);
                f == same_f && register == same_register && is_said
            }
            // Without a place for what it is to find.
            (Some([f, register]), Some([same_f, same_register, _])) => {
                reads(asked) && f == same_f && register == same_register
            }
            _ => false,
        };
        match &operation.output {
            _ if !is_known(operation) => Ok(asked),
            Value::Nil | Value::Bool(true)
                if self.nil_reads == NilReads::Any || !asked.iter().any(reads) =>
            {
                Ok(asked)
            }
            Value::List(said)
                if said.len() == asked.len()
                    && asked
                        .iter()
                        .zip(said)
                        .all(|(asked, said)| repeats(asked, said)) =>
            {
                Ok(said)
            }
            output => {
                let shown = |value: &Value| brief(&value.to_string());
                let (input, output) = (shown(&operation.input), shown(output));
                let found = format!("txn with the argument {input} and the result {output}");
                let expected = "the argument again, with what its reads found";
                Err(ModelError::new(self.name(), operation, found, expected))
            }
        }
    }

    fn error(&self, operation: &Operation, found: &Value) -> ModelError {
        ModelError::new(
            self.name(),
            operation,
            format!("{} with {found}", operation.f),
            EXPECTED,
        )
    }
}

impl Model for MultiRegister {
    type State = Arc<Vec<(Value, Value)>>;
    type Op = Transaction;

    fn name(&self) -> &'static str {
        "multi-register"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<Transaction>, ModelError> {
        let (input, output) = (&operation.input, &operation.output);
        let mut steps = Vec::new();
        match (&*operation.f, input, output) {
            ("txn", Value::List(asked), _) => {
                for step in self.answered(operation, asked)? {
                    steps.extend(self.parse_step(operation, step)?);
                }
            }
            ("read", _, Value::Map(entries)) => {
                let found = entries.iter();
                steps.extend(found.filter_map(|(r, v)| self.read(operation, r, v)));
            }
            ("write", Value::Map(entries), _) => {
                took_effect(self.name(), operation)?;
                let written = entries.iter();
                steps.extend(written.map(|(r, v)| Step::Write(r.clone(), v.clone())));
            }
            ("read", _, Value::Nil) => {}
            ("read", _, found) | ("txn" | "write", found, _) => {
                return Err(self.error(operation, found));
            }
            _ => return Err(ModelError::unknown_f(self.name(), operation, EXPECTED)),
        }
        Ok((!steps.is_empty()).then_some(Transaction { steps }))
    }

    fn part(&self, operation: &Operation, op: &Transaction) -> Option<Value> {
        let first = op.steps.first().map(Step::register)?;
        Some(place(operation, first))
    }

    fn joins(&self, operation: &Operation, op: &Transaction) -> Vec<Value> {
        let first = op.steps.first().map(Step::register);
        let others = op.steps.iter().map(Step::register);
        others
            .filter(|&register| Some(register) != first)
            .map(|register| place(operation, register))
            .collect()
    }

    fn realm(&self, operation: &Operation, _op: &Transaction) -> Option<Value> {
        // Any registers may be joined, but for those under different keys.
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Self::State {
        Arc::new(self.initial.clone())
    }

    fn step(&self, state: &Self::State, op: &Transaction) -> Option<Self::State> {
        let mut state = Arc::clone(state);
        for step in &op.steps {
            match step {
                Step::Read(register, value) => {
                    let found = state.binary_search_by(|(r, _)| r.cmp(register));
                    let held = found.map_or(&Value::Nil, |at| &state[at].1);
                    if held != value {
                        return None;
                    }
                }
                Step::Write(register, value) => {
                    let found = state.binary_search_by(|(r, _)| r.cmp(register));
                    match found {
                        Ok(at) => Arc::make_mut(&mut state)[at].1 = value.clone(),
                        // A register not mentioned holds nil.
                        Err(at) => {
                            Arc::make_mut(&mut state).insert(at, (register.clone(), value.clone()))
                        }
                    }
                }
            }
        }
        Some(state)
    }

    fn is_observer(&self, op: &Transaction) -> bool {
        op.steps.iter().all(|step| matches!(step, Step::Read(..)))
    }

    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&Transaction],
        open: &[&Transaction],
    ) -> Vec<bool> {
        let mut leaving: FxHashMap<(&Value, &Value), Vec<usize>> = FxHashMap::default();
        for (place, op) in open.iter().enumerate() {
            for left in op.left() {
                leaving.entry(left).or_default().push(place);
            }
        }
        let mut dead = vec![true; open.len()];
        let mut seen: Vec<(&Value, &Value)> = completed.iter().flat_map(|op| op.found()).collect();
        while let Some(found) = seen.pop() {
            for place in leaving.remove(&found).unwrap_or_default() {
                if dead[place] {
                    dead[place] = false;
                    // A completed transaction that is given the freedom of an open one has reads.
                    seen.extend(open[place].found());
                }
            }
        }
        dead
    }

    /// In each register what the rest finds there, or something else.
    fn states_after(
        &self,
        updates: &[&Transaction],
        rest: &[&Transaction],
    ) -> Option<Vec<Self::State>> {
        if updates.is_empty() {
            return Some(Vec::new());
        }
        let mut found: BTreeMap<&Value, BTreeSet<&Value>> = BTreeMap::new();
        for (register, value) in rest.iter().flat_map(|op| op.found()) {
            found.entry(register).or_default().insert(value);
        }
        let mut other = "something else".to_owned();
        while found
            .values()
            .flatten()
            .any(|value| value.as_text() == Some(&other))
        {
            other.push('…');
        }
        let other = Value::from(other);
        let mut states: Vec<Vec<(Value, Value)>> = vec![Vec::new()];
        for (register, values) in found {
            if states.len() * (1 + values.len()) > STATES_MAX {
                return None;
            }
            let with = |state: &Vec<(Value, Value)>| {
                let values = values.iter().copied().chain([&other]);
                let state = state.clone();
                values.map(move |value| {
                    let mut state = state.clone();
                    state.push((register.clone(), value.clone()));
                    state
                })
            };
            states = states.iter().flat_map(with).collect();
        }
        Some(states.into_iter().map(Arc::new).collect())
    }

    /// Whoever reads or writes all registers there are knows them.
    fn leaves(&self, op: &Transaction, among: &[&Transaction]) -> Option<Self::State> {
        let mut left: BTreeMap<&Value, &Value> = BTreeMap::new();
        for step in &op.steps {
            let (Step::Read(register, value) | Step::Write(register, value)) = step;
            left.insert(register, value);
        }
        let all = among.iter().flat_map(|op| &op.steps);
        let is_told = |register: &Value| left.contains_key(register);
        if !all.map(Step::register).all(is_told) {
            return None;
        }
        let mut state = self.initial.clone();
        for (register, value) in left {
            match state.binary_search_by(|(r, _)| r.cmp(register)) {
                Ok(at) => state[at].1 = value.clone(),
                // Written, or never mentioned.
                Err(_) if value.is_nil() => return None,
                Err(at) => state.insert(at, (register.clone(), value.clone())),
            }
        }
        Some(Arc::new(state))
    }

    fn touches(&self, op: &Transaction) -> Option<Touches> {
        let mut left: BTreeMap<&Value, &Value> = BTreeMap::new();
        let mut finds = Vec::new();
        for step in &op.steps {
            match step {
                // What it wrote itself was not there before.
                Step::Read(register, _) if left.contains_key(register) => {}
                Step::Read(register, value) => finds.push((register.clone(), value.clone())),
                Step::Write(register, value) => _ = left.insert(register, value),
            }
        }
        let left = left.into_iter();
        Some(Touches {
            finds,
            leaves: left.map(|(r, value)| (r.clone(), value.clone())).collect(),
        })
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + state.len() * size_of::<(Value, Value)>()
    }

    fn describe(&self, op: &Transaction) -> String {
        let short = |value: &Value| brief(&value.to_string());
        let steps: Vec<String> = op
            .steps
            .iter()
            .map(|step| match step {
                Step::Read(register, value) => format!("read {register} = {}", short(value)),
                Step::Write(register, value) => format!("write {register} = {}", short(value)),
            })
            .collect();
        format!("transaction ({})", steps.join(", "))
    }

    fn describe_state(&self, state: &Self::State) -> String {
        let entries: Vec<String> = state.iter().map(|(r, v)| format!("{r} = {v}")).collect();
        format!("the registers are ({})", entries.join(", "))
    }
}

impl Transaction {
    /// The values it found, each with its register.
    fn found(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Read(register, value) => Some((register, value)),
            Step::Write(..) => None,
        })
    }

    /// The values it left, each with its register.
    fn left(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Read(..) => None,
            Step::Write(register, value) => Some((register, value)),
        })
    }
}

impl Step {
    fn register(&self) -> &Value {
        match self {
            Step::Read(register, _) | Step::Write(register, _) => register,
        }
    }
}

/// A register as a part of the system: each key names a set of registers of its own.
fn place(operation: &Operation, register: &Value) -> Value {
    match &operation.key {
        None => register.clone(),
        Some(key) => Value::List(vec![key.clone(), register.clone()]),
    }
}

/// In order of register; of several values for one register the first.
fn sorted(entries: &[(Value, Value)]) -> Vec<(Value, Value)> {
    let mut entries = entries.to_vec();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.dedup_by(|a, b| a.0 == b.0);
    entries
}
