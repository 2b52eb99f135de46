//! The walker: takes the schedule's faults through their lives, when their time has come.

use std::time::{Duration, Instant};

use faults::{Injector, Kind, Schedule, Step, Target};
use histories::{Fault, FaultPhase};

use super::signal::{Phase, Signal};

/// How often a fault that could not be taken back is tried again at the end.
const HEAL_ATTEMPTS_MAX: u32 = 3;

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
    /// Records what happened.
    pub record: &'a dyn Fn(Fault),
}

/// Walks the schedule until it ends or the run leaves its first phase. What is in force then stays
/// in force, for [`heal`].
pub fn walk(walk: &Walk<'_>, injector: &mut Injector) {
    for (at_ms, step) in walk.schedule.steps() {
        let (Step::Inject(planned) | Step::Heal(planned)) = step;
        if !walk.available.contains(&planned.action.kind()) {
            continue;
        }
        let deadline = walk.start + Duration::from_millis(at_ms);
        if !walk.signal.wait_until(deadline, Phase::Drive) {
            return;
        }
        match step {
            Step::Inject(planned) => {
                let leader = (walk.leader)();
                let begun = injector.begin(planned, leader.as_deref());
                let refused = begun.phase == FaultPhase::Error;
                (walk.record)(begun);
                if refused {
                    continue;
                }
                if let Some(fault) = injector.inject(planned.id, walk.target) {
                    (walk.record)(fault);
                }
            }
            Step::Heal(planned) => {
                if let Some(fault) = injector.heal(planned.id, walk.target) {
                    (walk.record)(fault);
                }
            }
        }
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
    let targets = targets.join(" ");
    let doubt = match (fault.phase, fault.effective) {
        (FaultPhase::Heal, Some(false)) => " (it had no effect)".to_owned(),
        (FaultPhase::Error, _) => format!(" ({})", fault.evidence),
        _ => String::new(),
    };
    format!("{what} {}{shape} on {targets}{doubt}", fault.kind)
}
