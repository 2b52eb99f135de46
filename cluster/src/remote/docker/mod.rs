//! Nodes in containers, a container of a given image for each.
//!
//! The user's own program `docker` asks the engine, with their contexts and credentials. The first
//! process of a container is the agent, which comes into it in a volume, with the libraries that it
//! needs and the program `nft`: nothing is expected of the image but the node's program. What the
//! agent does to a node it does from inside the container's namespaces, as on a host.
//!
//! An agent ends with its connection, and its container with it. What else a run makes, a network and
//! a volume, has its token as a label; a second process of the controller's removes it when the
//! controller is gone, and [`heal`] when that is gone too.

use std::ffi::OsString;

use crate::hidden::StageError;

mod bundle;
mod client;
mod lease;
mod survey;

pub(super) use lease::Lease;
pub use survey::{EngineFacts, examine, heal};

/// The folder in a container where this program is, with all that it needs.
const BUNDLE: &str = "/.whitewater";

/// The label whose value is a run's token.
const RUN: &str = "whitewater.run";

/// The label that says which process controls a run.
const CONTROLLER: &str = "whitewater.controller";

/// What to do where clients do not reach containers.
pub(super) const NOT_REACHED: &str = "the engine must run on this machine, not in a virtual machine of its own \
     (Docker Desktop) and not rootless, so that the addresses of containers are reached from here";

pub(crate) use bundle::{bundled, is_bundled};

/// Waits until the controller is gone, and removes what it left.
pub(crate) fn run_guardian(args: &[OsString]) -> Result<u8, StageError> {
    let token = args.first().and_then(|token| token.to_str());
    lease::guard(token.ok_or_else(|| StageError::usage("the token of a run"))?)
}
