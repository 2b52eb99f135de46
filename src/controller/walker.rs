//! The walker: takes the schedule's faults through their lives, when their time has come.

use std::time::{Duration, Instant};

use faults::{Agenda, Injector, Kind, Next, Observed, Planned, Schedule, Target};
use histories::{Fault, FaultPhase, Value};

use super::signal::{Phase, Signal};
use crate::units::ms;

/// How often a fault that could not be taken back is tried again at the end.
const HEAL_ATTEMPTS_MAX: u32 = 3;
/// How often is looked whether something that a fault waits for has come.
const LOOK_MS: u64 = 5;

/// What the walker needs to know and to tell.
pub struct Walk<'a> {
    /// The faults.
    pub schedule: &'a Schedule,
    /// The kinds that can be injected here; faults of others are passed over.
    pub available: &'a [Kind],
    /// The cluster.
    pub target: &'a dyn Target,
    /// When the run started.
    pub start: Instant,
    /// Ends the walk.
    pub signal: &'a Signal,
    /// The leader at this moment, as far as known.
    pub leader: &'a dyn Fn() -> Option<String>,
    /// What has been seen so far of leaders and operations; the walker adds the faults itself.
    pub observed: &'a dyn Fn() -> Observed,
    /// Records what happened.
    pub record: &'a dyn Fn(Fault),
}

/// Walks the schedule until it ends or the run leaves its first phase. What is in force then stays
/// in force, for [`heal`]. A fault for which what it waits for never came is recorded as one that
/// failed.
pub fn walk(walk: &Walk<'_>, injector: &mut Injector) {
    let mut agenda = Agenda::new(walk.schedule, walk.available);
    let mut faults_seen = Observed::default();
    loop {
        let observed = Observed {
            injected: faults_seen.injected.clone(),
            healed: faults_seen.healed.clone(),
            ..(walk.observed)()
        };
        match agenda.next(ms(walk.start.elapsed()), &observed) {
            Next::Inject(planned) => {
                if inject(walk, injector, planned) {
                    faults_seen.injected.insert(planned.id);
                }
            }
            Next::Heal(planned) => {
                if let Some(fault) = injector.heal(planned.id, walk.target) {
                    if fault.phase == FaultPhase::Heal {
                        faults_seen.healed.insert(planned.id);
                    }
                    (walk.record)(fault);
                }
            }
            Next::Beat(planned) => {
                if let Some(fault) = injector.beat(planned.id, walk.target) {
                    (walk.record)(fault);
                }
            }
            Next::Over => break,
            next => {
                let look = Instant::now() + Duration::from_millis(LOOK_MS);
                let until = match next {
                    Next::At(at_ms) => {
                        let at = walk.start + Duration::from_millis(at_ms);
                        if agenda.is_waiting() {
                            at.min(look)
                        } else {
                            at
                        }
                    }
                    _ => look,
                };
                if !walk.signal.wait_until(until, Phase::Drive) {
                    break;
                }
            }
        }
    }
    for (planned, condition) in agenda.never_begun() {
        (walk.record)(never_begun(planned, &condition.to_string()));
    }
}

/// Takes a fault through its beginning; tells whether it was injected.
fn inject(walk: &Walk<'_>, injector: &mut Injector, planned: &Planned) -> bool {
    let leader = (walk.leader)();
    let begun = injector.begin(planned, leader.as_deref());
    let refused = begun.phase == FaultPhase::Error;
    (walk.record)(begun);
    if refused {
        return false;
    }
    let Some(fault) = injector.inject(planned.id, walk.target) else {
        return false;
    };
    let injected = fault.phase == FaultPhase::Inject;
    (walk.record)(fault);
    injected
}

fn never_begun(planned: &Planned, condition: &str) -> Fault {
    let why = format!("what it waits for never came: {condition}");
    Fault {
        id: planned.id,
        kind: planned.action.kind().name().into(),
        phase: FaultPhase::Error,
        targets: Vec::new(),
        parameters: Value::Nil,
        evidence: Value::Map(vec![("errors".into(), Value::List(vec![why.into()]))]),
        effective: Some(false),
    }
}

/// Takes back everything still in force; tells whether all of it could be.
pub fn heal(injector: &mut Injector, target: &dyn Target, record: &dyn Fn(Fault)) -> bool {
    for _ in 0..HEAL_ATTEMPTS_MAX {
        injector.heal_all(target).into_iter().for_each(record);
        if injector.active().next().is_none() {
            return true;
        }
    }
    false
}

/// A fault event in words, for whoever watches.
pub fn describe(fault: &Fault) -> String {
    let what = match fault.phase {
        FaultPhase::Begin => "begin",
        FaultPhase::Inject => "inject",
        FaultPhase::Heal => "heal",
        FaultPhase::Error => "could not go on with",
    };
    let shape = fault
        .parameters
        .get("shape")
        .and_then(|shape| shape.as_text());
    let shape = shape.map_or_else(String::new, |shape| format!(" {shape}"));
    let targets: Vec<&str> = fault.targets.iter().map(|name| &**name).collect();
    let targets = match targets.is_empty() {
        true => String::new(),
        false => format!(" on {}", targets.join(" ")),
    };
    let doubt = match (fault.phase, fault.effective) {
        (FaultPhase::Heal, Some(false)) => " (it had no effect)".to_owned(),
        (FaultPhase::Error, _) => format!(" ({})", fault.evidence),
        _ => String::new(),
    };
    format!("{what} {}{shape}{targets}{doubt}", fault.kind)
}
