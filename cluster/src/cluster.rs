//! Nodes and network together.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use faults::{
    CLIENTS, Clock, Commands, DiskRule, Distortion, LimitShown, Membership, Name, Resource, Spot,
    Target, TargetError, Unavailable,
};
use histories::Value;

use crate::clock::Keeper;
use crate::disk::{self, Loss, NodeDisk};
use crate::doctor;
use crate::error::ClusterError;
use crate::mode::Mode;
use crate::network::{Addresses, CONTROL, Entrance, Network, NetworkSpec};
use crate::node::limits::cgroup::TOKEN;
use crate::node::limits::janitor::Janitor;
use crate::node::{ExitCallback, Node, NodeSpec, Process, Readiness, evidence, tail_text};

/// Between two looks at a node that is not ready yet.
const READINESS_POLL: Duration = Duration::from_millis(5);

/// How long one attempt to connect to a node may take.
const CONNECT_LIMIT: Duration = Duration::from_millis(250);

/// What a cluster is made of.
pub struct ClusterSpec {
    /// Where the nodes run and under which addresses.
    pub addresses: Addresses,
    /// What runs as each node; one for each name that has an address.
    pub nodes: Vec<NodeSpec>,
    /// What the network between them is like, in a sandbox.
    pub network: NetworkSpec,
    /// Whether every node gets a disk of ours below its data folder, which faults of disks need.
    /// Where this machine cannot have one, the nodes run without, and
    /// [`disks`](faults::Target::disks) says why.
    pub disk_faults: bool,
    /// Whether each node must be ready before the next is prepared and started.
    pub one_by_one: bool,
    /// Within how long every node must be ready after the start.
    pub ready_limit_ms: u64,
    /// Told of every unexpected end of a node, during the start too.
    pub on_exit: ExitCallback,
}

/// A running cluster. Dropping it ends every process of every node.
///
/// The evidence that it gives as a [`Target`]: of a kill, the pids that are no more, `{"gone" [412
/// 413]}`; of a request to end, how it ended besides; of a pause or resume, each process with the state that the kernel reports, `[{"pid" 412
/// "state" "T"}]`; of a start, the pid of the node's init, `{"init" 411}`. All pids are as the
/// controller sees them, and only the last is an init's.
pub struct Cluster {
    addresses: Addresses,
    nodes: Arc<[Node]>,
    network: Option<Network>,
    /// Whether nodes have a disk of ours, or why not.
    disks: Result<(), Unavailable>,
    clock_keeper: Keeper,
    /// Whether clocks can be changed here, once it was tried.
    clocks_tried: OnceLock<Result<(), Unavailable>>,
    /// Whether nodes can have clocks of elapsed time of their own here, once it was tried.
    boots_tried: OnceLock<Result<(), Unavailable>>,
    membership: Option<Box<dyn Membership + Send + Sync>>,
    commands: Option<Box<dyn Commands + Send + Sync>>,
    /// Removes our cgroups when we cannot; in a sandbox whoever made that has one.
    _janitor: Option<Janitor>,
}

impl Cluster {
    /// Builds the network, starts every node and waits until each is ready.
    ///
    /// [`Mode::Sandbox`] needs to be called inside a [`Sandbox`](crate::Sandbox).
    pub fn start(spec: ClusterSpec) -> Result<Self, ClusterError> {
        let addresses = spec.addresses;
        check_names(&addresses, &spec.nodes)?;
        let network = match addresses.mode() {
            Mode::Sandbox => Some(Network::build(&addresses, &spec.network)?),
            Mode::Plain => {
                check_ports(&addresses, &spec.nodes)?;
                None
            }
        };
        let (janitor, token) = match addresses.mode() {
            Mode::Sandbox => (None, std::env::var(TOKEN).ok()),
            Mode::Plain => {
                let janitor = Janitor::start();
                let token = janitor.as_ref().map(|janitor| janitor.token().to_owned());
                (janitor, token)
            }
        };
        let token: Option<Arc<str>> = token.map(Arc::from);
        let disks = disks_here(spec.disk_faults, addresses.mode());
        let mut crashes = Vec::new();
        let mut nodes = Vec::new();
        for node in spec.nodes {
            let host = entrance(network.as_ref(), &node.name);
            let disk = match disks {
                Ok(()) => Some(open_disk(&node, &mut crashes)?),
                Err(_) => None,
            };
            let on_exit = spec.on_exit.clone();
            let cgroups = token.clone();
            nodes.push(Node::new(
                node,
                addresses.mode(),
                host,
                disk,
                on_exit,
                cgroups,
            ));
        }
        let cluster = Self {
            nodes: nodes.into(),
            addresses,
            network,
            clock_keeper: Keeper::default(),
            clocks_tried: OnceLock::new(),
            boots_tried: OnceLock::new(),
            disks,
            membership: None,
            commands: None,
            _janitor: janitor,
        };
        await_crashes(&cluster.nodes, crashes)?;
        let limit = Duration::from_millis(spec.ready_limit_ms);
        for node in cluster.nodes.iter() {
            node.prepare()?;
            node.start()?;
            if spec.one_by_one {
                cluster.await_node(node, Instant::now() + limit, spec.ready_limit_ms)?;
            }
        }
        let deadline = Instant::now() + limit;
        for node in cluster.nodes.iter() {
            cluster.await_node(node, deadline, spec.ready_limit_ms)?;
        }
        Ok(cluster)
    }

    /// From now on members can be changed, by the interface of the system that the nodes run.
    pub fn set_membership(&mut self, membership: Box<dyn Membership + Send + Sync>) {
        self.membership = Some(membership);
    }

    /// From now on the system can be told to do what these commands do.
    pub fn set_commands(&mut self, commands: Box<dyn Commands + Send + Sync>) {
        self.commands = Some(commands);
    }

    /// Who has which address.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The way to the host on which clients are to run.
    pub fn clients_entrance(&self) -> Entrance {
        entrance(self.network.as_ref(), CLIENTS)
    }

    /// The way to the host from which the controller can always reach every node, whatever is cut.
    pub fn control_entrance(&self) -> Entrance {
        entrance(self.network.as_ref(), CONTROL)
    }

    /// The network, where there is one: for counters and entrances.
    pub fn packet_network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// The pids of a node's processes as this process sees them, without the node's init.
    pub fn node_pids(&self, node: &str) -> Result<Vec<i32>, ClusterError> {
        let processes = self.node(node)?.processes()?;
        Ok(processes
            .iter()
            .map(|process| process.pid.as_raw())
            .collect())
    }

    /// Waits until a node is ready; fails at once if its process ends.
    pub fn await_ready(&self, node: &str, limit_ms: u64) -> Result<(), ClusterError> {
        let deadline = Instant::now() + Duration::from_millis(limit_ms);
        self.await_node(self.node(node)?, deadline, limit_ms)
    }

    /// Distorts a clock of a node's processes; [`faults::Clocks`] says how. Without asking first
    /// whether this machine allows it.
    fn distort(
        &self,
        node: &str,
        clock: Clock,
        distortions: &[(u64, Distortion)],
    ) -> Result<Value, ClusterError> {
        let evidence = self.node(node)?.set_distortions(clock, distortions)?;
        let kept = self.clock_keeper.look_after(&self.nodes);
        kept.map_err(|error| ClusterError::Node {
            action: "look after the clocks of",
            node: node.into(),
            error,
        })?;
        Ok(evidence)
    }

    /// Ends every process of every node and takes the network down.
    ///
    /// Every node is tried; the first failure is returned.
    pub fn stop(self) -> Result<(), ClusterError> {
        self.kill_all()
    }

    /// Ends every process of every node, and leaves their logs to be read.
    pub(crate) fn end(&self) -> Result<(), ClusterError> {
        self.kill_all()
    }

    fn kill_all(&self) -> Result<(), ClusterError> {
        let mut outcome = Ok(());
        for node in self.nodes.iter() {
            outcome = outcome.and(node.kill().map(drop)).and(node.unlimit());
        }
        outcome
    }

    fn node(&self, name: &str) -> Result<&Node, ClusterError> {
        self.nodes
            .iter()
            .find(|node| &*node.spec.name == name)
            .ok_or_else(|| ClusterError::NoSuchNode(name.into()))
    }

    fn disk(&self, name: &str) -> Result<(&Node, &NodeDisk), TargetError> {
        let node = self.node(name)?;
        let disk = node.disk();
        disk.map(|disk| (node, disk))
            .ok_or_else(|| TargetError(format!("node {name} has no disk of ours")))
    }

    fn await_node(
        &self,
        node: &Node,
        deadline: Instant,
        limit_ms: u64,
    ) -> Result<(), ClusterError> {
        let name = &node.spec.name;
        let address = self
            .addresses
            .of(name)
            .ok_or_else(|| ClusterError::NoSuchNode(name.to_string()))?;
        self.control_entrance().run(|| {
            loop {
                if let Some(exit) = node.exit() {
                    return Err(ClusterError::ExitedEarly(exit));
                }
                let Err(why) = try_ready(&node.spec.readiness, address) else {
                    return Ok(());
                };
                if Instant::now() >= deadline {
                    return Err(ClusterError::NotReady {
                        node: name.to_string(),
                        limit_ms,
                        why,
                        tail: tail_text(&node.last_lines()),
                    });
                }
                thread::sleep(READINESS_POLL);
            }
        })?
    }
}

impl Target for Cluster {
    fn nodes(&self) -> Vec<Name> {
        self.nodes
            .iter()
            .map(|node| node.spec.name.clone())
            .collect()
    }

    fn kill(&self, node: &str) -> Result<Value, TargetError> {
        Ok(Value::Map(vec![gone(&self.node(node)?.kill()?.processes)]))
    }

    fn terminate(&self, node: &str, grace_ms: u64) -> Result<Value, TargetError> {
        let end = self
            .node(node)?
            .terminate(Duration::from_millis(grace_ms))?;
        let took_ms = i64::try_from(end.took.as_millis()).unwrap_or(i64::MAX);
        let by = if end.was_killed { "SIGKILL" } else { "SIGTERM" };
        Ok(Value::Map(vec![
            gone(&end.gone),
            ("by".into(), by.into()),
            ("took_ms".into(), took_ms.into()),
        ]))
    }

    fn start(&self, node: &str) -> Result<Value, TargetError> {
        let init = i64::from(self.node(node)?.start()?.as_raw());
        Ok(Value::Map(vec![("init".into(), init.into())]))
    }

    fn pause(&self, node: &str) -> Result<Value, TargetError> {
        Ok(evidence(&self.node(node)?.pause()?))
    }

    fn resume(&self, node: &str) -> Result<Value, TargetError> {
        Ok(evidence(&self.node(node)?.resume()?))
    }

    fn disks(&self) -> Result<&dyn faults::Disks, Unavailable> {
        self.disks.clone().map(|()| self as &dyn faults::Disks)
    }

    fn commands(&self) -> Result<&dyn Commands, Unavailable> {
        match &self.commands {
            Some(commands) => Ok(&**commands),
            None => Err(faults::no_commands()),
        }
    }

    fn membership(&self) -> Result<&dyn Membership, Unavailable> {
        match &self.membership {
            Some(membership) => Ok(&**membership),
            None => Err(no_membership()),
        }
    }

    fn network(&self) -> Result<&dyn faults::Network, Unavailable> {
        match &self.network {
            Some(network) => Ok(network),
            None => Err(Unavailable {
                cause: "in plain mode the nodes share the loopback interface, and there is no \
                        network between them to break"
                    .into(),
                remedy: "run without --plain on a machine that allows namespaces; `whitewater \
                         doctor` says what this one lacks"
                    .into(),
            }),
        }
    }

    fn clocks(&self) -> Result<&dyn faults::Clocks, Unavailable> {
        let tried = self.clocks_tried.get_or_init(doctor::try_clocks);
        tried.clone().map(|()| self as &dyn faults::Clocks)
    }

    fn boots(&self) -> Result<&dyn faults::Boots, Unavailable> {
        if self.addresses.mode() == Mode::Plain {
            return Err(Unavailable {
                cause:
                    "in plain mode nodes have no namespaces, and so no clocks of elapsed time of \
                        their own"
                        .into(),
                remedy: "run without --plain on a machine that allows namespaces; `whitewater \
                         doctor` says what this one lacks"
                    .into(),
            });
        }
        let tried = self.boots_tried.get_or_init(doctor::try_boots);
        tried.clone().map(|()| self as &dyn faults::Boots)
    }

    fn limits(&self) -> Result<&dyn faults::Limits, Unavailable> {
        Ok(self)
    }
}

impl faults::Clocks for Cluster {
    fn set_distortions(
        &self,
        node: &str,
        clock: Clock,
        distortions: &[(u64, Distortion)],
    ) -> Result<Value, TargetError> {
        Ok(self.distort(node, clock, distortions)?)
    }
}

impl faults::Boots for Cluster {
    fn start_booted(&self, node: &str, uptime_ms: u64) -> Result<Value, TargetError> {
        let begin = Instant::now();
        let (init, shown) = self
            .node(node)?
            .start_booted(Duration::from_millis(uptime_ms))?;
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let mut evidence = vec![("init".into(), i64::from(init.as_raw()).into())];
        if let Some(shown) = shown {
            evidence.push(("uptime_ms".into(), ms(shown).into()));
            evidence.push(("passed_ms".into(), ms(begin.elapsed()).into()));
        }
        Ok(Value::Map(evidence))
    }
}

impl faults::Limits for Cluster {
    fn limit(
        &self,
        node: &str,
        resource: Resource,
        amount: Option<u64>,
    ) -> Result<LimitShown, TargetError> {
        Ok(self.node(node)?.limit(resource, amount)?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What cannot be ended now ends with the controller.
        let _ = self.kill_all();
    }
}

impl faults::Disks for Cluster {
    fn arm_power_loss(&self, node: &str) -> Result<(), TargetError> {
        self.disk(node)?.1.arm_power_loss();
        Ok(())
    }

    fn lose_power(&self, node: &str, wait_ms: u64) -> Result<Value, TargetError> {
        let (node, disk) = self.disk(node)?;
        disk.cut_power(Duration::from_millis(wait_ms));
        let killed = node.kill()?;
        let mut evidence = vec![gone(&killed.processes)];
        evidence.extend(killed.loss.iter().flat_map(Loss::evidence));
        Ok(Value::Map(evidence))
    }

    fn impose(&self, node: &str, fault: u64, rule: &DiskRule) -> Result<Value, TargetError> {
        self.disk(node)?.1.impose(fault, rule.clone());
        Ok(Value::Nil)
    }

    fn lift(&self, node: &str, fault: u64) -> Result<Value, TargetError> {
        let (_, disk) = self.disk(node)?;
        disk.lift(fault)
            .map_err(|error| TargetError(format!("cannot heal the disk of {node}: {error}")))
    }

    fn damage(&self, node: &str, path: &str, spots: &[Spot]) -> Result<Value, TargetError> {
        let (_, disk) = self.disk(node)?;
        disk.damage(path, spots)
            .map_err(|error| TargetError(format!("cannot damage the files of {node}: {error}")))
    }
}

/// Why members cannot be changed.
pub(crate) fn no_membership() -> Unavailable {
    Unavailable {
        cause: "it is not known how the members of this system are changed".into(),
        remedy: "choose a system whose members can be changed, such as raft-kv".into(),
    }
}

/// The pids of processes that were ended.
fn gone(processes: &[Process]) -> (Value, Value) {
    let pids = processes.iter();
    let pids = pids.map(|process| i64::from(process.pid.as_raw()).into());
    ("gone".into(), Value::List(pids.collect()))
}

/// Whether nodes can have disks of ours, or why not.
fn disks_here(are_wanted: bool, mode: Mode) -> Result<(), Unavailable> {
    if !are_wanted {
        return Err(Unavailable {
            cause: "the nodes' data folders are on this machine's own file system".into(),
            remedy: "run with --disk-faults".into(),
        });
    }
    if mode == Mode::Plain {
        return Err(Unavailable {
            cause: "in plain mode nodes have no mount namespaces, and so no disks of their own"
                .into(),
            remedy: "run without --plain on a machine that allows namespaces; `whitewater \
                     doctor` says what this one lacks"
                .into(),
        });
    }
    disk::available()
}

/// The disk of a node, and where it says that the node is to crash.
fn open_disk(node: &NodeSpec, crashes: &mut Vec<Receiver<()>>) -> Result<NodeDisk, ClusterError> {
    let (crashed, said) = channel();
    crashes.push(said);
    let kept = node.data_dir.with_extension("unsynced");
    NodeDisk::open(&node.data_dir, &kept, crashed).map_err(|error| ClusterError::File {
        path: node.data_dir.display().to_string(),
        error,
    })
}

/// For each of these nodes, kills it when its disk says so. Ends with the node.
fn await_crashes(nodes: &Arc<[Node]>, crashes: Vec<Receiver<()>>) -> Result<(), ClusterError> {
    for (at, said) in crashes.into_iter().enumerate() {
        let name = &nodes[at].spec.name;
        let all = Arc::downgrade(nodes);
        let watch = move || {
            for () in said {
                // What goes wrong shows when the fault is healed: its crash is not complete then.
                let _ = all.upgrade().map(|all| all[at].kill());
            }
        };
        let named = thread::Builder::new().name(format!("crash {name}"));
        named.spawn(watch).map_err(|error| ClusterError::Node {
            action: "watch the disk of",
            node: name.to_string(),
            error,
        })?;
    }
    Ok(())
}

fn entrance(network: Option<&Network>, name: &str) -> Entrance {
    network
        .and_then(|network| network.entrance(name))
        .unwrap_or_else(Entrance::plain)
}

/// Why a node is not ready, if it is not.
fn try_ready(readiness: &Readiness, address: Ipv4Addr) -> Result<(), String> {
    match readiness {
        Readiness::Started => Ok(()),
        Readiness::TcpPort(port) => try_port(address, *port),
        Readiness::Answer(port, check) => {
            try_port(address, *port)?;
            check(address)
        }
    }
}

fn try_port(address: Ipv4Addr, port: u16) -> Result<(), String> {
    let address = SocketAddr::from((address, port));
    match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("no connection to {address}: {error}")),
    }
}

/// Nobody else listens where a node is to serve. Else it would pass for the node.
fn check_ports(addresses: &Addresses, nodes: &[NodeSpec]) -> Result<(), ClusterError> {
    for node in nodes {
        let port = match &node.readiness {
            Readiness::Started => continue,
            Readiness::TcpPort(port) | Readiness::Answer(port, _) => port,
        };
        let Some(ip) = addresses.of(&node.name) else {
            continue;
        };
        let address = SocketAddr::from((ip, *port));
        // Whatever else is wrong with the address, the node will say.
        if TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse) {
            let node = node.name.to_string();
            return Err(ClusterError::AddressInUse { node, address });
        }
    }
    Ok(())
}

/// Every address has a node and every node an address.
fn check_names(addresses: &Addresses, nodes: &[NodeSpec]) -> Result<(), ClusterError> {
    let planned: BTreeSet<&Name> = addresses.nodes().map(|(name, _)| name).collect();
    let given: BTreeSet<&Name> = nodes.iter().map(|node| &node.name).collect();
    if planned != given || given.len() != nodes.len() {
        let problem = format!("addresses are for {planned:?}, commands for {given:?}");
        return Err(ClusterError::Names(problem));
    }
    Ok(())
}
