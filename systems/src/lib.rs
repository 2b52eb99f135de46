//! What is under test, as data.
//!
//! - [`Definition`]: how a system's nodes are found, started and watched, and which client speaks to
//!   them; read from a TOML file by [`Definition::read`]. Those that come with Whitewater are
//!   [`builtin`].
//! - [`Layout`]: a definition filled in for the nodes of one run.
//! - [`Roles::judge`]: who leads, out of what a node answers.
//!
//! Nothing here starts a process or touches the network; [`parse`] reads TOML with errors that have
//! the line, the field and what was probably meant.

mod builtin;
mod definition;
mod fill;
pub mod parse;
mod probe;
mod roles;
mod validate;

pub use builtin::{BUILTIN, builtin};
pub use definition::{
    Definition, FaultCommand, Faults, File, List, Logs, MemberRequests, Members, Node, On, Program,
    RaftKvMembers, Ready, Start, Step, SystemOption, Version,
};
pub use fill::{Layout, Place, Scope};
pub use parse::Problem;
pub use probe::{HttpProbe, Probe, TcpProbe};
pub use roles::{Extract, Roles, Standing, Test};
