//! The shapes of partitions: which directed links between nodes each of them cuts.
//!
//! Only links between nodes are cut. The clients go on reaching every node, so that an isolated
//! leader is still asked and can still give a wrong answer.

use crate::names::named;
use crate::role::leader_or_first;
use crate::{Link, Name};

named! {
    /// How a partition divides the nodes. "First" is first in the plan's order.
    Shape, "shape" {
        /// The first node alone, both ways.
        One = "one",
        /// Two halves; with an odd number of nodes the first half is the smaller.
        Halves = "halves",
        /// The leader with the largest minority around it, and a majority without it.
        MajorityMinority = "majority-minority",
        /// Two halves that see each other only through one node, which sees all.
        Bridge = "bridge",
        /// Every node sees a majority, no two see the same one.
        MajoritiesRing = "majorities-ring",
        /// The leader alone, both ways.
        LeaderAlone = "leader-alone",
        /// The leader hears nobody, everybody hears the leader.
        OneWayIn = "one-way-in",
        /// Nobody hears the leader, the leader hears everybody.
        OneWayOut = "one-way-out",
        /// The second half hears nothing of the first, the first hears the second.
        OneWayHalves = "one-way-halves",
    }
}

impl Shape {
    /// The directed links this shape cuts among the nodes of `order`. Where the shape is about the
    /// leader and none is known, the first of `order` takes its place. Pure: draws nothing.
    ///
    /// Empty where so few nodes cannot be divided in this way.
    pub fn cuts(self, order: &[Name], leader: Option<&str>) -> Vec<Link> {
        let nodes = self.arrange(order, leader);
        let mut links = Vec::new();
        for (from, from_name) in nodes.iter().enumerate() {
            for (to, to_name) in nodes.iter().enumerate() {
                if from != to && self.divides(from, to, nodes.len()) {
                    links.push(Link {
                        from: (*from_name).clone(),
                        to: (*to_name).clone(),
                    });
                }
            }
        }
        links
    }

    /// The nodes set apart from the others, for reports: the one, the smaller side, or all.
    pub fn targets(self, order: &[Name], leader: Option<&str>) -> Vec<Name> {
        let nodes = self.arrange(order, leader);
        let apart = match self {
            Shape::One | Shape::LeaderAlone | Shape::OneWayIn | Shape::OneWayOut => 1,
            Shape::Halves | Shape::Bridge | Shape::OneWayHalves => nodes.len() / 2,
            Shape::MajorityMinority => nodes.len().saturating_sub(1) / 2,
            Shape::MajoritiesRing => nodes.len(),
        };
        nodes.into_iter().take(apart).cloned().collect()
    }

    /// Whether its effect depends on who leads.
    pub fn is_about_leader(self) -> bool {
        self.sets_leader_apart() || matches!(self, Shape::Bridge | Shape::MajoritiesRing)
    }

    fn sets_leader_apart(self) -> bool {
        use Shape::{LeaderAlone, MajorityMinority, OneWayIn, OneWayOut};
        matches!(self, LeaderAlone | MajorityMinority | OneWayIn | OneWayOut)
    }

    /// The nodes in order, but the leader where the shape wants it: first, or not in the middle,
    /// where in a bridge (or a ring of three) it would reach everyone it talks to, so that the
    /// links cut would carry nothing.
    fn arrange<'a>(self, order: &'a [Name], leader: Option<&str>) -> Vec<&'a Name> {
        let mut nodes: Vec<&Name> = order.iter().collect();
        let leader = leader_or_first(order, leader);
        if self.sets_leader_apart() {
            // Stable, so that the others keep their order.
            nodes.sort_by_key(|node| Some(*node) != leader);
        } else if self.is_about_leader() {
            let middle = nodes.len() / 2;
            if leader.is_some() && nodes.get(middle).copied() == leader {
                nodes.swap(0, middle);
            }
        }
        nodes
    }

    /// Whether packets from the node at one position to the node at another are dropped.
    fn divides(self, from: usize, to: usize, nodes: usize) -> bool {
        let half = nodes / 2;
        let minority = nodes.saturating_sub(1) / 2;
        match self {
            Shape::One | Shape::LeaderAlone => from == 0 || to == 0,
            Shape::Halves => (from < half) != (to < half),
            Shape::MajorityMinority => (from < minority) != (to < minority),
            Shape::Bridge => from != half && to != half && (from < half) != (to < half),
            Shape::MajoritiesRing => !ring_neighbours(from, to, nodes),
            Shape::OneWayIn => to == 0,
            Shape::OneWayOut => from == 0,
            Shape::OneWayHalves => from < half && to >= half,
        }
    }
}

impl Default for Shape {
    /// One node alone.
    fn default() -> Self {
        Shape::One
    }
}

/// Whether two nodes are joined in the majorities ring: a Harary graph (Harary, "The Maximum
/// Connectivity of a Graph", 1962) in which every node has as many neighbours as a majority has
/// members besides itself.
///
/// Each node is joined to its nearest on both sides of the ring; an odd number of neighbours needs
/// the node opposite besides. When both that number and the number of nodes are odd no graph gives
/// every node exactly so many, and one node has one more. Links go both ways. Of two nodes no
/// division can give each a majority of its own, and none is made.
fn ring_neighbours(a: usize, b: usize, nodes: usize) -> bool {
    let degree = nodes / 2;
    let apart = a.abs_diff(b);
    apart.min(nodes - apart) <= degree / 2 || (!degree.is_multiple_of(2) && apart == degree)
}

#[cfg(test)]
mod tests;
