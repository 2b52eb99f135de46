//! The start of a node by an agent.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use faults::Name;

use super::error::RemoteError;
use super::session::Session;
use super::wire::{self, Ask, Launch};
use crate::node::{ExitCallback, NodeCommand, NodeSpec, PREPARE_LIMIT, Readiness};

/// How long the way to a node that serves may take to be found.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// Between two attempts to reach a node.
const REACH_POLL: Duration = Duration::from_millis(25);

/// How long one attempt to connect to a node may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// What is to run on the hosts.
pub struct RemoteNodes {
    /// The nodes, in order.
    pub nodes: Vec<RemoteNode>,
    /// What the nodes' program is looked for by on each host, in this order: names in its PATH, or
    /// paths. None for this very executable; what the nodes say of it is not used. All other programs
    /// of theirs are looked for by what they say.
    pub programs: Vec<String>,
    /// The user, by name or number, that a node's programs take themselves for, of those there; none for
    /// whoever starts them, or whom their image names.
    pub user: Option<String>,
    /// Whether each node must be ready before the next is prepared and started.
    pub one_by_one: bool,
    /// Within how long every node must be ready after the start.
    pub ready_limit_ms: u64,
    /// Told of every unexpected end of a node, during the start too.
    pub on_exit: ExitCallback,
}

/// What runs as one node, with the paths of its host.
pub struct RemoteNode {
    /// A check of readiness is made from this machine. Users of its programs are not looked at.
    pub spec: NodeSpec,
    /// The folder that is the node's own.
    pub folder: PathBuf,
    /// Files that it has before its first start, and what is in them.
    pub files: Vec<(PathBuf, String)>,
    /// The logs that it writes besides its standard streams.
    pub logs: Vec<PathBuf>,
    /// The files on this machine into which its standard output, its standard error and those logs are
    /// fetched.
    pub fetched: Vec<PathBuf>,
}

/// Has an agent start its node, and waits until it is ready, and reached from this machine.
pub(super) fn launch(
    session: &Session,
    node: &RemoteNode,
    all: &RemoteNodes,
    address: Ipv4Addr,
    user: Option<&str>,
    hint: &'static str,
) -> Result<(), RemoteError> {
    let begin = Instant::now();
    let spec = &node.spec;
    let (port, check) = match &spec.readiness {
        Readiness::Started => (None, None),
        Readiness::TcpPort(port) => (Some(*port), None),
        Readiness::Answer(port, check) => (Some(*port), Some(check)),
    };
    let on_wire = |commands: &[NodeCommand]| {
        let commands = commands.iter().map(|command| on_wire(command, &spec.name));
        commands.collect::<Result<Vec<_>, _>>()
    };
    let mut commands = on_wire(&spec.commands)?;
    if let Some(main) = commands.first_mut() {
        main.programs.clone_from(&all.programs);
    }
    let launch = Launch {
        name: spec.name.to_string(),
        address,
        files: node.files.clone(),
        prepare: on_wire(&spec.prepare)?,
        commands,
        user: user.map(str::to_owned),
        folder: node.folder.clone(),
        data_dir: spec.data_dir.clone(),
        log_dir: spec.log_dir.clone(),
        logs: node.logs.clone(),
        port,
        ready_limit_ms: all.ready_limit_ms,
    };
    let limit = Duration::from_millis(all.ready_limit_ms);
    let preparing = PREPARE_LIMIT * u32::try_from(spec.prepare.len()).unwrap_or(u32::MAX);
    session.ask::<()>(Ask::Launch(launch), limit + preparing)?;
    if let Some(port) = port {
        reach(session, &spec.name, SocketAddr::from((address, port)), hint)?;
    }
    while let Some(Err(why)) = check.map(|check| check(address)) {
        if begin.elapsed() >= limit + preparing {
            let limit_ms = all.ready_limit_ms;
            return Err(RemoteError::Refused {
                place: session.place.name.clone(),
                why: format!(
                    "node {} was not ready within {limit_ms} ms: {why}",
                    spec.name
                ),
            });
        }
        thread::sleep(REACH_POLL);
    }
    Ok(())
}

/// A command as the agent is told it.
fn on_wire(command: &NodeCommand, node: &Name) -> Result<wire::Command, RemoteError> {
    let text = |part: &std::ffi::OsStr| {
        let text = part.to_str().map(str::to_owned);
        text.ok_or_else(|| RemoteError::Here(format!("an argument of node {node} is not text")))
    };
    let args = command.args.iter().map(|arg| text(arg));
    let env = command.env.iter();
    let env = env.map(|(name, value)| Ok((text(name)?, text(value)?)));
    Ok(wire::Command {
        programs: vec![text(command.program.as_os_str())?],
        args: args.collect::<Result<_, _>>()?,
        env: env.collect::<Result<_, RemoteError>>()?,
    })
}

/// A node that serves must be reached from here too.
fn reach(
    session: &Session,
    node: &Name,
    address: SocketAddr,
    hint: &'static str,
) -> Result<(), RemoteError> {
    let deadline = Instant::now() + REACH_LIMIT;
    loop {
        let Err(error) = TcpStream::connect_timeout(&address, CONNECT_LIMIT) else {
            return Ok(());
        };
        if Instant::now() >= deadline {
            return Err(RemoteError::Unreachable {
                node: node.to_string(),
                place: session.place.name.clone(),
                address,
                why: error.to_string(),
                hint,
            });
        }
        thread::sleep(REACH_POLL);
    }
}
