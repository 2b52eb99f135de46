//! A cluster with a node on each of several hosts, or in each of several containers.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use faults::{
    Clock, Commands, Distortion, LimitShown, Membership, Name, NetworkAbility, Resource, Rule,
    RuleCounts, Target, TargetError, Unavailable,
};
use histories::Value;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::docker::{self, Lease};
use super::error::RemoteError;
use super::host::Host;
use super::launch::{self, RemoteNode, RemoteNodes};
use super::logs::Logs;
use super::net::{Ends, Map};
use super::session::{OnExit, Session};
use super::wire::{Ask, Cut, Examined, Exit, Limited, from_json};
use super::{source_towards, ssh};
use crate::node::{ExitCallback, NodeExit};

/// Hosts, or containers, with an agent on each, and a node on each once it is started. Dropping it ends every agent,
/// which undoes everything first.
///
/// Evidence is that of [`Cluster`](crate::Cluster); pids are those of the node's host.
pub struct Remote {
    nodes: Vec<Placed>,
    map: Map,
    /// What is in force, by node, so that a change that fails can be taken back.
    cuts: Mutex<Vec<Vec<Cut>>>,
    examined: OnceLock<Result<Vec<Examined>, String>>,
    membership: Option<Box<dyn Membership + Send + Sync>>,
    commands: Option<Box<dyn Commands + Send + Sync>>,
    on_exit: Arc<OnceLock<ExitCallback>>,
    /// What the containers are part of, if that is where the nodes are. The last to go.
    lease: Option<Lease>,
}

/// A node and its host.
struct Placed {
    name: Name,
    session: Arc<Session>,
    logs: Mutex<Option<Logs>>,
}

/// Where a node runs.
#[derive(Debug, Clone)]
pub struct NodePlace {
    /// The node.
    pub name: Name,
    /// The address by which nodes and clients reach it.
    pub address: Ipv4Addr,
    /// The folder there that is the node's own.
    pub folder: PathBuf,
    /// What runs commands about the node in its container; none on a host, where they are run on this
    /// machine.
    pub shell: Option<Shell>,
}

/// Runs commands where a node is.
#[derive(Debug, Clone)]
pub struct Shell {
    session: Arc<Session>,
}

impl Shell {
    /// What a command prints that ends within the limit, with status 0; in words why there is none.
    pub fn run(&self, words: &[String], limit_ms: u64) -> Result<String, String> {
        let ask = Ask::Run {
            words: words.to_vec(),
            limit_ms,
        };
        let limit = Duration::from_millis(limit_ms);
        let said = self.session.ask(ask, limit);
        said.map_err(|error| error.to_string())
    }
}

/// Does something for each, side by side, and returns what came of it in order.
fn for_each<T: Send, R: Send>(
    all: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || work(one)))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

impl Remote {
    /// Connects to each host, in order for the nodes of these names, and puts an agent there.
    ///
    /// Also returns where each node will run.
    ///
    /// # Errors
    /// A host cannot be used, or not as one among these. Then no agent is left.
    pub fn connect(hosts: &[Host], names: &[Name]) -> Result<(Self, Vec<NodePlace>), RemoteError> {
        let addresses: Vec<Ipv4Addr> = hosts.iter().map(Host::resolve).collect::<Result<_, _>>()?;
        check_apart(hosts, &addresses)?;
        let on_exit: Arc<OnceLock<ExitCallback>> = Arc::default();
        let open =
            |(host, name): (&Host, &Name)| ssh::open(&host.name, exit_teller(&on_exit, name));
        let opened = for_each(hosts.iter().zip(names), open);
        let sessions: Vec<Session> = opened.into_iter().collect::<Result<_, _>>()?;
        Self::of(names, sessions, &addresses, on_exit, None)
    }

    /// Makes a container of this image for each node, in order for these names, with an agent in each.
    ///
    /// Also returns where each node will run.
    ///
    /// # Errors
    /// There is no engine, or no container to be had of it. Then nothing of it is left.
    pub fn contain(image: &str, names: &[Name]) -> Result<(Self, Vec<NodePlace>), RemoteError> {
        let nodes: Vec<&str> = names.iter().map(|name| &**name).collect();
        let lease = Lease::take(image, &nodes)?;
        let on_exit: Arc<OnceLock<ExitCallback>> = Arc::default();
        let open = |name: &Name| {
            let (session, address) = lease.open(name, exit_teller(&on_exit, name))?;
            docker::meet(&session, address).map_err(RemoteError::NotMet)?;
            Ok((session, address))
        };
        let opened: Result<Vec<_>, _> = for_each(names, open).into_iter().collect();
        let (sessions, addresses): (Vec<Session>, Vec<Ipv4Addr>) = opened?.into_iter().unzip();
        Self::of(names, sessions, &addresses, on_exit, Some(lease))
    }

    fn of(
        names: &[Name],
        sessions: Vec<Session>,
        addresses: &[Ipv4Addr],
        on_exit: Arc<OnceLock<ExitCallback>>,
        lease: Option<Lease>,
    ) -> Result<(Self, Vec<NodePlace>), RemoteError> {
        let map = map(names, addresses, &sessions)?;
        let sessions: Vec<Arc<Session>> = sessions.into_iter().map(Arc::new).collect();
        let places = names.iter().zip(&sessions).zip(addresses);
        let places = places.map(|((name, session), address)| NodePlace {
            name: Arc::clone(name),
            address: *address,
            folder: PathBuf::from(&session.folder).join(&**name),
            shell: lease.as_ref().map(|_| Shell {
                session: Arc::clone(session),
            }),
        });
        let places = places.collect();
        let nodes = names.iter().zip(sessions).map(|(name, session)| Placed {
            name: Arc::clone(name),
            session,
            logs: Mutex::default(),
        });
        let remote = Remote {
            cuts: Mutex::new(vec![Vec::new(); names.len()]),
            nodes: nodes.collect(),
            map,
            examined: OnceLock::new(),
            membership: None,
            commands: None,
            on_exit,
            lease,
        };
        Ok((remote, places))
    }

    /// Starts every node and waits until each is ready, and reached from this machine.
    ///
    /// # Errors
    /// The first node that did not come up says why.
    pub fn start(&self, spec: RemoteNodes) -> Result<(), RemoteError> {
        // Set once: a cluster is started once.
        let _ = self.on_exit.set(Arc::clone(&spec.on_exit));
        for (placed, node) in self.nodes.iter().zip(&spec.nodes) {
            let logs = Logs::fetch(Arc::clone(&placed.session), node.fetched.clone())?;
            *lock(&placed.logs) = Some(logs);
        }
        let hint = match self.lease {
            Some(_) => docker::NOT_REACHED,
            None => {
                "a firewall between, or give the host as HOST=ADDRESS if it has another address"
            }
        };
        let of_image = self.lease.as_ref().and_then(|lease| lease.user.as_deref());
        let user = spec.user.as_deref().or(of_image);
        let launch = |(placed, node): (&Placed, &RemoteNode)| {
            let address = self.map.of(&placed.name).ok().and_then(Ends::first);
            let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED);
            launch::launch(&placed.session, node, &spec, address, user, hint)
        };
        let mut all = self.nodes.iter().zip(&spec.nodes);
        match spec.one_by_one {
            true => all.try_for_each(launch),
            false => for_each(all, launch).into_iter().collect(),
        }
    }

    /// From now on members can be changed, by the interface of the system that the nodes run.
    pub fn set_membership(&mut self, membership: Box<dyn Membership + Send + Sync>) {
        self.membership = Some(membership);
    }

    /// From now on the system can be told to do what these commands do.
    pub fn set_commands(&mut self, commands: Box<dyn Commands + Send + Sync>) {
        self.commands = Some(commands);
    }

    /// The first host that does not answer any more, if one does not. What clients see is not to be
    /// trusted then: what became of its node is not known.
    pub fn lost(&self) -> Option<RemoteError> {
        self.nodes.iter().find_map(|node| node.session.lost())
    }

    /// Ends every node, fetches what is left of its logs, and lets the agents undo everything and leave.
    ///
    /// # Errors
    /// A host was lost, or something could not be undone. Every host is tried; the first is returned.
    pub fn stop(mut self) -> Result<(), RemoteError> {
        let stop = |node: &Placed| {
            let ended: Result<(), RemoteError> = node.session.ask(Ask::Stop, Duration::ZERO);
            let fetched = match lock(&node.logs).take() {
                Some(logs) => logs.finish(),
                None => Ok(()),
            };
            ended.and(fetched).and(node.session.leave())
        };
        let stopped: Result<(), RemoteError> = for_each(&self.nodes, stop).into_iter().collect();
        stopped.and(self.lease.take().map_or(Ok(()), Lease::end))
    }

    fn session(&self, node: &str) -> Result<&Session, TargetError> {
        Ok(&self.nodes[self.map.place(node)?].session)
    }

    fn ask<T: DeserializeOwned>(
        &self,
        node: &str,
        ask: Ask,
        extra_ms: u64,
    ) -> Result<T, TargetError> {
        let asked = self
            .session(node)?
            .ask(ask, Duration::from_millis(extra_ms));
        asked.map_err(|error| TargetError(error.to_string()))
    }

    fn evidence(&self, node: &str, ask: Ask, extra_ms: u64) -> Result<Value, TargetError> {
        let json: Json = self.ask(node, ask, extra_ms)?;
        Ok(from_json(&json))
    }

    /// What each host allows, asked once.
    fn examined(&self) -> Result<&[Examined], Unavailable> {
        let examine = || {
            let ask = |node: &Placed| node.session.ask(Ask::Examine, Duration::ZERO);
            let all: Result<Vec<Examined>, RemoteError> =
                for_each(&self.nodes, ask).into_iter().collect();
            all.map_err(|error| error.to_string())
        };
        let examined = self.examined.get_or_init(examine).as_deref();
        examined.map_err(|cause| Unavailable {
            cause: cause.clone(),
            remedy: "`whitewater doctor --hosts …` tries each host, `whitewater doctor --docker` \
                     containers"
                .into(),
        })
    }

    /// Whether every host allows it; the first that does not says why.
    fn all_allow(
        &self,
        what: impl Fn(&Examined) -> &Result<(), Unavailable>,
    ) -> Result<(), Unavailable> {
        for (node, examined) in self.nodes.iter().zip(self.examined()?) {
            if let Err(Unavailable { cause, remedy }) = what(examined) {
                let place = &node.session.place.name;
                return Err(Unavailable {
                    cause: format!("on {place}: {cause}"),
                    remedy: remedy.clone(),
                });
            }
        }
        Ok(())
    }

    fn set_cuts(&self, cuts: &[Vec<Cut>]) -> Result<(), RemoteError> {
        let set = |(node, cuts): (&Placed, &Vec<Cut>)| {
            let ask = Ask::Cut { cuts: cuts.clone() };
            node.session.ask(ask, Duration::ZERO)
        };
        for_each(self.nodes.iter().zip(cuts), set)
            .into_iter()
            .collect()
    }
}

/// Two nodes on one host would share its address, and a cut between them could not be.
fn check_apart(hosts: &[Host], addresses: &[Ipv4Addr]) -> Result<(), RemoteError> {
    for (at, (host, address)) in hosts.iter().zip(addresses).enumerate() {
        let same = addresses[..at].iter().position(|other| other == address);
        if let Some(other) = same {
            return Err(RemoteError::NoHost {
                given: host.to_string(),
                why: format!("it has the address {address} of host {}", hosts[other].name),
            });
        }
        if address.is_loopback() && hosts.len() > 1 {
            return Err(RemoteError::NoHost {
                given: host.to_string(),
                why: format!("other hosts cannot reach {address}"),
            });
        }
    }
    Ok(())
}

/// All addresses that packets of nodes and clients have, as each end of each way says.
fn map(names: &[Name], addresses: &[Ipv4Addr], sessions: &[Session]) -> Result<Map, RemoteError> {
    let sources = for_each(0..sessions.len(), |at| {
        let others = addresses
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at);
        let peers = others.map(|(_, address)| *address).collect();
        let sources: Result<Vec<Ipv4Addr>, _> =
            sessions[at].ask(Ask::Sources { peers }, Duration::ZERO);
        sources
    });
    let mut map = Map::default();
    for (((name, address), session), sources) in
        names.iter().zip(addresses).zip(sessions).zip(sources)
    {
        let mut ends = Ends::default();
        ends.add([*address]);
        ends.add(sources?);
        ends.add(session.hello.reached);
        map.nodes.push((Arc::clone(name), ends));
    }
    let is_nodes =
        |address: &Ipv4Addr, map: &Map| map.nodes.iter().any(|(_, ends)| ends.0.contains(address));
    for (address, session) in addresses.iter().zip(sessions) {
        let place = &session.place.name;
        let ours = source_towards(*address).map_err(|error| {
            RemoteError::Here(format!("there is no way to {address} of {place}: {error}"))
        })?;
        if is_nodes(&ours, &map) {
            return Err(RemoteError::NoHost {
                given: place.clone(),
                why: format!(
                    "clients would reach it from {ours}, the address of a node, and could not be \
                     told from that node (hint: start the run from a machine that is none of the \
                     hosts; nodes on this machine need no --hosts)"
                ),
            });
        }
        map.clients.add([ours]);
        // By the way over another of the hosts, it is that host's.
        map.clients
            .add(session.hello.from.filter(|from| !is_nodes(from, &map)));
    }
    Ok(map)
}

/// What passes on that this node ended by itself.
fn exit_teller(on_exit: &Arc<OnceLock<ExitCallback>>, node: &Name) -> OnExit {
    let (node, on_exit) = (Arc::clone(node), Arc::clone(on_exit));
    Box::new(move |exit| tell_exit(&on_exit, &node, exit))
}

fn tell_exit(on_exit: &OnceLock<ExitCallback>, node: &Name, exit: Exit) {
    use std::os::unix::process::ExitStatusExt;
    if let Some(on_exit) = on_exit.get() {
        on_exit(NodeExit {
            node: Arc::clone(node),
            status: std::process::ExitStatus::from_raw(exit.status),
            last_lines: exit.last_lines,
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Everything behind these is replaced in one move.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Target for Remote {
    fn nodes(&self) -> Vec<Name> {
        self.nodes
            .iter()
            .map(|node| Arc::clone(&node.name))
            .collect()
    }

    fn kill(&self, node: &str) -> Result<Value, TargetError> {
        self.evidence(node, Ask::Kill, 0)
    }

    fn terminate(&self, node: &str, grace_ms: u64) -> Result<Value, TargetError> {
        self.evidence(node, Ask::Terminate { grace_ms }, grace_ms)
    }

    fn start(&self, node: &str) -> Result<Value, TargetError> {
        self.evidence(node, Ask::Start, 0)
    }

    fn pause(&self, node: &str) -> Result<Value, TargetError> {
        self.evidence(node, Ask::Pause, 0)
    }

    fn resume(&self, node: &str) -> Result<Value, TargetError> {
        self.evidence(node, Ask::Resume, 0)
    }

    fn network(&self) -> Result<&dyn faults::Network, Unavailable> {
        Ok(self)
    }

    fn clocks(&self) -> Result<&dyn faults::Clocks, Unavailable> {
        self.all_allow(|examined| &examined.clocks)?;
        Ok(self)
    }

    fn disks(&self) -> Result<&dyn faults::Disks, Unavailable> {
        Err(only_here(
            "the nodes' data folders are on their hosts' or containers' own file systems",
        ))
    }

    fn membership(&self) -> Result<&dyn Membership, Unavailable> {
        match &self.membership {
            Some(membership) => Ok(&**membership),
            None => Err(crate::cluster::no_membership()),
        }
    }

    fn commands(&self) -> Result<&dyn Commands, Unavailable> {
        match &self.commands {
            Some(commands) => Ok(&**commands),
            None => Err(faults::no_commands()),
        }
    }

    fn boots(&self) -> Result<&dyn faults::Boots, Unavailable> {
        Err(only_here(
            "nodes on hosts and in containers have the clocks of elapsed time of their machines",
        ))
    }

    fn limits(&self) -> Result<&dyn faults::Limits, Unavailable> {
        Ok(self)
    }
}

/// Why a fault cannot be had on hosts or in containers.
fn only_here(cause: &str) -> Unavailable {
    Unavailable {
        cause: cause.into(),
        remedy: "run without --hosts and --docker, in the sandbox of one machine".into(),
    }
}

impl faults::Network for Remote {
    fn can(&self, ability: NetworkAbility) -> Result<(), Unavailable> {
        match ability {
            NetworkAbility::Cut => self.all_allow(|examined| &examined.cuts),
            NetworkAbility::ResetConnections => self.all_allow(|examined| &examined.resets),
            NetworkAbility::TreatPackets => Err(only_here(
                "between hosts, and between containers, there is no switch of ours",
            )),
        }
    }

    fn set_rules(&self, rules: &[Rule]) -> Result<(), TargetError> {
        let cuts = self.map.cuts(rules)?;
        let mut standing = lock(&self.cuts);
        match self.set_cuts(&cuts) {
            Ok(()) => {
                *standing = cuts;
                Ok(())
            }
            Err(error) => {
                // Some hosts may have taken it. What fails here too is healed with the agent's end.
                let _ = self.set_cuts(&standing);
                Err(TargetError(error.to_string()))
            }
        }
    }

    fn counts(&self, fault: u64) -> RuleCounts {
        let count = |node: &Placed| {
            let counted = node
                .session
                .ask::<u64>(Ask::Counts { fault }, Duration::ZERO);
            // A host that is lost has dropped nothing that is known of.
            counted.unwrap_or(0)
        };
        let packets = for_each(&self.nodes, count).into_iter().sum();
        RuleCounts {
            packets,
            affected: packets,
            ..RuleCounts::default()
        }
    }

    fn reset_connections(
        &self,
        node: &str,
        others: &[Name],
        ports: &[u16],
    ) -> Result<Value, TargetError> {
        let mut peers = Vec::new();
        for other in others {
            peers.extend(&self.map.of(other)?.0);
        }
        let ports = ports.to_vec();
        let count: u64 = self.ask(node, Ask::Reset { peers, ports }, 0)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Value::Map(vec![("reset".into(), count.into())]))
    }
}

impl faults::Clocks for Remote {
    fn set_distortions(
        &self,
        node: &str,
        clock: Clock,
        distortions: &[(u64, Distortion)],
    ) -> Result<Value, TargetError> {
        let distortions = distortions.to_vec();
        self.evidence(node, Ask::Distort { clock, distortions }, 0)
    }
}

impl faults::Limits for Remote {
    fn limit(
        &self,
        node: &str,
        resource: Resource,
        amount: Option<u64>,
    ) -> Result<LimitShown, TargetError> {
        let limited: Limited = self.ask(node, Ask::Limit { resource, amount }, 0)?;
        Ok(LimitShown {
            evidence: from_json(&limited.evidence),
            was_reached: limited.was_reached,
            is_reached: limited.is_reached,
        })
    }
}
