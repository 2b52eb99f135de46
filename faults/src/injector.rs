//! The injector: takes planned faults through their lives, and tells what happened as it does.

use histories::{Fault, FaultPhase, Value};

use crate::kind::{Effect, Prepared, parameters};
use crate::standing::Standing;
use crate::{Action, Kind, Ledger, Name, Planned, Target};

/// The faults under way. The controller's walker calls [`begin`](Injector::begin), then
/// [`inject`](Injector::inject), and when the time has come [`heal`](Injector::heal), and records
/// the event that each returns; [`heal_all`](Injector::heal_all) ends every run.
pub struct Injector {
    ledger: Ledger,
    standing: Standing,
    active: Vec<Active>,
}

/// A fault whose undo is noted and that is not healed yet.
struct Active {
    id: u64,
    action: Action,
    prepared: Prepared,
    /// What injecting it did; `None` until it was injected.
    injected: Option<Effect>,
    /// How many beats it has had since.
    beats: u64,
}

impl Active {
    fn event(&self, phase: FaultPhase, effect: &Effect) -> Fault {
        let failed = !effect.errors.is_empty();
        Fault {
            id: self.id,
            kind: self.action.kind().name().into(),
            phase: if failed { FaultPhase::Error } else { phase },
            targets: self.prepared.targets.clone(),
            parameters: parameters(&self.action, &self.prepared),
            evidence: if failed {
                error_evidence(effect)
            } else {
                effect.evidence.clone()
            },
            effective: effect.effective,
        }
    }
}

impl Injector {
    /// An injector with nothing in force, which notes its undos in this ledger.
    pub fn new(ledger: Ledger) -> Self {
        Injector {
            ledger,
            standing: Standing::default(),
            active: Vec::new(),
        }
    }

    /// Decides whom the fault will hit and notes its undo; does nothing to the cluster yet. The
    /// event's phase is `Begin`, or `Error` when the undo could not be noted or a fault of the
    /// same number is under way: then it is not to be injected, and [`inject`](Self::inject) will
    /// not.
    pub fn begin(&mut self, planned: &Planned, leader: Option<&str>) -> Fault {
        // A leader that was killed, or is no node of the order, is as good as none.
        let leader = leader.filter(|leader| {
            planned
                .order
                .iter()
                .any(|node| &**node == *leader && !self.standing.down.is_held(node))
        });
        let fault = planned.action.fault();
        let order = fault.preferred(&planned.order, &self.standing);
        let prepared = fault.prepare(&order, leader);
        let undo = fault.undo(&prepared);
        let active = Active {
            id: planned.id,
            action: planned.action.clone(),
            prepared,
            injected: None,
            beats: 0,
        };
        let noted = if self.active.iter().any(|other| other.id == planned.id) {
            Err(format!(
                "a fault numbered {} is still under way",
                planned.id
            ))
        } else {
            self.ledger
                .note(planned.id, undo)
                .map_err(|error| error.to_string())
        };
        match noted {
            Ok(()) => {
                let event = active.event(FaultPhase::Begin, &Effect::default());
                self.active.push(active);
                event
            }
            Err(why) => Fault {
                evidence: Value::Map(vec![("errors".into(), Value::List(vec![why.into()]))]),
                effective: Some(false),
                ..active.event(FaultPhase::Error, &Effect::default())
            },
        }
    }

    /// Injects the fault begun under this number. The event's phase is `Inject`, or `Error` when
    /// something failed: part of it may be in force then, and it is to be healed like any other.
    ///
    /// `None` when no such fault has begun, or it was injected already.
    pub fn inject(&mut self, id: u64, target: &dyn Target) -> Option<Fault> {
        let active = self
            .active
            .iter_mut()
            .find(|active| active.id == id && active.injected.is_none())?;
        let fault = active.action.fault();
        let effect = fault.inject(id, &active.prepared, target, &mut self.standing);
        let event = active.event(FaultPhase::Inject, &effect);
        active.injected = Some(effect);
        Some(event)
    }

    /// Does again what the fault in force under this number does again and again. Returns an event,
    /// of phase `Error`, only when something failed.
    ///
    /// `None` also when no such fault is in force.
    pub fn beat(&mut self, id: u64, target: &dyn Target) -> Option<Fault> {
        let active = self
            .active
            .iter_mut()
            .find(|active| active.id == id && active.injected.is_some())?;
        let fault = active.action.fault();
        let standing = &mut self.standing;
        let effect = fault.beat(id, active.beats, &active.prepared, target, standing);
        active.beats += 1;
        if let (Some(true), Some(injected)) = (effect.effective, &mut active.injected) {
            injected.effective = Some(true);
        }
        (!effect.errors.is_empty()).then(|| active.event(FaultPhase::Error, &effect))
    }

    /// Takes back the fault begun under this number, as far as no other fault still in force
    /// holds the same nodes or links. The event's phase is `Heal`, or `Error` when something
    /// failed: the fault stays open and can be healed again.
    ///
    /// `None` when there is nothing to heal under this number, so that healing twice is harmless.
    pub fn heal(&mut self, id: u64, target: &dyn Target) -> Option<Fault> {
        let place = self.active.iter().position(|active| active.id == id)?;
        let active = &self.active[place];
        let fault = active.action.fault();
        let mut effect = fault.heal(id, &active.prepared, target, &mut self.standing);
        effect.effective = match &active.injected {
            Some(injected) => effect.effective.or(injected.effective),
            None => Some(false),
        };
        let mut event = active.event(FaultPhase::Heal, &effect);
        if effect.errors.is_empty() {
            self.active.remove(place);
            if let Err(error) = self.ledger.done(id) {
                // Healed all the same; the ledger claims too much rather than too little.
                add_evidence(&mut event.evidence, "ledger", error.to_string().into());
            }
        }
        Some(event)
    }

    /// Takes back everything still open, the newest first, not stopping at errors. An event of
    /// phase `Error` is a fault that could not be taken back; calling again tries it again.
    pub fn heal_all(&mut self, target: &dyn Target) -> Vec<Fault> {
        let ids: Vec<u64> = self.active.iter().rev().map(|active| active.id).collect();
        ids.into_iter()
            .filter_map(|id| self.heal(id, target))
            .collect()
    }

    /// The faults begun and not healed, oldest first: number, kind and the nodes acted on.
    pub fn active(&self) -> impl Iterator<Item = (u64, Kind, &[Name])> {
        self.active
            .iter()
            .map(|active| (active.id, active.action.kind(), &*active.prepared.targets))
    }

    /// What is noted and not yet taken back.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// The evidence of something that failed: what was found besides, and the errors.
fn error_evidence(effect: &Effect) -> Value {
    let mut evidence = effect.evidence.clone();
    let errors = effect
        .errors
        .iter()
        .map(|error| error.to_string().into())
        .collect();
    add_evidence(&mut evidence, "errors", Value::List(errors));
    evidence
}

fn add_evidence(evidence: &mut Value, name: &str, value: Value) {
    match evidence {
        Value::Map(entries) => entries.push((name.into(), value)),
        _ => *evidence = Value::Map(vec![(name.into(), value)]),
    }
}

#[cfg(test)]
mod tests;
