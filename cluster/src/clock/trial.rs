//! Trying the whole of it on one process.

use faults::{Clock, Distortion};
use nix::unistd::Pid;

use super::process::{change, is_current};
use super::reading::Mappings;
use super::standing::Standing;

/// An hour: no clock that was left alone is so wrong.
const OFFSET_MS: i64 = 3_600_000;

/// Moves the clock of a process an hour ahead, has it read, and puts it back. The error says what
/// does not work.
pub(crate) fn attempt(pid: Pid) -> Result<(), String> {
    let (mut standing, mut mappings) = (Standing::default(), Mappings::new());
    let mut set = |distortions: &[(u64, Distortion)]| {
        standing.set(Clock::Realtime, distortions);
        let reading = change(&[pid], &mut standing, Clock::Realtime, &mut mappings)
            .map_err(|error| error.to_string())?
            .ok_or("nothing was changed")?;
        match is_current(pid, &standing) {
            Ok(true) => Ok(reading.after),
            Ok(false) => Err("its vDSO is not as it was left".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    };
    let ahead = set(&[(1, Distortion::Offset { ms: OFFSET_MS })])?;
    let back = set(&[])?;
    let expected_ns = OFFSET_MS * 1_000_000;
    if (ahead.offset_ns - expected_ns).abs() > ahead.within_ns
        || back.offset_ns.abs() > back.within_ns
    {
        return Err(format!(
            "a clock that was moved by {OFFSET_MS} ms and back was off by {} and then by {} ns",
            ahead.offset_ns, back.offset_ns
        ));
    }
    Ok(())
}
