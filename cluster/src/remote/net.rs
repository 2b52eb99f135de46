//! The network between hosts: which host drops what, so that a link is cut.
//!
//! What a node is not to get, its own host drops as it comes in; so the sender sees nothing but
//! silence, as in a real network. What clients are not to get is dropped as it leaves the node's host,
//! because this machine is not touched.

use std::net::Ipv4Addr;

use faults::{CLIENTS, Link, Name, Rule, TargetError, Treatment};

use super::wire::Cut;

/// The addresses from which packets of a node come and to which they go; or of the clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ends(pub Vec<Ipv4Addr>);

impl Ends {
    /// These too, those that are not among them.
    pub fn add(&mut self, addresses: impl IntoIterator<Item = Ipv4Addr>) {
        for address in addresses {
            if !self.0.contains(&address) {
                self.0.push(address);
            }
        }
    }

    /// The address by which it is reached.
    pub fn first(&self) -> Option<Ipv4Addr> {
        self.0.first().copied()
    }
}

/// All ends of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Map {
    pub nodes: Vec<(Name, Ends)>,
    pub clients: Ends,
}

impl Map {
    /// The addresses of a node or of the clients.
    pub fn of(&self, name: &str) -> Result<&Ends, TargetError> {
        if name == CLIENTS {
            return Ok(&self.clients);
        }
        self.place(name).map(|at| &self.nodes[at].1)
    }

    /// Where a node stands in the order of nodes.
    pub fn place(&self, name: &str) -> Result<usize, TargetError> {
        let at = self.nodes.iter().position(|(node, _)| &**node == name);
        at.ok_or_else(|| TargetError(format!("there is no node {name}")))
    }

    /// What each node's host is to drop, in the order of nodes.
    ///
    /// # Errors
    /// A rule is no cut, or about a node that there is not.
    pub fn cuts(&self, rules: &[Rule]) -> Result<Vec<Vec<Cut>>, TargetError> {
        let mut cuts = vec![Vec::new(); self.nodes.len()];
        for rule in rules {
            let Treatment::Cut { flap_period_ms } = rule.treatment else {
                return Err(TargetError("between hosts links can only be cut".into()));
            };
            for (at, cuts) in cuts.iter_mut().enumerate() {
                let mut pairs = Vec::new();
                for link in &rule.links {
                    pairs.extend(self.dropped_at(at, link)?);
                }
                if !pairs.is_empty() {
                    cuts.push(Cut {
                        fault: rule.fault,
                        ports: rule.ports.clone(),
                        flap_period_ms,
                        pairs,
                    });
                }
            }
        }
        Ok(cuts)
    }

    /// The pairs of addresses by which a node's host knows the packets of a link that it is to drop.
    fn dropped_at(&self, at: usize, link: &Link) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>, TargetError> {
        let host = if &*link.to == CLIENTS {
            self.place(&link.from)?
        } else {
            self.place(&link.to)?
        };
        let (from, to) = (self.of(&link.from)?, self.of(&link.to)?);
        if host != at {
            return Ok(Vec::new());
        }
        let pairs = from
            .0
            .iter()
            .flat_map(|from| to.0.iter().map(move |to| (*from, *to)));
        Ok(pairs.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(numbers: &[u8]) -> Ends {
        Ends(
            numbers
                .iter()
                .map(|last| Ipv4Addr::new(10, 0, 0, *last))
                .collect(),
        )
    }

    fn map() -> Map {
        Map {
            nodes: vec![("n1".into(), ends(&[1])), ("n2".into(), ends(&[2, 12]))],
            clients: ends(&[9]),
        }
    }

    fn rule(links: &[(&str, &str)]) -> Rule {
        let link = |(from, to): &(&str, &str)| Link {
            from: (*from).into(),
            to: (*to).into(),
        };
        Rule {
            fault: 4,
            links: links.iter().map(link).collect(),
            ports: vec![8080],
            treatment: Treatment::Cut { flap_period_ms: 7 },
        }
    }

    #[test]
    fn a_packet_is_dropped_where_it_comes_in_and_where_it_leaves_for_the_clients() {
        type Links = &'static [(&'static str, &'static str)];
        type Pairs = &'static [(u8, u8)];
        let rows: [(Links, [Pairs; 2]); 5] = [
            (&[("n1", "n2")], [&[], &[(1, 2), (1, 12)]]),
            (&[("n2", "n1")], [&[(2, 1), (12, 1)], &[]]),
            (&[("clients", "n1")], [&[(9, 1)], &[]]),
            (&[("n2", "clients")], [&[], &[(2, 9), (12, 9)]]),
            (&[], [&[], &[]]),
        ];
        for (links, expected) in rows {
            let cuts = map().cuts(&[rule(links)]).unwrap();
            for (cuts, expected) in cuts.iter().zip(expected) {
                let pairs = cuts.iter().flat_map(|cut| &cut.pairs);
                let pairs: Vec<_> = pairs.map(|(a, b)| (a.octets()[3], b.octets()[3])).collect();
                assert_eq!(pairs, expected, "{links:?}");
                assert!(
                    cuts.iter()
                        .all(|cut| (cut.fault, cut.flap_period_ms) == (4, 7))
                );
            }
        }
    }

    #[test]
    fn what_is_no_cut_or_no_node_is_refused() {
        assert!(map().cuts(&[rule(&[("n1", "n3")])]).is_err());
        let mut rule = rule(&[("n1", "n2")]);
        rule.treatment = Treatment::Refuse { permille: 10 };
        assert!(map().cuts(&[rule]).is_err());
    }
}
