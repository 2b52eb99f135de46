//! Which nodes are to be neighbours, as the workload `broadcast` tells them.

use std::fmt;
use std::str::FromStr;

use faults::Name;
use serde::{Deserialize, Serialize};

/// Which nodes are to be neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One after the other.
    Line,
    /// In rows of a square.
    #[default]
    Grid,
    /// A tree in which each has at most two below it.
    #[serde(alias = "tree")]
    Tree2,
    /// At most three.
    Tree3,
    /// At most four.
    Tree4,
    /// Everybody with everybody.
    Total,
}

/// A name of no topology.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown topology {0:?} (known: line, grid, tree, tree2, tree3, tree4, total)")]
pub struct UnknownTopology(pub String);

impl FromStr for Topology {
    type Err = UnknownTopology;

    fn from_str(text: &str) -> Result<Self, UnknownTopology> {
        Ok(match text {
            "line" => Topology::Line,
            "grid" => Topology::Grid,
            "tree" | "tree2" => Topology::Tree2,
            "tree3" => Topology::Tree3,
            "tree4" => Topology::Tree4,
            "total" => Topology::Total,
            other => return Err(UnknownTopology(other.to_owned())),
        })
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Topology::Line => "line",
            Topology::Grid => "grid",
            Topology::Tree2 => "tree2",
            Topology::Tree3 => "tree3",
            Topology::Tree4 => "tree4",
            Topology::Total => "total",
        })
    }
}

impl Topology {
    /// The neighbours of each node, in the nodes' order.
    pub fn neighbours(self, nodes: &[Name]) -> Vec<(Name, Vec<Name>)> {
        let count = nodes.len();
        let of = |node: usize| -> Vec<Name> {
            let others = (0..count).filter(|other| *other != node);
            let are = others.filter(|other| self.joins(count, node.min(*other), node.max(*other)));
            are.map(|other| nodes[other].clone()).collect()
        };
        (0..count)
            .map(|node| (nodes[node].clone(), of(node)))
            .collect()
    }

    /// Whether two of so many nodes are neighbours, the first before the second.
    fn joins(self, count: usize, first: usize, second: usize) -> bool {
        let below = |children: usize| (second - 1) / children == first;
        match self {
            Topology::Line => second - first == 1,
            Topology::Grid => {
                let side = (1..).find(|side| side * side >= count).unwrap_or(1);
                second - first == side || (second - first == 1 && !second.is_multiple_of(side))
            }
            Topology::Tree2 => below(2),
            Topology::Tree3 => below(3),
            Topology::Tree4 => below(4),
            Topology::Total => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_these() {
        let nodes: Vec<Name> = (0..5).map(|n| Name::from(format!("n{n}"))).collect();
        for (topology, expected) in [
            ("line", "1 02 13 24 3"),
            ("grid", "13 024 1 04 13"),
            ("tree", "12 034 0 1 1"),
            ("tree3", "123 04 0 0 1"),
            ("tree4", "1234 0 0 0 0"),
            ("total", "1234 0234 0134 0124 0123"),
        ] {
            let topology: Topology = topology.parse().expect("a topology");
            let shown: Vec<String> = topology
                .neighbours(&nodes)
                .iter()
                .map(|(_, others)| others.iter().map(|name| &name[1..]).collect())
                .collect();
            assert_eq!(shown.join(" "), expected, "{topology}");
        }
        assert_eq!(Topology::Grid.neighbours(&nodes[..1])[0].1, []);
        assert!("ring".parse::<Topology>().is_err());
    }
}
