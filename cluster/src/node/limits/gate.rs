//! Who may stop a node's processes and let them go on: pauses before the governor of CPU time.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::processes::{Process, Scope};

/// Whether the processes of one life of a node are stopped, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// A pause holds them; nobody else lets them go on.
    is_paused: bool,
    /// The governor has stopped them.
    is_held: bool,
}

impl Gate {
    /// Stops them until [`resume`](Self::resume), and returns them as they then are.
    pub fn pause(&self, scope: &Scope) -> io::Result<Vec<Process>> {
        let mut state = self.lock();
        let stopped = scope.stop_all();
        state.is_paused = stopped.as_ref().is_ok_and(|stopped| !stopped.is_empty());
        if !state.is_paused {
            state.is_held = false;
            // Half a pause is none.
            let _ = scope.resume_all();
        }
        stopped
    }

    /// Lets them go on. A governor that wants them stopped stops them again.
    pub fn resume(&self, scope: &Scope) -> io::Result<Vec<Process>> {
        let mut state = self.lock();
        (state.is_paused, state.is_held) = (false, false);
        scope.resume_all()
    }

    /// The governor stops them, or lets them go on, by `signal`; nothing is done while a pause holds
    /// them, or when they are so already. Tells whether something was done.
    pub fn govern(&self, hold: bool, signal: impl FnOnce()) -> bool {
        let mut state = self.lock();
        let is_due = !state.is_paused && state.is_held != hold;
        if is_due {
            state.is_held = hold;
            signal();
        }
        is_due
    }

    /// Does something to them while nobody stops them or lets them go on.
    pub fn undisturbed<T>(&self, act: impl FnOnce() -> T) -> T {
        let _state = self.lock();
        act()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Two flags, each written whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
