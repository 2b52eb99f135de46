//! How far the run has come, as every thread and client sees it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The parts of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Clients drive the cluster while faults come and go.
    Drive,
    /// Faults are being taken back; clients go on.
    Heal,
    /// Everything is healed; clients go on until the cluster serves again.
    Recover,
    /// Clients read every key once more.
    FinalReads,
    /// Clients end.
    Over,
}

const PHASES: [Phase; 5] = [
    Phase::Drive,
    Phase::Heal,
    Phase::Recover,
    Phase::FinalReads,
    Phase::Over,
];

/// The current phase, shared.
#[derive(Debug, Clone)]
pub struct Signal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    phase: AtomicU8,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Default for Signal {
    fn default() -> Self {
        let phase = AtomicU8::new(Phase::Drive as u8);
        Signal(Arc::new(Shared {
            phase,
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }))
    }
}

impl Signal {
    /// The current phase.
    pub fn phase(&self) -> Phase {
        PHASES[usize::from(self.0.phase.load(Ordering::Acquire)).min(PHASES.len() - 1)]
    }

    /// Goes on to a later phase; going back is not possible.
    pub fn advance(&self, phase: Phase) {
        // Under the lock, so that no waiter misses the change between its look and its wait.
        let _guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.0.changed.notify_all();
    }

    /// Waits until `deadline`, or until the phase is no longer `phase`; tells whether it still is.
    pub fn wait_until(&self, deadline: Instant, phase: Phase) -> bool {
        let mut guard = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while self.phase() == phase {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return true;
            }
            let waited = self.0.changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_wakes_when_the_phase_changes_and_phases_only_go_forward() {
        let signal = Signal::default();
        let waiter = signal.clone();
        let far = Instant::now() + Duration::from_secs(600);
        let thread = std::thread::spawn(move || waiter.wait_until(far, Phase::Drive));
        signal.advance(Phase::FinalReads);
        assert!(
            !thread.join().expect("no panic"),
            "woken by the change, not by the deadline"
        );
        signal.advance(Phase::Recover);
        assert_eq!(signal.phase(), Phase::FinalReads);
        assert!(signal.wait_until(Instant::now(), Phase::FinalReads));
    }
}
