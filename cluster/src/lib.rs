//! Where it happens: real node processes on a real network, in a sandbox that cannot leak.
//!
//! * [`sandbox`]: the calling program runs itself again inside namespaces of its own; when any
//!   link of that chain dies, however it dies, the kernel ends everything inside.
//! * [`network`]: a network namespace, an address and a cable per node, one more for the clients,
//!   and one for the controller's own questions.
//! * [`switch`]: the packet switch between those cables; the packets of every directed link can be cut,
//!   lost, held, repeated, reordered, corrupted, slowed down.
//! * [`node`]: node processes: started, killed, paused, watched, with logs and data folders kept.
//! * [`remote`]: nodes on hosts beyond this machine, by SSH.
//! * [`Cluster`]: all of them together, as [`faults::Target`].
//! * [`Program`]: a program spoken to through its standard input and output, ended with all it starts.
//! * [`doctor`]: what this machine allows, tried for real, and [`Mode::detect`] that follows.
//!
//! A program that uses this crate must call [`hidden::run`] first thing in `main`: the crate
//! starts the program's own executable again for the stages of the sandbox, the inits of nodes
//! and the trials of the doctor.

pub mod doctor;
pub mod hidden;
pub mod network;
pub mod node;
pub mod programs;
pub mod remote;
pub mod sandbox;
pub mod switch;

mod clock;
mod cluster;
mod disk;
mod error;
mod init;
mod lifeline;
mod mode;
mod program;
mod watched;

pub use cluster::{Cluster, ClusterSpec};
pub use error::{ClusterError, SystemCall};
pub use lifeline::end_with_parent;
pub use mode::Mode;
pub use network::{Addresses, Backend, Entrance, NetworkSpec};
pub use node::{ExitCallback, NodeCommand, NodeExit, NodeSpec, Readiness, User};
pub use program::{Pipes, Program, ProgramSpec};
pub use sandbox::{SETUP_FAILED, Sandbox, SandboxChild};
pub use switch::CaptureSpec;
