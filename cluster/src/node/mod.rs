//! Node processes: what is to run, and what has become of it.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use faults::Name;

pub(crate) use log::tail_text;
pub(crate) use processes::{Process, evidence, is_alive};
pub(crate) use running::{Node, PREPARE_LIMIT};

mod life;
pub(crate) mod limits;
mod log;
pub(crate) mod processes;
mod running;
pub(crate) mod stage;
pub(crate) mod uptime;

/// What runs as one node, and where it keeps its things.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// The node's name; it must have an address.
    pub name: Name,
    /// What runs, one beside the other, at least one. A node whose first program to end was not asked
    /// to has ended, and the others with it.
    pub commands: Vec<NodeCommand>,
    /// What is run before its first start, one after the other, each to its end with status 0.
    pub prepare: Vec<NodeCommand>,
    /// Where its data survive from one start to the next. Its working directory too.
    pub data_dir: PathBuf,
    /// Where `stdout.log` and `stderr.log` are written; every start appends.
    pub log_dir: PathBuf,
    /// How to know that it serves.
    pub readiness: Readiness,
}

/// A program with its arguments and what it has in its environment besides ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCommand {
    /// The program: a path, or a name to be searched for in PATH. [`NodeCommand::own`] runs this
    /// very executable.
    pub program: PathBuf,
    /// Its arguments, without a program name.
    pub args: Vec<OsString>,
    /// What is added to the environment, of all programs of the node.
    pub env: Vec<(OsString, OsString)>,
    /// The user that it takes itself for, where it refuses to run as root.
    pub user: Option<User>,
}

/// A user, by number, that a program takes itself for. Nothing comes of it where who starts it is not
/// root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// It gets a user namespace of its own, in which this user is whoever starts it. Files stay whose
    /// they are.
    Mapped(u32),
    /// It is this user, with this group.
    Real(u32, u32),
}

/// How to know that a node serves. Asked from the control host, until it is true.
#[derive(Clone)]
pub enum Readiness {
    /// As soon as its process is started.
    Started,
    /// When it accepts TCP connections on this port.
    TcpPort(u16),
    /// When it accepts connections on this port, and this finds at its address no reason why not. It
    /// must return soon.
    Answer(u16, Check),
}

/// Says in words why a node at this address is not ready yet.
pub type Check = Arc<dyn Fn(Ipv4Addr) -> Result<(), String> + Send + Sync>;

/// A node that ended without being killed by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeExit {
    /// Which node.
    pub node: Name,
    /// How its program ended. A program that a signal ended counts as one that exited with 128 + the
    /// signal's number.
    pub status: ExitStatus,
    /// The last lines it wrote since it was started: on standard error, or if it wrote nothing
    /// there, on standard output.
    pub last_lines: Vec<String>,
}

/// Told at once of every node that ended without being killed by us, on a thread of the node's own.
pub type ExitCallback = Arc<dyn Fn(NodeExit) + Send + Sync>;

impl NodeCommand {
    /// This very executable with these arguments, even if its file was replaced in the meantime.
    pub fn own(args: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            program: PathBuf::from(stage::OWN_EXECUTABLE),
            args: args.into_iter().collect(),
            env: Vec::new(),
            user: None,
        }
    }
}

impl fmt::Display for NodeCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        let mut args = self.args.iter();
        args.try_for_each(|arg| write!(f, " {}", arg.display()))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Readiness::Started => f.write_str("Started"),
            Readiness::TcpPort(port) => write!(f, "TcpPort({port})"),
            Readiness::Answer(port, _) => write!(f, "Answer({port}, ..)"),
        }
    }
}

impl fmt::Display for NodeExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} ended unexpectedly with ", self.node)?;
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) if code > 128 => {
                write!(f, "exit status {code} (signal {})", code - 128)?;
            }
            (Some(code), _) => write!(f, "exit status {code}")?,
            (None, Some(signal)) => write!(f, "signal {signal} to its init")?,
            (None, None) => write!(f, "{}", self.status)?,
        }
        write!(f, "{}", tail_text(&self.last_lines))
    }
}
