//! The network of a cluster: one host per node, one for the clients, one for the controller.
//!
//! Each host is a network namespace with one interface `eth0`, an address in one common subnet and
//! permanent neighbour entries for all others, so no address resolution ever happens: a cut link is
//! silent as a real one is, and never answers "no route to host". The cables end in a namespace of
//! the switch's own. Namespaces are held as file descriptors and by nothing else.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use faults::{Link, Name, TargetError};

use crate::error::ClusterError;
use crate::switch::{LinkCounts, Switch};

pub use addresses::{Addresses, CONTROL, NODES_MAX};
pub use entrance::Entrance;

mod addresses;
mod entrance;
pub(crate) mod links;
pub(crate) mod namespace;

/// The hosts, their cables and the switch between them. Dropping it takes all of it down.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    switch: Switch,
}

/// One port of the network and the namespace behind it.
#[derive(Debug)]
pub(crate) struct Host {
    pub name: Name,
    /// The last byte of its address on the network and of its hardware address.
    pub number: u8,
    pub address: std::net::Ipv4Addr,
    pub namespace: Arc<OwnedFd>,
}

impl Network {
    /// Builds namespaces, cables and switch. Needs the abilities of root over this process's
    /// network namespace, which it leaves alone.
    pub fn build(addresses: &Addresses) -> Result<Self, ClusterError> {
        let switch_namespace = namespace::create()?;
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
        let numbers: Vec<u8> = hosts.iter().map(|host| host.number).collect();
        let switch = Switch::start(&switch_namespace, &numbers)?;
        Ok(Self { hosts, switch })
    }

    /// The way into the namespace of a node, of [`faults::CLIENTS`] or of [`CONTROL`].
    pub fn entrance(&self, name: &str) -> Option<Entrance> {
        let host = self.hosts.iter().find(|host| &*host.name == name)?;
        Some(Entrance::to(Arc::clone(&host.namespace)))
    }

    /// What became of the packets of one directed link so far; `None` if there is no such link.
    pub fn counts(&self, link: &Link) -> Option<LinkCounts> {
        Some(
            self.switch
                .counts(self.port(&link.from)?, self.port(&link.to)?),
        )
    }

    /// How many packets were lost so far because the switch did not keep up: losses that no fault
    /// asked for.
    pub fn missed_packets(&self) -> u64 {
        self.switch.missed()
    }

    fn port(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| &*host.name == name)
    }

    /// Both ends of a link that faults may cut.
    fn cuttable(&self, link: &Link) -> Result<(usize, usize), TargetError> {
        let port = |name: &Name| {
            self.port(name)
                .filter(|_| &**name != CONTROL)
                .ok_or_else(|| TargetError(format!("cannot cut a link of {name}: no such port")))
        };
        let (from, to) = (port(&link.from)?, port(&link.to)?);
        if from == to {
            return Err(TargetError(format!(
                "cannot cut {} off from itself",
                link.from
            )));
        }
        Ok((from, to))
    }
}

impl faults::Network for Network {
    fn set_cuts(&self, cuts: &[Link]) -> Result<(), TargetError> {
        let cuts: BTreeSet<_> = cuts
            .iter()
            .map(|link| self.cuttable(link))
            .collect::<Result<_, _>>()?;
        self.switch.set_cuts(&cuts);
        Ok(())
    }

    fn dropped_packets(&self, links: &[Link]) -> u64 {
        links
            .iter()
            .filter_map(|link| self.counts(link))
            .map(|counts| counts.cut)
            .sum()
    }
}
