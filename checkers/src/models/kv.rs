//! A key-value store of strings: get, put, append, compare-and-set, delete.

use std::sync::Arc;

use histories::{Operation, Value};
use rustc_hash::FxHashSet;

use crate::model::{asks_nothing, brief, cas_input, cas_swapped, is_known, took_effect};
use crate::models::InitialError;
use crate::oracle::Interval;
use crate::registers::{self, Step};
use crate::{Access, Model, ModelError, NilReads, RegisterView, Touches};

/// Above this many bytes to compare or to keep, unobserved operations and states that may have
/// been left are not looked for.
const COMPARED_BYTES_MAX: usize = 32 << 20;

/// The model `kv`: each key is missing or holds a string; `append` to a missing key makes it.
///
/// Numbers are taken as the text of their digits.
#[derive(Debug, Clone)]
pub struct Kv {
    initial: Held,
    nil_reads: NilReads,
}

/// What a key holds: nothing (it is missing) or a string.
type Held = Option<Arc<str>>;

/// What an operation did to one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KvOp {
    /// Found this.
    Get(Option<Arc<str>>),
    /// Left this string, whatever was there.
    Put(Arc<str>),
    /// Put this string behind what was there.
    Append(Arc<str>),
    /// Found the first and left the second.
    Cas(Option<Arc<str>>, Arc<str>),
    /// Found something else than this, and changed nothing.
    Mismatch(Option<Arc<str>>),
    /// Left the key missing, whatever was there.
    Delete,
    /// Found the key there and left it missing.
    DeleteFound,
    /// Found the key missing.
    DeleteMissing,
}

impl Kv {
    /// Keys start as `initial`: nothing or nil for missing, else a string or a number.
    pub fn new(initial: Option<&Value>, nil_reads: NilReads) -> Result<Self, InitialError> {
        let initial = match initial {
            None => None,
            Some(value) => held(value).ok_or_else(|| InitialError {
                model: "kv",
                initial: value.to_string(),
                expected: "nil, a string or a number",
            })?,
        };
        Ok(Kv { initial, nil_reads })
    }

    fn text(&self, operation: &Operation, value: &Value) -> Result<Arc<str>, ModelError> {
        match held(value) {
            Some(Some(text)) => Ok(text),
            _ => Err(ModelError::new(
                self.name(),
                operation,
                format!("{} with the value {value}", operation.f),
                "a string or a number",
            )),
        }
    }

    fn held(&self, operation: &Operation, value: &Value) -> Result<Held, ModelError> {
        held(value).ok_or_else(|| {
            ModelError::new(
                self.name(),
                operation,
                format!("{} with the value {value}", operation.f),
                "a string, a number, or nil for a missing key",
            )
        })
    }

    fn parse_delete(&self, operation: &Operation) -> Result<KvOp, ModelError> {
        match &operation.output {
            Value::Bool(true) => Ok(KvOp::DeleteFound),
            Value::Bool(false) => Ok(KvOp::DeleteMissing),
            Value::Nil => Ok(KvOp::Delete),
            output if *output == operation.input => Ok(KvOp::Delete),
            output => Err(ModelError::new(
                self.name(),
                operation,
                format!("a delete with the result {output}"),
                "true (it was there), false (it was missing) or nil",
            )),
        }
    }
}

impl Model for Kv {
    type State = Held;
    type Op = KvOp;

    fn name(&self) -> &'static str {
        "kv"
    }

    fn parse(&self, operation: &Operation) -> Result<Option<KvOp>, ModelError> {
        let known = is_known(operation);
        match &*operation.f {
            "get" | "read" => {
                asks_nothing(self.name(), operation)?;
                let output = &operation.output;
                if !known || (output.is_nil() && self.nil_reads == NilReads::Any) {
                    return Ok(None);
                }
                Ok(Some(KvOp::Get(self.held(operation, output)?)))
            }
            "put" | "write" => {
                took_effect(self.name(), operation)?;
                Ok(Some(KvOp::Put(self.text(operation, &operation.input)?)))
            }
            "append" => {
                took_effect(self.name(), operation)?;
                Ok(Some(KvOp::Append(self.text(operation, &operation.input)?)))
            }
            "cas" => {
                let (old, new) = cas_input(self.name(), operation)?;
                let old = self.held(operation, old)?;
                if known && !cas_swapped(self.name(), operation)? {
                    return Ok(Some(KvOp::Mismatch(old)));
                }
                Ok(Some(KvOp::Cas(old, self.text(operation, new)?)))
            }
            "delete" if known => Ok(Some(self.parse_delete(operation)?)),
            "delete" => Ok(Some(KvOp::Delete)),
            _ => Err(ModelError::unknown_f(
                self.name(),
                operation,
                "get (read), put (write), append, cas or delete",
            )),
        }
    }

    fn part(&self, operation: &Operation, _op: &KvOp) -> Option<Value> {
        Some(operation.key.clone().unwrap_or_default())
    }

    fn initial(&self, _part: Option<&Value>) -> Held {
        self.initial.clone()
    }

    fn step(&self, state: &Held, op: &KvOp) -> Option<Held> {
        match op {
            KvOp::Get(held) => (state == held).then(|| state.clone()),
            KvOp::Put(text) => Some(Some(Arc::clone(text))),
            KvOp::Append(text) => Some(Some(match state {
                None => Arc::clone(text),
                Some(before) => [&**before, text].concat().into(),
            })),
            KvOp::Cas(old, new) => (state == old).then(|| Some(Arc::clone(new))),
            KvOp::Mismatch(old) => (state != old).then(|| state.clone()),
            KvOp::Delete => Some(None),
            KvOp::DeleteFound => state.is_some().then_some(None),
            KvOp::DeleteMissing => state.is_none().then_some(None),
        }
    }

    fn is_observer(&self, op: &KvOp) -> bool {
        match op {
            KvOp::Get(_) | KvOp::Mismatch(_) | KvOp::DeleteMissing => true,
            KvOp::Cas(old, new) => old.as_ref() == Some(new),
            KvOp::Put(_) | KvOp::Append(_) | KvOp::Delete | KvOp::DeleteFound => false,
        }
    }

    fn unobserved(
        &self,
        _starts: &[Self::State],
        completed: &[&KvOp],
        open: &[&KvOp],
    ) -> Vec<bool> {
        // An observation of "not this" or "something" could be of almost anything.
        let vague = |op: &&KvOp| matches!(op, KvOp::Mismatch(_) | KvOp::DeleteFound);
        let bytes: usize = completed.iter().chain(open).map(|op| needs_bytes(op)).sum();
        let too_much = bytes.saturating_mul(open.len()) > COMPARED_BYTES_MAX;
        if completed.iter().any(vague) || too_much {
            return vec![false; open.len()];
        }
        let appends = completed
            .iter()
            .chain(open)
            .any(|op| matches!(op, KvOp::Append(_)));
        let mut seen: Vec<&Held> = completed.iter().filter_map(|op| needs(op)).collect();
        let mut dead = vec![true; open.len()];
        loop {
            let mut changed = false;
            for (op, dead) in open.iter().zip(&mut dead) {
                if *dead && seen.iter().any(|held| could_tell(held, op, appends)) {
                    *dead = false;
                    changed = true;
                    seen.extend(needs(op));
                }
            }
            if !changed {
                return dead;
            }
        }
    }

    /// Without appends, what was put. Behind what an append left there may be anything, so with one
    /// all strings are named that appends of the rest can make one of that somebody names later,
    /// and one other: what begins nothing that is named is overwritten before anybody finds it.
    fn states_after(&self, updates: &[&KvOp], rest: &[&KvOp]) -> Option<Vec<Held>> {
        let leaves = |op: &&KvOp| match op {
            KvOp::Put(text) | KvOp::Cas(_, text) => Some(Some(Arc::clone(text))),
            KvOp::Delete | KvOp::DeleteFound => Some(None),
            _ => None,
        };
        if !updates.iter().any(|op| matches!(op, KvOp::Append(_))) {
            return Some(updates.iter().filter_map(leaves).collect());
        }
        let mut states: FxHashSet<Held> = updates
            .iter()
            .filter_map(leaves)
            .filter(Option::is_none)
            .collect();
        let appended: FxHashSet<&str> = rest.iter().filter_map(|op| appends(op)).collect();
        let named: FxHashSet<&str> = rest.iter().filter_map(|op| names(op)).collect();
        let bytes: usize = named.iter().map(|text| 1 + text.len()).sum();
        if bytes.saturating_mul(1 + appended.len()) > COMPARED_BYTES_MAX {
            return None;
        }
        let mut bytes = 0;
        for text in &named {
            let beginnings = beginnings(text, &appended);
            bytes += beginnings.iter().sum::<usize>();
            if bytes > COMPARED_BYTES_MAX {
                return None;
            }
            let beginnings = beginnings.into_iter();
            states.extend(beginnings.map(|length| Some(text[..length].into())));
        }
        let mut other = "(something else)".to_owned();
        while named.iter().any(|text| text.starts_with(&other)) {
            other.push('…');
        }
        states.insert(Some(other.into()));
        let mut states: Vec<Held> = states.into_iter().collect();
        states.sort_unstable();
        Some(states)
    }

    fn leaves(&self, op: &KvOp, _among: &[&KvOp]) -> Option<Held> {
        match op {
            KvOp::Get(held) => Some(held.clone()),
            KvOp::Put(text) | KvOp::Cas(_, text) => Some(Some(Arc::clone(text))),
            KvOp::Delete | KvOp::DeleteFound | KvOp::DeleteMissing => Some(None),
            KvOp::Append(_) | KvOp::Mismatch(_) => None,
        }
    }

    fn state_bytes(&self, state: &Held) -> usize {
        size_of::<Held>() + state.as_ref().map_or(0, |text| text.len())
    }

    fn register_view(&self, initial: &Held, history: &[Interval<KvOp>]) -> Option<RegisterView> {
        let is_delete = |op: &KvOp| matches!(op, KvOp::Delete | KvOp::DeleteFound);
        let deletes = history.iter().filter(|interval| is_delete(&interval.op));
        // The only delete of a key that was there at the start finds it there.
        let finds = initial.is_some() && deletes.take(2).count() == 1;
        // One of unknown outcome does nothing where nothing is.
        let vague = |interval: &Interval<KvOp>| {
            interval.op == KvOp::DeleteFound && interval.ends.is_some() && !finds
        };
        let allows_more = history.iter().any(vague);
        let appends = |op: &KvOp| matches!(op, KvOp::Append(_));
        if history.iter().any(|interval| appends(&interval.op)) {
            let steps = history
                .iter()
                .map(|interval| (step_of(&interval.op), interval.ends.is_none()));
            let view = registers::revealed(bytes(initial), steps)?;
            return Some(RegisterView {
                allows_more: view.allows_more || allows_more,
                ..view
            });
        }
        let view = RegisterView::of(initial.as_deref(), history, |interval| {
            Some(match &interval.op {
                KvOp::Get(held) => Access::Read(held.as_deref()),
                KvOp::Put(text) => Access::Write(Some(text)),
                KvOp::Cas(old, new) => Access::Cas(old.as_deref(), Some(new)),
                KvOp::Mismatch(old) => Access::Not(old.as_deref()),
                KvOp::Delete | KvOp::DeleteFound => Access::Write(None),
                KvOp::DeleteMissing => Access::Read(None),
                KvOp::Append(_) => return None,
            })
        })?;
        Some(RegisterView {
            allows_more,
            ..view
        })
    }

    /// Of a key to which nobody appends.
    fn touches(&self, op: &KvOp) -> Option<Touches> {
        let there = |held: Option<&Held>| {
            let held = held.map(value);
            held.map(|value| (Value::Nil, value)).into_iter().collect()
        };
        let leaves = match op {
            KvOp::Append(_) => return None,
            KvOp::Put(text) | KvOp::Cas(_, text) => Some(&Some(Arc::clone(text))),
            KvOp::Delete | KvOp::DeleteFound => Some(&None),
            KvOp::Get(_) | KvOp::Mismatch(_) | KvOp::DeleteMissing => None,
        };
        Some(Touches {
            finds: there(needs(op)),
            leaves: there(leaves),
        })
    }

    fn describe(&self, op: &KvOp) -> String {
        match op {
            KvOp::Get(held) => format!("get of {}", show(held)),
            KvOp::Put(text) => format!("put of {}", quote(text)),
            KvOp::Append(text) => format!("append of {}", quote(text)),
            KvOp::Cas(old, new) => format!("cas from {} to {}", show(old), quote(new)),
            KvOp::Mismatch(old) => format!("cas that found something else than {}", show(old)),
            KvOp::Delete => "delete".to_owned(),
            KvOp::DeleteFound => "delete that found the key".to_owned(),
            KvOp::DeleteMissing => "delete that found the key missing".to_owned(),
        }
    }

    fn describe_state(&self, state: &Held) -> String {
        match state {
            None => "the key is missing".to_owned(),
            Some(text) => format!("the value is {}", quote(text)),
        }
    }

    fn observed(&self, op: &KvOp) -> Option<Value> {
        needs(op).map(value)
    }

    fn written(&self, op: &KvOp) -> Option<Value> {
        match op {
            KvOp::Put(text) | KvOp::Cas(_, text) => Some(Value::Text(Arc::clone(text))),
            KvOp::Delete | KvOp::DeleteFound => Some(Value::Nil),
            KvOp::Append(_) | KvOp::Get(_) | KvOp::Mismatch(_) | KvOp::DeleteMissing => None,
        }
    }

    fn lacks(&self, observation: &KvOp, update: &KvOp) -> bool {
        match (observation, update) {
            (KvOp::Get(Some(found)), KvOp::Append(text)) => !found.contains(&**text),
            (KvOp::Get(None), KvOp::Append(_)) => true,
            _ => false,
        }
    }
}

/// Whether someone who found `held` may have done so because the open operation `op` happened.
///
/// What `op` leaves stays at the front (for an append: somewhere inside) of every string until
/// the next put, cas or delete, and exactly itself where nothing appends.
fn could_tell(held: &Held, op: &KvOp, appends: bool) -> bool {
    match (op, held) {
        (KvOp::Put(text) | KvOp::Cas(_, text), Some(found)) if appends => {
            found.starts_with(&**text)
        }
        (KvOp::Put(text) | KvOp::Cas(_, text), Some(found)) => found == text,
        (KvOp::Append(text), Some(found)) => found.contains(&**text),
        (KvOp::Put(_) | KvOp::Cas(..) | KvOp::Append(_), None) => false,
        (_, None) => true,
        (_, Some(_)) => appends,
    }
}

/// The text that the operation puts behind what is there.
fn appends(op: &KvOp) -> Option<&str> {
    match op {
        KvOp::Append(text) => Some(text),
        _ => None,
    }
}

/// The string that the operation found, or says it did not find.
fn names(op: &KvOp) -> Option<&str> {
    match op {
        KvOp::Get(held) | KvOp::Cas(held, _) | KvOp::Mismatch(held) => held.as_deref(),
        _ => None,
    }
}

/// How long the beginnings of a text are that these appends can make the whole text, it included.
fn beginnings(text: &str, appended: &FxHashSet<&str>) -> Vec<usize> {
    let mut lengths = vec![text.len()];
    let mut known = vec![false; text.len() + 1];
    known[text.len()] = true;
    let mut next = 0;
    while let Some(&length) = lengths.get(next) {
        for last in appended {
            let rest = length.saturating_sub(last.len());
            if text[..length].ends_with(last) && !std::mem::replace(&mut known[rest], true) {
                lengths.push(rest);
            }
        }
        next += 1;
    }
    lengths
}

/// The operation as the view of sequences sees it; one that deletes is taken to find something.
pub(crate) fn step_of(op: &KvOp) -> Step<'_, u8> {
    match op {
        KvOp::Get(held) => Step::Find(bytes(held)),
        KvOp::Put(text) => Step::Leave(Some(text.as_bytes())),
        KvOp::Append(text) => Step::Append(text.as_bytes()),
        KvOp::Cas(old, new) => Step::Swap(bytes(old), Some(new.as_bytes())),
        KvOp::Mismatch(old) => Step::Miss(bytes(old)),
        KvOp::Delete | KvOp::DeleteFound => Step::Leave(None),
        KvOp::DeleteMissing => Step::Find(None),
    }
}

fn bytes(held: &Held) -> Option<&[u8]> {
    held.as_deref().map(str::as_bytes)
}

/// What must be there for the operation to happen.
fn needs(op: &KvOp) -> Option<&Held> {
    match op {
        KvOp::Get(held) | KvOp::Cas(held, _) => Some(held),
        KvOp::DeleteMissing => Some(&None),
        _ => None,
    }
}

fn needs_bytes(op: &KvOp) -> usize {
    needs(op).map_or(0, |held| 1 + held.as_ref().map_or(0, |text| text.len()))
}

/// The content of a key that a value stands for; `None` when it cannot stand for one.
fn held(value: &Value) -> Option<Held> {
    match value {
        Value::Nil => Some(None),
        Value::Text(text) => Some(Some(Arc::clone(text))),
        Value::Int(number) => Some(Some(number.to_string().into())),
        Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn value(held: &Held) -> Value {
    held.as_ref()
        .map_or(Value::Nil, |text| Value::Text(Arc::clone(text)))
}

fn show(held: &Held) -> String {
    held.as_ref()
        .map_or_else(|| "nothing".to_owned(), |text| quote(text))
}

fn quote(text: &str) -> String {
    brief(&format!("{text:?}"))
}
