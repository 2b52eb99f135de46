//! The network of a cluster: one host per node, one for the clients, one for the controller.
//!
//! Each host is a network namespace with one interface `eth0`, an address in one common subnet and
//! permanent neighbour entries for all others, so no address resolution ever happens: a cut link is
//! silent as a real one is, and never answers "no route to host". The cables end in a namespace of
//! the switch's own. Namespaces are held as file descriptors and by nothing else.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use faults::{Link, Name, NetworkAbility, Rule, RuleCounts, TargetError, Treatment, Unavailable};
use histories::Value;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{ClusterError, SystemCall};
use crate::switch::{CaptureSpec, LinkCounts, Switch};
use bridge::Bridge;

pub use addresses::{Addresses, CONTROL, NODES_MAX};
pub use entrance::Entrance;

mod addresses;
pub(crate) mod bridge;
pub(crate) mod connections;
mod entrance;
pub(crate) mod links;
pub(crate) mod namespace;

/// What a network is to be like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// What joins the cables.
    pub backend: Backend,
    /// What the fates of packets are drawn from.
    pub seed: u64,
    /// Where every frame is kept, if anywhere. Only the switch can.
    pub capture: Option<CaptureSpec>,
}

/// What joins the cables of a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Our own switch: every fault, on every machine that allows namespaces.
    #[default]
    Switch,
    /// The kernel's bridge with nf_tables: cuts and resets only, where there is `nft`; nearest to
    /// bare speed.
    Bridge,
}

/// The hosts, their cables and what joins them. Dropping it takes all of it down.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    fabric: Fabric,
    /// Whether the hosts cut up what they send themselves.
    is_segmented: Mutex<bool>,
    /// Keeps the bridge, which no socket of ours does.
    _switch_namespace: Arc<OwnedFd>,
}

#[derive(Debug)]
enum Fabric {
    Switch(Switch),
    Bridge(Bridge),
}

/// A rule, and its links by what a back end knows ports by.
pub(crate) type Placed<T> = (Arc<Rule>, Vec<(T, T)>);

/// One port of the network and the namespace behind it.
#[derive(Debug)]
pub(crate) struct Host {
    pub name: Name,
    /// The last byte of its address on the network and of its hardware address.
    pub number: u8,
    pub address: Ipv4Addr,
    pub namespace: Arc<OwnedFd>,
}

impl Network {
    /// Builds namespaces, cables and what joins them. Needs the abilities of root over this
    /// process's network namespace, which it leaves alone.
    pub fn build(addresses: &Addresses, spec: &NetworkSpec) -> Result<Self, ClusterError> {
        let switch_namespace = Arc::new(namespace::create()?);
        let mut hosts = Vec::new();
        for port in addresses.ports() {
            hosts.push(Host {
                name: Name::clone(&port.name),
                number: port.number,
                address: port.address,
                namespace: Arc::new(namespace::create()?),
            });
        }
        links::lay_cables(&switch_namespace, &hosts)?;
        let fabric = match spec.backend {
            Backend::Switch => {
                let ports = hosts.iter().map(|host| (&*host.name, host.number));
                let ports: Vec<(&str, u8)> = ports.collect();
                let capture = spec.capture.as_ref();
                Fabric::Switch(Switch::start(
                    &switch_namespace,
                    &ports,
                    spec.seed,
                    capture,
                )?)
            }
            Backend::Bridge => {
                let nft = bridge::Nft::find().map_err(ClusterError::Unavailable)?;
                links::bridge_cables(&switch_namespace, &hosts)?;
                let entrance = Entrance::to(Arc::clone(&switch_namespace));
                Fabric::Bridge(Bridge::start(nft, entrance)?)
            }
        };
        Ok(Self {
            hosts,
            fabric,
            is_segmented: Mutex::new(false),
            _switch_namespace: switch_namespace,
        })
    }

    /// The way into the namespace of a node, of [`faults::CLIENTS`] or of [`CONTROL`].
    pub fn entrance(&self, name: &str) -> Option<Entrance> {
        let host = self.hosts.iter().find(|host| &*host.name == name)?;
        Some(Entrance::to(Arc::clone(&host.namespace)))
    }

    /// What became of the packets of one directed link so far; `None` if there is no such link, or
    /// the kernel forwards.
    pub fn counts(&self, link: &Link) -> Option<LinkCounts> {
        match &self.fabric {
            Fabric::Switch(switch) => {
                Some(switch.counts(self.port(&link.from)?, self.port(&link.to)?))
            }
            Fabric::Bridge(_) => None,
        }
    }

    /// How many packets were lost so far because the switch did not keep up: losses that no fault
    /// asked for.
    pub fn missed_packets(&self) -> u64 {
        match &self.fabric {
            Fabric::Switch(switch) => switch.missed(),
            Fabric::Bridge(_) => 0,
        }
    }

    fn port(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| &*host.name == name)
    }

    /// The host at a port that faults may touch.
    fn touchable(&self, name: &str) -> Result<(usize, &Host), TargetError> {
        let at = self.port(name).filter(|_| name != CONTROL);
        let at =
            at.ok_or_else(|| TargetError(format!("cannot touch a link of {name}: no such port")))?;
        Ok((at, &self.hosts[at]))
    }

    /// Each rule with its links, as what `end` names them by.
    fn resolve<T>(
        &self,
        rules: &[Rule],
        end: impl Fn((usize, &Host)) -> T,
    ) -> Result<Vec<Placed<T>>, TargetError> {
        let link = |link: &Link| {
            if link.from == link.to {
                let name = &link.from;
                return Err(TargetError(format!(
                    "there is no link from {name} to itself"
                )));
            }
            Ok((
                end(self.touchable(&link.from)?),
                end(self.touchable(&link.to)?),
            ))
        };
        let rule = |rule: &Rule| {
            let links = rule.links.iter().map(link).collect::<Result<_, _>>()?;
            Ok((Arc::new(rule.clone()), links))
        };
        rules.iter().map(rule).collect()
    }

    /// Sees to it that a packet is a packet, before the first is treated by chance.
    fn segment(&self) -> Result<(), TargetError> {
        let mut is_segmented = self
            .is_segmented
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !*is_segmented {
            links::segment_on_hosts(&self.hosts).map_err(|error| TargetError(error.to_string()))?;
            *is_segmented = true;
        }
        Ok(())
    }
}

impl faults::Network for Network {
    fn can(&self, ability: NetworkAbility) -> Result<(), Unavailable> {
        match (ability, &self.fabric) {
            (NetworkAbility::Cut, _) | (NetworkAbility::TreatPackets, Fabric::Switch(_)) => Ok(()),
            (NetworkAbility::TreatPackets, Fabric::Bridge(_)) => Err(Unavailable {
                cause: "the network's back end `bridge` can only cut links".into(),
                remedy: "use `--network switch`".into(),
            }),
            (NetworkAbility::ResetConnections, _) => can_reset(&self.hosts),
        }
    }

    fn set_rules(&self, rules: &[Rule]) -> Result<(), TargetError> {
        let is_cut = |rule: &Rule| matches!(rule.treatment, Treatment::Cut { .. });
        let only_cuts = rules.iter().all(is_cut);
        match &self.fabric {
            Fabric::Switch(switch) => {
                let rules = self.resolve(rules, |(port, _)| port)?;
                if !only_cuts {
                    self.segment()?;
                }
                switch.set_rules(&rules);
                Ok(())
            }
            Fabric::Bridge(bridge) if only_cuts => {
                bridge.set_rules(&self.resolve(rules, |(_, host)| host.address)?)
            }
            Fabric::Bridge(_) => self
                .can(NetworkAbility::TreatPackets)
                .map_err(|unavailable| TargetError(unavailable.to_string())),
        }
    }

    fn counts(&self, fault: u64) -> RuleCounts {
        match &self.fabric {
            Fabric::Switch(switch) => switch.rule_counts(fault),
            Fabric::Bridge(bridge) => bridge.rule_counts(fault),
        }
    }

    fn reset_connections(
        &self,
        node: &str,
        others: &[Name],
        ports: &[u16],
    ) -> Result<Value, TargetError> {
        let (_, host) = self.touchable(node)?;
        let peers = others
            .iter()
            .map(|other| Ok(self.touchable(other)?.1.address))
            .collect::<Result<Vec<_>, TargetError>>()?;
        let host = Entrance::to(Arc::clone(&host.namespace));
        let reset = host.run(|| connections::reset(&peers, ports, None));
        let count = reset.and_then(|outcome| outcome).map_err(|error| {
            TargetError(format!("cannot reset the connections of {node}: {error}"))
        })?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Ok(Value::Map(vec![("reset".into(), count.into())]))
    }
}

/// Tries it where nobody is hurt.
fn can_reset(hosts: &[Host]) -> Result<(), Unavailable> {
    let Some(host) = hosts.iter().find(|host| &*host.name == CONTROL) else {
        return Ok(());
    };
    let host = Entrance::to(Arc::clone(&host.namespace));
    let tried = host.run(connections::try_reset).and_then(|tried| tried);
    tried.map_err(|error| Unavailable {
        remedy: reset_remedy(&error).into(),
        cause: error.to_string(),
    })
}

/// What to do about a kernel that does not end connections.
pub(crate) fn reset_remedy(error: &SystemCall) -> &'static str {
    match error.error {
        Errno::EOPNOTSUPP => "a kernel with CONFIG_INET_DIAG_DESTROY=y",
        Errno::ENOENT | Errno::EPROTONOSUPPORT => "`sudo modprobe tcp_diag`",
        _ => "run as root",
    }
}
