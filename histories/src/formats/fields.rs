//! The fields of one event, whichever format they were written in, and the events put together.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::{ReadError, ReadErrorKind};
use super::jsonl::plain::{self, Known};
use crate::{Event, EventType, Events, History, Inconsistency, Process, Value, validate};

/// How many names of fields that are passed over are kept.
const PASSED_OVER_MAX: usize = 20;

/// How a format writes the names of fields, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `"type"`.
    Json,
    /// `:type`.
    Edn,
}

/// What is known of one event, as it was written.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// The line it stands on.
    pub line: u32,
    /// The column it begins at, where the format has more than one event a line.
    pub column: Option<u32>,
    pub index: Option<Value>,
    pub time: Option<Value>,
    pub process: Option<Value>,
    pub kind: Option<Value>,
    pub f: Option<Value>,
    pub key: Option<Value>,
    pub value: Option<Value>,
    pub node: Option<Value>,
    pub error: Option<Value>,
    pub path: Option<Value>,
    /// Whether the value was written as a keyword, such as `:timed-out`.
    pub value_is_keyword: bool,
    /// Fields of other names.
    pub passed_over: Vec<String>,
}

impl Fields {
    /// Takes one field; of those of other names the name only.
    ///
    /// # Errors
    ///
    /// When it was there already.
    pub fn set(&mut self, style: Style, name: &str, value: Value) -> Result<(), String> {
        let field = match name {
            "index" => &mut self.index,
            "time" => &mut self.time,
            "process" => &mut self.process,
            "type" => &mut self.kind,
            "f" => &mut self.f,
            "key" => &mut self.key,
            "value" => &mut self.value,
            "node" => &mut self.node,
            "error" => &mut self.error,
            "path" => &mut self.path,
            _ => {
                self.passed_over.push(name.to_owned());
                return Ok(());
            }
        };
        match field.replace(value) {
            None => Ok(()),
            Some(_) => Err(format!(
                "expected {} once, found it twice",
                style.quote(name)
            )),
        }
    }

    /// The error of these fields.
    pub fn malformed(&self, what: String) -> ReadError {
        let kind = ReadErrorKind::Malformed(what);
        ReadError {
            column: self.column,
            ..kind.at_line(self.line as usize)
        }
    }
}

impl Style {
    fn quote(self, name: &str) -> String {
        match self {
            Style::Json => format!("{name:?}"),
            Style::Edn => format!(":{name}"),
        }
    }
}

/// Puts a history together, event by event.
pub(crate) struct Assembly {
    style: Style,
    events: Events,
    known: Box<Known>,
    /// Whether the events have an index and a time of their own: all or none do.
    indexed: Option<bool>,
    timed: Option<bool>,
    /// Whether the operations name no process, as in some examples of Elle: then one process called
    /// them all, one after the other.
    anonymous: Option<bool>,
    passed_over: BTreeSet<String>,
}

impl Assembly {
    pub fn new(style: Style) -> Self {
        Assembly {
            style,
            events: Events::new(),
            known: Box::default(),
            indexed: None,
            timed: None,
            anonymous: None,
            passed_over: BTreeSet::new(),
        }
    }

    /// Names the process of operations that name none.
    ///
    /// # Errors
    ///
    /// When some do.
    pub fn name_process(&mut self, fields: &mut Fields) -> Result<(), ReadError> {
        if *self.anonymous.get_or_insert(fields.process.is_none()) {
            if fields.process.is_some() {
                return Err(fields.malformed(format!(
                    "expected no {}, as in the operations before, found one (hint: give all operations \
                     one, or none where one process called them all)",
                    self.style.quote("process")
                )));
            }
            fields.process = Some(Value::Int(0));
        }
        Ok(())
    }

    /// Adds the event with these fields.
    ///
    /// # Errors
    ///
    /// When one is missing or of the wrong kind.
    pub fn push(&mut self, mut fields: Fields) -> Result<Event, ReadError> {
        if self.passed_over.len() < PASSED_OVER_MAX {
            self.passed_over
                .append(&mut fields.passed_over.drain(..).collect());
        }
        match self.event(&mut fields) {
            Ok(event) => {
                self.events.push_with_line(&event, fields.line);
                Ok(event)
            }
            Err(what) => Err(fields.malformed(what)),
        }
    }

    /// Adds the event of the JSON line at the beginning of `text`, if it is a plain one that goes
    /// with those before; how long it is with its end.
    #[inline]
    pub fn push_plain(&mut self, text: &[u8], line: u32) -> Option<usize> {
        let path_start = self.events.path_nodes.len();
        let (event, length) = plain::read(text, &mut self.events, &mut self.known)?;
        let (indexed, timed) = (event.index.is_some(), event.time_ns.is_some());
        let goes_with = |before: Option<bool>, now: bool| before.is_none_or(|before| before == now);
        if !goes_with(self.indexed, indexed) || !goes_with(self.timed, timed) {
            self.events.path_nodes.truncate(path_start);
            return None;
        }
        (self.indexed, self.timed) = (Some(indexed), Some(timed));
        let events = &mut self.events;
        let position = events.next_position();
        let index = event.index.unwrap_or(u64::from(position));
        let slot = events.processes.client_slot(event.process);
        events.push_row(slot, event.kind, event.f, event.key, event.value);
        events.stamp(index, event.time_ns.unwrap_or(index), line);
        if let Some(node) = event.node {
            events.set_node(position, node);
        }
        if let Some(error) = event.error {
            events.errors.push((position, error));
        }
        if event.has_path {
            events.end_path(position);
        }
        Some(length)
    }

    /// Adds the events of another assembly, whose lines begin so many lines later here. Whether
    /// they go with those before: all or none have an index, and a time.
    pub fn append(&mut self, mut other: Assembly, line_base: u32) -> bool {
        for (mine, others) in [
            (&mut self.indexed, other.indexed),
            (&mut self.timed, other.timed),
        ] {
            if mine.is_some() && others.is_some() && *mine != others {
                return false;
            }
            *mine = mine.or(others);
        }
        self.passed_over.append(&mut other.passed_over);
        if other.indexed == Some(false) {
            other.events.number_from(self.events.len() as u64);
        }
        if other.timed == Some(false) {
            other.events.count_as_time();
        }
        self.events.append(other.events, line_base);
        true
    }

    /// Makes room for so many events.
    pub fn reserve(&mut self, events: usize) {
        self.events.reserve(events);
    }

    /// How many events there are so far.
    pub fn events_len(&self) -> usize {
        self.events.len()
    }

    /// The events, not yet proved consistent, and the names of fields that were passed over.
    pub fn into_events(self) -> (Events, Vec<String>) {
        (self.events, self.passed_over.into_iter().collect())
    }

    /// Whether the events so far have both index and time.
    pub fn is_stamped(&self) -> bool {
        self.indexed != Some(false) && self.timed != Some(false)
    }

    /// The history, once it is proved consistent. `loose_times` says that the recorder is known to
    /// stamp neighbouring events out of order ([`validate::widen_times`]).
    pub fn finish(mut self, loose_times: bool) -> Result<History, ReadError> {
        let anonymous = self.anonymous == Some(true);
        let contradicts = |inconsistency: Inconsistency| match anonymous {
            true => ReadError {
                kind: ReadErrorKind::InconsistentAlone(Box::new(inconsistency.clone())),
                ..inconsistency.into()
            },
            false => inconsistency.into(),
        };
        if loose_times && self.timed == Some(true) {
            validate::widen_times(&mut self.events).map_err(contradicts)?;
        }
        let (events, passed_over) = self.into_events();
        let history = History {
            events,
            passed_over,
            ..History::default()
        };
        history.validate().map_err(contradicts)?;
        Ok(history)
    }

    fn event(&mut self, fields: &mut Fields) -> Result<Event, String> {
        let process = self.process(fields.process.take())?;
        let kind = self.kind(fields.kind.take())?;
        let position = self.events.len() as u64;
        let index = self.number("index", fields.index.take(), self.indexed)?;
        let time_ns = self.number("time", fields.time.take(), self.timed)?;
        self.indexed = Some(index.is_some());
        self.timed = Some(time_ns.is_some());
        let index = index.unwrap_or(position);
        let mut value = fields.value.take().unwrap_or_default();
        let mut error = fields.error.take().filter(|error| !error.is_nil());
        // Jepsen's clients used to put the reason where the result would be: `:timed-out`.
        let unsuccessful = matches!(kind, EventType::Fail | EventType::Info);
        if fields.value_is_keyword && unsuccessful && process != Process::Nemesis {
            let reason = std::mem::take(&mut value);
            error.get_or_insert(reason);
        }
        Ok(Event {
            index,
            time_ns: time_ns.unwrap_or(index),
            process,
            kind,
            f: match fields.f.take() {
                Some(Value::Text(name)) if !name.is_empty() => self.name(&name),
                other => return Err(self.expected("f", "a name", other.as_ref())),
            },
            key: fields.key.take().filter(|key| !key.is_nil()),
            value,
            node: match fields.node.take() {
                None | Some(Value::Nil) => None,
                Some(Value::Text(node)) => Some(self.name(&node)),
                other => return Err(self.expected("node", "a name", other.as_ref())),
            },
            error: error.map(|error| match error {
                Value::Text(text) => self.name(&text),
                other => self.name(&other.to_string()),
            }),
            path: self.path(fields.path.take())?,
        })
    }

    fn process(&self, process: Option<Value>) -> Result<Process, String> {
        match process {
            Some(Value::Text(name)) if &*name == "nemesis" => Ok(Process::Nemesis),
            other => match other.as_ref().and_then(Value::as_u64) {
                Some(number) => Ok(Process::Client(number)),
                None => {
                    let nemesis = if self.style == Style::Edn {
                        ":nemesis"
                    } else {
                        "\"nemesis\""
                    };
                    let wanted = format!("a number that is not negative, or {nemesis}");
                    Err(self.expected("process", &wanted, other.as_ref()))
                }
            },
        }
    }

    fn kind(&self, kind: Option<Value>) -> Result<EventType, String> {
        let named = kind
            .as_ref()
            .and_then(Value::as_text)
            .and_then(EventType::from_name);
        named.ok_or_else(|| {
            let colon = if self.style == Style::Edn { ":" } else { "" };
            let names = EventType::ALL
                .map(|kind| format!("{colon}{}", kind.name()))
                .join(", ");
            self.expected("type", &format!("one of {names}"), kind.as_ref())
        })
    }

    /// An index or a time; `wanted` says whether the events before had one.
    fn number(
        &self,
        name: &str,
        value: Option<Value>,
        wanted: Option<bool>,
    ) -> Result<Option<u64>, String> {
        let value = value.filter(|value| !value.is_nil());
        let number = value.as_ref().and_then(whole);
        if number.is_none() && (value.is_some() || wanted == Some(true)) {
            return Err(self.expected(name, "a whole number, not negative", value.as_ref()));
        }
        if number.is_some() && wanted == Some(false) {
            let name = self.style.quote(name);
            return Err(format!(
                "expected no {name}, as in the events before, found one"
            ));
        }
        Ok(number)
    }

    fn path(&mut self, path: Option<Value>) -> Result<Vec<Arc<str>>, String> {
        let Some(path) = path.filter(|path| !path.is_nil()) else {
            return Ok(Vec::new());
        };
        let names = path.as_list().map(|nodes| nodes.iter().map(Value::as_text));
        match names.and_then(|names| names.collect::<Option<Vec<&str>>>()) {
            Some(names) => Ok(names.into_iter().map(|node| self.name(node)).collect()),
            None => Err(self.expected("path", "a list of nodes' names", Some(&path))),
        }
    }

    /// One copy of each name, however often it occurs.
    fn name(&mut self, name: &str) -> Arc<str> {
        let symbol = self.events.symbols.intern(name);
        self.events.shared_name(symbol)
    }

    fn expected(&self, name: &str, wanted: &str, found: Option<&Value>) -> String {
        let name = self.style.quote(name);
        match found {
            None => format!("expected {name} to be {wanted}, found none"),
            Some(Value::Text(text)) if self.style == Style::Edn => {
                format!("expected {name} to be {wanted}, found {text}")
            }
            Some(found) => format!("expected {name} to be {wanted}, found {found}"),
        }
    }
}

/// A number that is whole and not negative, also where it is written as `1.5e9`.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number: f64 = value.as_text()?.parse().ok()?;
        // From 2^53 on not every whole number is one of these.
        let exact = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        exact.then_some(number as u64)
    })
}
