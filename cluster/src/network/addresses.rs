//! Who has which address.

use std::net::Ipv4Addr;

use faults::{CLIENTS, Name};

use crate::error::ClusterError;
use crate::mode::Mode;

/// The port of the controller's own questions to the nodes. It is never cut.
pub const CONTROL: &str = "control";

/// How many nodes fit into one network.
pub const NODES_MAX: usize = 200;

const CLIENTS_NUMBER: u8 = 201;
const CONTROL_NUMBER: u8 = 202;

const SANDBOX_SUBNET: [u8; 3] = [10, 77, 0];
const PLAIN_SUBNET: [u8; 3] = [127, 77, 0];

/// The addresses of a cluster's nodes, known before anything is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    mode: Mode,
    nodes: Vec<Port>,
    subnet: [u8; 3],
}

/// One port of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub name: Name,
    pub number: u8,
    pub address: Ipv4Addr,
}

impl Addresses {
    /// Gives every node an address: 10.77.0.1 and on in a sandbox, 127.77.0.1 and on otherwise.
    ///
    /// Names are kept short and simple (a host name has to be made of each), and differ.
    pub fn plan<N: AsRef<str>>(mode: Mode, names: &[N]) -> Result<Self, ClusterError> {
        let subnet = match mode {
            Mode::Sandbox => SANDBOX_SUBNET,
            Mode::Plain => PLAIN_SUBNET,
        };
        Self::plan_in(mode, subnet, names)
    }

    /// Likewise with the first three bytes of the addresses given. In plain mode they must begin
    /// with 127; two runs at once on one machine need different ones there.
    pub fn plan_in<N: AsRef<str>>(
        mode: Mode,
        subnet: [u8; 3],
        names: &[N],
    ) -> Result<Self, ClusterError> {
        if names.is_empty() {
            return Err(ClusterError::Names(
                "a cluster has at least one node".into(),
            ));
        }
        if names.len() > NODES_MAX {
            let count = names.len();
            let problem = format!("{count} nodes are more than the {NODES_MAX} that fit");
            return Err(ClusterError::Names(problem));
        }
        if mode == Mode::Plain && subnet[0] != 127 {
            let problem = format!("addresses in plain mode begin with 127, not {}", subnet[0]);
            return Err(ClusterError::Names(problem));
        }
        let mut nodes: Vec<Port> = Vec::with_capacity(names.len());
        for (name, number) in names.iter().map(AsRef::as_ref).zip(1..) {
            check_name(name, &nodes)?;
            nodes.push(port(name, subnet, number));
        }
        Ok(Self {
            mode,
            nodes,
            subnet,
        })
    }

    /// Nodes that have addresses already, on hosts of their own, where they run in plain mode.
    pub fn given(nodes: &[(Name, Ipv4Addr)]) -> Result<Self, ClusterError> {
        let mut ports: Vec<Port> = Vec::with_capacity(nodes.len());
        for ((name, address), number) in nodes.iter().zip(1..) {
            check_name(name, &ports)?;
            if let Some(other) = ports.iter().find(|port| port.address == *address) {
                let problem = format!("{name} has the address {address} of {}", other.name);
                return Err(ClusterError::Names(problem));
            }
            ports.push(Port {
                name: Name::clone(name),
                number,
                address: *address,
            });
        }
        Ok(Self {
            mode: Mode::Plain,
            nodes: ports,
            subnet: PLAIN_SUBNET,
        })
    }

    /// Where the nodes are to run.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The nodes and their addresses, in order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (&Name, Ipv4Addr)> {
        self.nodes.iter().map(|node| (&node.name, node.address))
    }

    /// The address of a node.
    pub fn of(&self, name: &str) -> Option<Ipv4Addr> {
        let node = self.nodes.iter().find(|node| &*node.name == name)?;
        Some(node.address)
    }

    /// Every port of the network: the nodes, the clients, the controller.
    pub(crate) fn ports(&self) -> Vec<Port> {
        let mut ports = self.nodes.clone();
        ports.push(port(CLIENTS, self.subnet, CLIENTS_NUMBER));
        ports.push(port(CONTROL, self.subnet, CONTROL_NUMBER));
        ports
    }
}

fn port(name: &str, [a, b, c]: [u8; 3], number: u8) -> Port {
    Port {
        name: Name::from(name),
        number,
        address: Ipv4Addr::new(a, b, c, number),
    }
}

/// A node's name becomes a host name and a folder's name.
fn check_name(name: &str, earlier: &[Port]) -> Result<(), ClusterError> {
    let simple = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let problem = if name.is_empty() || name.len() > 63 || !name.chars().all(simple) {
        format!("{name:?} is not made of 1 to 63 letters, digits, '-' and '_'")
    } else if name == CLIENTS || name == CONTROL {
        format!("the name {name} is taken by another port of the network")
    } else if earlier.iter().any(|node| &*node.name == name) {
        format!("the name {name} is given twice")
    } else {
        return Ok(());
    };
    Err(ClusterError::Names(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: Mode, names: &[&str], expected: Result<&[&str], &str>) {
        let planned = Addresses::plan(mode, names).map(|addresses| {
            let addresses = addresses.nodes().map(|(_, address)| address.to_string());
            addresses.collect::<Vec<_>>()
        });
        match (planned, expected) {
            (Ok(addresses), Ok(expected)) => assert_eq!(addresses, expected, "{names:?}"),
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{names:?}: {error}");
            }
            (planned, expected) => panic!("{names:?}: {planned:?}, not {expected:?}"),
        }
    }

    #[test]
    fn every_node_gets_an_address_or_a_reason() {
        use Mode::{Plain, Sandbox};
        check(Sandbox, &["n1", "n2"], Ok(&["10.77.0.1", "10.77.0.2"]));
        check(Plain, &["n1", "b_c-2"], Ok(&["127.77.0.1", "127.77.0.2"]));
        check(Sandbox, &[], Err("at least one node"));
        check(Sandbox, &["n1", "n1"], Err("n1 is given twice"));
        check(Sandbox, &["clients"], Err("clients is taken"));
        check(Sandbox, &["control"], Err("control is taken"));
        check(Sandbox, &["a/b"], Err("\"a/b\" is not made of"));
        check(Sandbox, &["n 1"], Err("\"n 1\" is not made of"));
        check(Sandbox, &[""], Err("\"\" is not made of"));
        check(Sandbox, &["x"; 201], Err("201 nodes are more than the 200"));
    }

    #[test]
    fn plain_addresses_stay_on_loopback() {
        let error = Addresses::plan_in(Mode::Plain, [10, 0, 0], &["n1"]).unwrap_err();
        assert!(error.to_string().contains("begin with 127"), "{error}");
        let addresses = Addresses::plan_in(Mode::Plain, [127, 9, 8], &["n1"]).unwrap();
        assert_eq!(addresses.of("n1"), Some(Ipv4Addr::new(127, 9, 8, 1)));
        assert_eq!(addresses.of("n2"), None);
    }
}
