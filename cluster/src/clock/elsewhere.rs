//! Where there is no payload for the machine's processors, no clock can be changed.

use faults::Clock;
use nix::unistd::Pid;

use super::error::ClockError;
use super::reading::{Mappings, Reading};
use super::standing::Standing;

const PROBLEM: &str = "that is only done on x86-64";

/// Every clock is as it was.
pub(super) fn is_current(pid: Pid, standing: &Standing) -> Result<bool, ClockError> {
    match standing.is_true() {
        true => Ok(true),
        false => Err(ClockError::vdso(pid, PROBLEM)),
    }
}

/// Fails.
pub(super) fn change(
    members: &[Pid],
    _standing: &mut Standing,
    _read: Clock,
    _mappings: &mut Mappings,
) -> Result<Option<Reading>, ClockError> {
    Err(ClockError::vdso(members[0], PROBLEM))
}
