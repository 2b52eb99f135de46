//! A set: elements are added, removed and looked for, one by one or all at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::{brief, is_known};
use crate::models::InitialError;
use crate::monitors::set::{self, Conditions};
use crate::oracle::Interval;
use crate::{Access, Marks, Model, ModelError, Monitored, NilReads, RegisterView};

/// How many elements that only one of two reads shows are looked at.
const MISSED_MAX: usize = 4;
/// How many elements a sentence names.
const SHOWN_MAX: usize = 5;
/// States that may have been left are not named if they have more elements together.
const NAMED_MAX: usize = 1 << 16;

/// The model `set`: each key is a set.
///
/// While nobody reads a whole set, every element is a part of its own: in or out.
#[derive(Debug, Clone)]
pub struct Set {
    /// Sorted.
    initial: Vec<Value>,
    nil_reads: NilReads,
}

/// An element of one of the sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// Which set: its key, nil where there are no keys.
    pub set: Value,
    /// The element.
    pub value: Value,
}

/// What an operation did to a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// Put the element in, whether it was there or not.
    Add(Element),
    /// Put the element in, which was not there.
    AddNew(Element),
    /// Took the element out, whether it was there or not.
    Remove(Element),
    /// Took the element out, which was there.
    RemoveFound(Element),
    /// Found the element in (`true`) or not.
    Contains(Element, bool),
    /// Found that these, sorted, are the elements of the set with this key.
    ReadAll(Value, Arc<[Value]>),
}

impl SetOp {
    /// The one element it is about.
    pub(crate) fn element(&self) -> Option<&Element> {
        match self {
            SetOp::Add(element)
            | SetOp::AddNew(element)
            | SetOp::Remove(element)
            | SetOp::RemoveFound(element)
            | SetOp::Contains(element, _) => Some(element),
            SetOp::ReadAll(..) => None,
        }
    }
}

impl Set {
    /// Sets start with the elements of the list `initial`; empty without it.
    ///
    /// # Errors
    ///
    /// When `initial` is no list.
    pub fn new(initial: Option<&Value>, nil_reads: NilReads) -> Result<Self, InitialError> {
        let mut initial = match initial {
            None | Some(Value::Nil) => Vec::new(),
            Some(Value::List(elements)) => elements.clone(),
            Some(other) => {
                return Err(InitialError {
                    model: "set",
                    initial: other.to_string(),
                    expected: "a list of elements, as [1 2] or #{1 2}",
                });
            }
        };
        initial.sort_unstable();
        initial.dedup();
        Ok(Set { initial, nil_reads })
    }

    fn error(&self, operation: &Operation, expected: &str) -> ModelError {
        let (f, input, output) = (&operation.f, &operation.input, &operation.output);
        let found = match is_known(operation) {
            true => format!("{f} with the argument {input} and the result {output}"),
            false => format!("{f} with the argument {input}"),
        };
        ModelError::new(self.name(), operation, found, expected)
    }

    fn element(&self, operation: &Operation) -> Result<Element, ModelError> {
        let value = operation.input.clone();
        if value.is_nil() {
            return Err(self.error(operation, "an element as argument"));
        }
        let set = set_of(operation);
        Ok(Element { set, value })
    }

    /// What a change says of the element before: `true` when it changed something.
    fn changed(&self, operation: &Operation) -> Result<Option<bool>, ModelError> {
        match &operation.output {
            Value::Nil => Ok(None),
            output if *output == operation.input => Ok(None),
            Value::Bool(changed) => Ok(Some(*changed)),
            _ => Err(self.error(
                operation,
                "nil, the element, or whether the set changed (true or false)",
            )),
        }
    }

    fn look(&self, operation: &Operation) -> Result<Option<SetOp>, ModelError> {
        let element = self.element(operation)?;
        match &operation.output {
            _ if !is_known(operation) => Ok(None),
            Value::Bool(found) => Ok(Some(SetOp::Contains(element, *found))),
            _ => Err(self.error(operation, "true or false: whether the element was there")),
        }
    }

    fn read_all(&self, operation: &Operation) -> Result<Option<SetOp>, ModelError> {
        match &operation.output {
            _ if !is_known(operation) => Ok(None),
            Value::Nil if self.nil_reads == NilReads::Any => Ok(None),
            Value::List(elements) => {
                let mut elements = elements.clone();
                elements.sort_unstable();
                let set = set_of(operation);
                Ok(Some(SetOp::ReadAll(set, elements.into())))
            }
            _ => Err(self.error(operation, "the list of all elements")),
        }
    }

    fn starts_in(&self, element: &Element) -> bool {
        self.initial.binary_search(&element.value).is_ok()
    }

    fn is_in(&self, state: &[Element], element: &Element) -> bool {
        self.starts_in(element) != state.binary_search(element).is_ok()
    }

    /// The state in which the element is in or not.
    fn with(&self, state: &Arc<Vec<Element>>, element: &Element, is_in: bool) -> Arc<Vec<Element>> {
        let mut next = Arc::clone(state);
        match state.binary_search(element) {
            Ok(place) if self.starts_in(element) == is_in => {
                Arc::make_mut(&mut next).remove(place);
            }
            Err(place) if self.starts_in(element) != is_in => {
                Arc::make_mut(&mut next).insert(place, element.clone());
            }
            Ok(_) | Err(_) => {}
        }
        next
    }

    /// Whether these are the elements of the set.
    fn holds(&self, state: &[Element], set: &Value, elements: &[Value]) -> bool {
        let differ = state.iter().filter(|element| element.set == *set);
        let (gone, come): (Vec<_>, Vec<_>) = differ.partition(|element| self.starts_in(element));
        let is_in = |value: &Value| {
            let (set, value) = (set.clone(), value.clone());
            self.is_in(state, &Element { set, value })
        };
        elements.len() + gone.len() == self.initial.len() + come.len()
            && elements.windows(2).all(|pair| pair[0] != pair[1])
            && elements.iter().all(is_in)
    }
}

fn set_of(operation: &Operation) -> Value {
    operation.key.clone().unwrap_or_default()
}

impl Model for Set {
    /// The elements that are in although they were not at the start, or the other way round,
    /// sorted.
    type State = Arc<Vec<Element>>;
    type Op = SetOp;

    fn name(&self) -> &'static str {
        "set"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<SetOp>, ModelError> {
        match &*operation.f {
            "add" => {
                let element = self.element(operation)?;
                Ok(Some(match self.changed(operation)? {
                    None => SetOp::Add(element),
                    Some(true) => SetOp::AddNew(element),
                    Some(false) => SetOp::Contains(element, true),
                }))
            }
            "remove" => {
                let element = self.element(operation)?;
                Ok(Some(match self.changed(operation)? {
                    None => SetOp::Remove(element),
                    Some(true) => SetOp::RemoveFound(element),
                    Some(false) => SetOp::Contains(element, false),
                }))
            }
            "contains" => self.look(operation),
            "read" if operation.input.is_nil() => self.read_all(operation),
            "read" => self.look(operation),
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "add, remove, contains, or read",
            )),
        }
    }

    /// Elements do not influence each other, but whoever reads all of them sees them together.
    fn part(&self, operation: &Operation, op: &SetOp) -> Option<Value> {
        let element = op.element()?;
        Some(match &operation.key {
            None => element.value.clone(),
            Some(key) => Value::List(vec![key.clone(), element.value.clone()]),
        })
    }

    fn realm(&self, operation: &Operation, _op: &SetOp) -> Option<Value> {
        Some(set_of(operation))
    }

    fn initial(&self, _part: Option<&Value>) -> Self::State {
        Arc::default()
    }

    fn step(&self, state: &Self::State, op: &SetOp) -> Option<Self::State> {
        match op {
            SetOp::Add(element) => Some(self.with(state, element, true)),
            SetOp::Remove(element) => Some(self.with(state, element, false)),
            SetOp::AddNew(element) => {
                (!self.is_in(state, element)).then(|| self.with(state, element, true))
            }
            SetOp::RemoveFound(element) => self
                .is_in(state, element)
                .then(|| self.with(state, element, false)),
            SetOp::Contains(element, found) => {
                (self.is_in(state, element) == *found).then(|| Arc::clone(state))
            }
            SetOp::ReadAll(set, elements) => {
                self.holds(state, set, elements).then(|| Arc::clone(state))
            }
        }
    }

    fn is_observer(&self, op: &SetOp) -> bool {
        matches!(op, SetOp::Contains(..) | SetOp::ReadAll(..))
    }

    /// Elements that operations are about, and those that one read shows and the next does not.
    fn things(&self, ops: &[&SetOp], _among: &[&SetOp]) -> Vec<Value> {
        let name = |set: &Value, value: &Value| Value::List(vec![set.clone(), value.clone()]);
        let named = ops.iter().filter_map(|op| op.element());
        let mut things: Vec<Value> = named.map(|of| name(&of.set, &of.value)).collect();
        let reads: Vec<(&Value, &[Value])> = ops
            .iter()
            .filter_map(|op| match op {
                SetOp::ReadAll(set, shown) => Some((set, &**shown)),
                _ => None,
            })
            .collect();
        for pair in reads.windows(2) {
            for (one, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                let lacks = |value: &&Value| other.1.binary_search(value).is_err();
                let missed = one.1.iter().filter(lacks).take(MISSED_MAX);
                things.extend(missed.map(|value| name(one.0, value)));
            }
        }
        things
    }

    /// A read of all elements is a look at each.
    fn aspect(&self, op: &SetOp, thing: &Value) -> Option<SetOp> {
        let [of, value] = thing.as_list()? else {
            return None;
        };
        match op {
            SetOp::ReadAll(set, shown) => (set == of).then(|| {
                let (set, value) = (set.clone(), value.clone());
                let found = shown.binary_search(&value).is_ok();
                SetOp::Contains(Element { set, value }, found)
            }),
            op => {
                let element = op.element()?;
                (element.set == *of && element.value == *value).then(|| op.clone())
            }
        }
    }

    /// A look at one element is none of all of them.
    fn marks(&self, op: &SetOp) -> Option<(Value, Marks)> {
        Some(match op {
            SetOp::Add(element) | SetOp::AddNew(element) => {
                (element.set.clone(), Marks::Adds(element.value.clone()))
            }
            SetOp::Remove(element) | SetOp::RemoveFound(element) => {
                (element.set.clone(), Marks::Removes(element.value.clone()))
            }
            SetOp::ReadAll(set, found) => (
                set.clone(),
                Marks::Finds {
                    elements: found.to_vec(),
                    in_order: false,
                },
            ),
            SetOp::Contains(..) => return None,
        })
    }

    /// An open addition can be left out when nobody needs the element to be in, and an open
    /// removal when nobody needs it to be out: until the next change it is then the other way.
    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&SetOp],
        open: &[&SetOp],
    ) -> Vec<bool> {
        let (mut needed_in, mut needed_out) = (FxHashSet::default(), FxHashSet::default());
        let mut reads: FxHashMap<&Value, usize> = FxHashMap::default();
        let mut shown: FxHashMap<(&Value, &Value), usize> = FxHashMap::default();
        for op in completed {
            match op {
                SetOp::Add(_) | SetOp::Remove(_) => {}
                SetOp::AddNew(element) | SetOp::Contains(element, false) => {
                    needed_out.insert(element);
                }
                SetOp::RemoveFound(element) | SetOp::Contains(element, true) => {
                    needed_in.insert(element);
                }
                SetOp::ReadAll(set, elements) => {
                    *reads.entry(set).or_default() += 1;
                    for value in elements.iter() {
                        *shown.entry((set, value)).or_default() += 1;
                    }
                }
            }
        }
        let shown_in = |element: &Element| {
            let of = (&element.set, &element.value);
            shown.get(&of).copied().unwrap_or(0)
        };
        let read = |element: &Element| reads.get(&element.set).copied().unwrap_or(0);
        open.iter()
            .map(|op| match op {
                SetOp::Add(element) | SetOp::AddNew(element) => {
                    !needed_in.contains(element) && shown_in(element) == 0
                }
                SetOp::Remove(element) | SetOp::RemoveFound(element) => {
                    !needed_out.contains(element) && shown_in(element) >= read(element)
                }
                SetOp::Contains(..) | SetOp::ReadAll(..) => true,
            })
            .collect()
    }

    /// Whoever reads all of the only set knows it.
    fn leaves(&self, op: &SetOp, among: &[&SetOp]) -> Option<Self::State> {
        let SetOp::ReadAll(set, elements) = op else {
            return None;
        };
        let is_of_it = |op: &&SetOp| match op {
            SetOp::ReadAll(other, _) => other == set,
            op => op.element().is_some_and(|element| element.set == *set),
        };
        if elements.windows(2).any(|pair| pair[0] == pair[1]) || !among.iter().all(is_of_it) {
            return None;
        }
        let gone = self.initial.iter();
        let gone = gone.filter(|value| elements.binary_search(value).is_err());
        let come = elements.iter();
        let come = come.filter(|value| self.initial.binary_search(value).is_err());
        let mut differ: Vec<Element> = gone
            .chain(come)
            .map(|value| Element {
                set: set.clone(),
                value: value.clone(),
            })
            .collect();
        differ.sort_unstable();
        Some(Arc::new(differ))
    }

    /// What was read as a whole, with any of the elements that the rest is about in or out; and the
    /// same for something that nobody reads. `None` of several sets at once.
    fn states_after(&self, updates: &[&SetOp], rest: &[&SetOp]) -> Option<Vec<Self::State>> {
        let set_of = |op: &SetOp| match op {
            SetOp::ReadAll(set, _) => set.clone(),
            op => op
                .element()
                .map_or(Value::Nil, |element| element.set.clone()),
        };
        let Some(set) = updates.first().map(|op| set_of(op)) else {
            return Some(Vec::new());
        };
        if rest.iter().chain(updates).any(|op| set_of(op) != set) {
            return None;
        }
        let elements = rest.iter().filter_map(|op| op.element());
        let elements: BTreeSet<&Value> = elements.map(|element| &element.value).collect();
        let mut read: FxHashSet<&[Value]> = FxHashSet::default();
        for op in rest {
            if let SetOp::ReadAll(_, elements) = op {
                read.insert(elements);
            }
        }
        let choices = 1_usize.checked_shl(elements.len() as u32)?;
        let named: usize = read.iter().map(|elements| 1 + elements.len()).sum();
        let named = named.saturating_add(self.initial.len() + elements.len() + 1);
        if choices.saturating_mul(named) > NAMED_MAX {
            return None;
        }
        let mut other = "something else".to_owned();
        while read
            .iter()
            .any(|read| read.contains(&Value::from(other.clone())))
        {
            other.push('…');
        }
        let other = [Value::from(other)];
        read.insert(&other);
        let mut states: Vec<Self::State> = Vec::new();
        for read in &read {
            let mut untouched: BTreeSet<&Value> = read.iter().collect();
            untouched.retain(|value| !elements.contains(value));
            for choice in 0..choices {
                let chosen = elements.iter().enumerate();
                let chosen = chosen.filter(|(place, _)| choice >> place & 1 == 1);
                let mut held = untouched.clone();
                held.extend(chosen.map(|(_, value)| *value));
                let initial: BTreeSet<&Value> = self.initial.iter().collect();
                let differ = held.symmetric_difference(&initial);
                let element = |value: &&Value| Element {
                    set: set.clone(),
                    value: (*value).clone(),
                };
                states.push(Arc::new(differ.map(element).collect()));
            }
        }
        states.sort_unstable();
        states.dedup();
        Some(states)
    }

    /// One element is a register that holds whether it is in.
    fn register_view(
        &self,
        initial: &Self::State,
        history: &[Interval<SetOp>],
    ) -> Option<RegisterView> {
        let first = history.first()?.op.element()?;
        RegisterView::of(self.is_in(initial, first), history, |interval| {
            if interval.op.element() != Some(first) {
                return None;
            }
            Some(match &interval.op {
                SetOp::Add(_) => Access::Write(true),
                SetOp::AddNew(_) => Access::Cas(false, true),
                SetOp::Remove(_) => Access::Write(false),
                SetOp::RemoveFound(_) => Access::Cas(true, false),
                SetOp::Contains(_, found) => Access::Read(*found),
                SetOp::ReadAll(..) => return None,
            })
        })
    }

    fn monitor(&self, initial: &Self::State, history: &[Interval<SetOp>]) -> Option<Monitored> {
        let starts_in = |element: &Element| self.is_in(initial, element);
        // Only from the start it is known what is in a set that nobody mentions.
        initial
            .is_empty()
            .then(|| set::decide(&self.initial, starts_in, history, Conditions::ALL))?
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + size_of::<Vec<Element>>() + state.len() * size_of::<Element>()
    }

    fn describe(&self, op: &SetOp) -> String {
        let show = |element: &Element| brief(&element.value.to_string());
        match op {
            SetOp::Add(element) => format!("addition of {}", show(element)),
            SetOp::AddNew(element) => format!("addition of {}, which was not in,", show(element)),
            SetOp::Remove(element) => format!("removal of {}", show(element)),
            SetOp::RemoveFound(element) => format!("removal of {}, which was in,", show(element)),
            SetOp::Contains(element, true) => format!("read of {} as present", show(element)),
            SetOp::Contains(element, false) => format!("read of {} as missing", show(element)),
            SetOp::ReadAll(_, elements) => {
                let elements: Vec<String> = elements.iter().map(Value::to_string).collect();
                format!("read of {{{}}}", brief(&elements.join(" ")))
            }
        }
    }

    fn describe_state(&self, state: &Self::State) -> String {
        let named: Vec<String> = state
            .iter()
            .take(SHOWN_MAX)
            .map(|element| {
                let is_in = if self.starts_in(element) {
                    "not in"
                } else {
                    "in"
                };
                format!("{} is {is_in}", brief(&element.value.to_string()))
            })
            .collect();
        let start = match self.initial.is_empty() {
            true => "nothing is in",
            false => "all is as at the start",
        };
        match state.len() {
            0 => start.to_owned(),
            1..=SHOWN_MAX => named.join(", "),
            more => format!(
                "{}, and {} more changed",
                named.join(", "),
                more - SHOWN_MAX
            ),
        }
    }
}

#[cfg(test)]
mod tests;
