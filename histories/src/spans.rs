//! Faults as spans of time: the events of one fault put together.

use std::sync::Arc;

use crate::operations::point;
use crate::{Fault, FaultPhase, History, Point, Value};

/// One fault of a run, from beginning to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultSpan {
    /// Its number in the schedule.
    pub id: u64,
    /// What kind.
    pub kind: Arc<str>,
    /// The nodes it acted on, as its last event names them.
    pub targets: Vec<Arc<str>>,
    /// Its exact parameters, as its last event names them.
    pub parameters: Value,
    /// When its injection began.
    pub begin: Option<Point>,
    /// From when on it was in force; `None` when it never was.
    pub inject: Option<Point>,
    /// From when on it was out of force; `None` when it lasted to the end of the history.
    pub heal: Option<Point>,
    /// When it could not be injected or healed, and why.
    pub error: Option<(Point, Value)>,
    /// What showed its effect when it was injected.
    pub inject_evidence: Value,
    /// What showed its effect by the time it was healed.
    pub heal_evidence: Value,
    /// Whether it had an effect, as the last event that could tell says.
    pub effective: Option<bool>,
}

impl History {
    /// The faults that were done to the cluster, by their first event.
    ///
    /// Events of a nemesis that are not in our shape (foreign histories have such) are no faults:
    /// they have neither number nor evidence.
    pub fn faults(&self) -> Vec<FaultSpan> {
        let mut spans: Vec<FaultSpan> = Vec::new();
        for event in self.events.nemesis() {
            let Ok(fault) = Fault::try_from(&event) else {
                continue;
            };
            let span = match spans.iter().position(|span| span.id == fault.id) {
                Some(at) => &mut spans[at],
                None => {
                    spans.push(FaultSpan::new(&fault));
                    let last = spans.len() - 1;
                    &mut spans[last]
                }
            };
            span.add(fault, point(&event));
        }
        spans
    }
}

impl FaultSpan {
    fn new(fault: &Fault) -> Self {
        FaultSpan {
            id: fault.id,
            kind: fault.kind.clone(),
            targets: Vec::new(),
            parameters: Value::Nil,
            begin: None,
            inject: None,
            heal: None,
            error: None,
            inject_evidence: Value::Nil,
            heal_evidence: Value::Nil,
            effective: None,
        }
    }

    fn add(&mut self, fault: Fault, at: Point) {
        match fault.phase {
            FaultPhase::Begin => self.begin = Some(at),
            FaultPhase::Inject => {
                self.inject = Some(at);
                self.inject_evidence = fault.evidence;
            }
            FaultPhase::Heal => {
                self.heal = Some(at);
                self.heal_evidence = fault.evidence;
            }
            FaultPhase::Error => self.error = Some((at, fault.evidence)),
        }
        self.effective = fault.effective.or(self.effective);
        if !fault.targets.is_empty() {
            self.targets = fault.targets;
        }
        if !fault.parameters.is_nil() {
            self.parameters = fault.parameters;
        }
    }
}
