//! Where the nodes run.

use faults::Unavailable;

use crate::doctor;

/// Where the nodes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// In network and PID namespaces of their own, joined by our switch. The controller must run
    /// in a [`Sandbox`](crate::Sandbox).
    Sandbox,
    /// As ordinary processes on loopback addresses: there is no network to break.
    Plain,
}

impl Mode {
    /// What this machine allows, found out by trying: a sandbox, or else the plain mode and why.
    pub fn detect() -> (Mode, Option<Unavailable>) {
        match doctor::try_sandbox() {
            Ok(()) => (Mode::Sandbox, None),
            Err(why) => (Mode::Plain, Some(why)),
        }
    }
}
