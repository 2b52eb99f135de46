//! The clocks of a node's processes, changed while they run, without their help and without
//! touching the host's clock.
//!
//! Programs read the time by functions of the vDSO, a piece of code that the kernel maps into each
//! process. We stop a process for a moment (ptrace(2)), put a small payload into it, and let
//! those functions jump there. The payload shows the true time bent as its page of parameters says.
//! When all is healed the bytes of the functions are put back.
//!
//! Not reached are programs that make the system call themselves, read the time stamp counter, or
//! are built for 32 bits; and timers: whatever waits in the kernel waits for true time to pass.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        dead_code,
        reason = "what a change needs is not used where none is made"
    )
)]

use std::time::Duration;

mod error;
mod hold;
mod keeper;
mod node;
mod reading;
mod standing;
mod trial;

#[cfg(target_arch = "x86_64")]
mod payload;
#[cfg(target_arch = "x86_64")]
mod process;
#[cfg(target_arch = "x86_64")]
mod ptrace;
#[cfg(target_arch = "x86_64")]
mod remote;
#[cfg(target_arch = "x86_64")]
mod session;
#[cfg(target_arch = "x86_64")]
mod vdso;

#[cfg(not(target_arch = "x86_64"))]
#[path = "elsewhere.rs"]
mod process;

pub(crate) use hold::{leave_stopped, stop_at_exec};
pub(crate) use keeper::Keeper;
pub(crate) use node::NodeClocks;
pub(crate) use trial::attempt;

/// How long a session may take, to stop the process or to do anything with it.
/// Much for a machine at rest; on one with far more to do than it can, a thread may wait long for
/// its turn.
const LIMIT: Duration = Duration::from_secs(10);
