//! Fault events: what was done to the cluster, when, to whom, and what shows that it took effect.

use std::sync::Arc;

use crate::{Event, EventType, Process, Value};

/// Where in its life a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultPhase {
    /// About to be injected: its undo is noted, nothing is done yet.
    Begin,
    /// Injected: in force from here on.
    Inject,
    /// Undone: out of force from here on.
    Heal,
    /// It could not be injected or healed; the evidence says why.
    Error,
}

/// A fault as an event of the nemesis records it (the event's `f` is `kind`, its `value` the rest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of this fault in the run's schedule: its events share it.
    pub id: u64,
    /// What kind: `kill`, `pause`, `partition`, …
    pub kind: Arc<str>,
    /// Where in its life.
    pub phase: FaultPhase,
    /// The nodes it acts on.
    pub targets: Vec<Arc<str>>,
    /// Its exact parameters, e.g. the shape of a partition and the directed links cut.
    pub parameters: Value,
    /// What shows that it took effect, e.g. packets dropped, process state, pid gone.
    pub evidence: Value,
    /// Whether the evidence shows an effect (`None` while that cannot be told yet).
    pub effective: Option<bool>,
}

/// Why an event is not a fault event: which part is missing or of the wrong kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} of a fault event, found {found}")]
pub struct NotAFault {
    /// What was expected.
    pub expected: &'static str,
    /// What is there instead.
    pub found: String,
}

impl FaultPhase {
    /// Every phase, in order.
    pub const ALL: [FaultPhase; 4] = [
        FaultPhase::Begin,
        FaultPhase::Inject,
        FaultPhase::Heal,
        FaultPhase::Error,
    ];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            FaultPhase::Begin => "begin",
            FaultPhase::Inject => "inject",
            FaultPhase::Heal => "heal",
            FaultPhase::Error => "error",
        }
    }
}

impl Fault {
    /// This fault as an event of the nemesis.
    pub fn to_event(&self, index: u64, time_ns: u64) -> Event {
        let id =
            i64::try_from(self.id).map_or_else(|_| Value::from(self.id.to_string()), Value::Int);
        let targets = self
            .targets
            .iter()
            .map(|node| Value::Text(node.clone()))
            .collect();
        let mut value = vec![
            (Value::from("id"), id),
            (Value::from("phase"), Value::from(self.phase.name())),
            (Value::from("targets"), Value::List(targets)),
            (Value::from("parameters"), self.parameters.clone()),
            (Value::from("evidence"), self.evidence.clone()),
            (
                Value::from("effective"),
                self.effective.map_or(Value::Nil, Value::Bool),
            ),
        ];
        value.retain(|(_, part)| !part.is_nil());
        Event {
            index,
            time_ns,
            process: Process::Nemesis,
            kind: EventType::Info,
            f: self.kind.clone(),
            key: None,
            value: Value::Map(value),
            node: None,
            error: None,
            path: Vec::new(),
        }
    }
}

/// Reads back what [`Fault::to_event`] wrote.
impl TryFrom<&Event> for Fault {
    type Error = NotAFault;

    fn try_from(event: &Event) -> Result<Self, NotAFault> {
        if event.process != Process::Nemesis || event.kind != EventType::Info {
            return Err(NotAFault {
                expected: "process nemesis and type info",
                found: "another kind of event".to_owned(),
            });
        }
        let part = |name: &str| event.value.get(name).unwrap_or(&Value::Nil);
        Ok(Fault {
            id: expect("\"id\" to be a number", part("id"), Value::as_u64)?,
            kind: event.f.clone(),
            phase: expect(
                "\"phase\" to be begin, inject, heal or error",
                part("phase"),
                phase,
            )?,
            targets: expect("\"targets\" to be a list of nodes", part("targets"), nodes)?,
            parameters: part("parameters").clone(),
            evidence: part("evidence").clone(),
            effective: expect(
                "\"effective\" to be a truth value",
                part("effective"),
                truth,
            )?,
        })
    }
}

/// The part as `read` understands it, or what was expected instead.
fn expect<T>(
    expected: &'static str,
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<T, NotAFault> {
    read(value).ok_or_else(|| NotAFault {
        expected,
        found: value.to_string(),
    })
}

fn phase(value: &Value) -> Option<FaultPhase> {
    let name = value.as_text()?;
    FaultPhase::ALL
        .into_iter()
        .find(|phase| phase.name() == name)
}

fn nodes(value: &Value) -> Option<Vec<Arc<str>>> {
    value
        .as_list()?
        .iter()
        .map(|node| node.as_text().map(Arc::from))
        .collect()
}

fn truth(value: &Value) -> Option<Option<bool>> {
    match value {
        Value::Nil => Some(None),
        Value::Bool(truth) => Some(Some(*truth)),
        _ => None,
    }
}
