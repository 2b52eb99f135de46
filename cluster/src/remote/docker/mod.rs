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
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use faults::Unavailable;

use super::session::Session;
use super::wire::Ask;
use crate::hidden::StageError;

mod bundle;
mod client;
mod lease;
mod survey;

pub(super) use lease::Lease;
pub use survey::{EngineFacts, examine, heal};

/// The folder in a container where this program is, with all that it needs.
const BUNDLE: &str = "/.whitewater";

/// How long a container may take to be met at its address.
const MEET_LIMIT: Duration = Duration::from_secs(5);

/// An agent's token is shorter.
const TOKEN_BYTES_MAX: u64 = 256;

/// The label whose value is a run's token.
const RUN: &str = "whitewater.run";

/// The label that says which process controls a run.
const CONTROLLER: &str = "whitewater.controller";

/// What to do where clients do not reach containers.
pub(super) const NOT_REACHED: &str = "the engine must run on this machine, not in a virtual machine of its own \
     (Docker Desktop) and not rootless, so that the addresses of containers are reached from here";

pub(crate) use bundle::{bundled, is_bundled};

/// Requires that the agent of this session is met at its container's address: anybody may answer there
/// where the engine is elsewhere.
pub(super) fn meet(session: &Session, address: Ipv4Addr) -> Result<(), Unavailable> {
    let read = || -> io::Result<String> {
        let port = session.ask(Ask::Meet, Duration::ZERO);
        let port: u16 = port.map_err(io::Error::other)?;
        let address = SocketAddr::from((address, port));
        let peer = TcpStream::connect_timeout(&address, MEET_LIMIT)?;
        peer.set_read_timeout(Some(MEET_LIMIT))?;
        let mut text = String::new();
        peer.take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    let why = match read() {
        Ok(text) if session.folder.strip_prefix('/') == Some(&text) => return Ok(()),
        Ok(_) => "somebody else answers there".to_owned(),
        Err(error) => error.to_string(),
    };
    let place = &session.place.name;
    Err(Unavailable {
        cause: format!("{place} is not reached from here at its address {address}: {why}"),
        remedy: NOT_REACHED.into(),
    })
}

/// Waits until the controller is gone, and removes what it left.
pub(crate) fn run_guardian(args: &[OsString]) -> Result<u8, StageError> {
    let token = args.first().and_then(|token| token.to_str());
    lease::guard(token.ok_or_else(|| StageError::usage("the token of a run"))?)
}
