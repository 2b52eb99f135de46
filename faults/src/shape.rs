//! The shapes of partitions: which directed links between nodes each of them cuts.

use crate::names::named;
use crate::role::leader_or_first;
use crate::{Link, Name};

named! {
    /// How a partition divides the nodes. "First" is first in the plan's order, which is drawn from
    /// the seed unless the plan names nodes.
    Shape, "shape" {
        /// The first node alone.
        One = "one",
        /// Two halves; with an odd number of nodes the first half is the smaller.
        Halves = "halves",
        /// Fewer than a third of the nodes, and the others.
        MinorityThird = "minority-third",
        /// The leader with the largest minority around it, and a majority without it.
        MajorityMinority = "majority-minority",
        /// The leader alone.
        LeaderAlone = "leader-alone",
        /// Two halves that see each other only through one node, which sees all.
        Bridge = "bridge",
        /// Every node sees a majority, no two see the same one.
        MajoritiesRing = "majorities-ring",
    }
}

named! {
    /// Which packets a fault is about, as seen from the nodes that it sets apart or targets.
    Direction, "direction" {
        /// All between them and the others.
        Both = "both",
        /// Those to them: where they are dropped, these nodes hear nobody and are heard.
        In = "in",
        /// Those from them: where they are dropped, nobody hears these nodes and they hear.
        Out = "out",
    }
}

impl Default for Shape {
    /// One node alone.
    fn default() -> Self {
        Shape::One
    }
}

impl Default for Direction {
    /// All packets.
    fn default() -> Self {
        Direction::Both
    }
}

impl Direction {
    /// Whether a packet is meant that leaves the nodes set apart, or comes to them.
    pub(crate) fn includes(self, is_outward: bool) -> bool {
        match self {
            Direction::Both => true,
            Direction::In => !is_outward,
            Direction::Out => is_outward,
        }
    }
}

impl Shape {
    /// The directed links this shape cuts among the nodes of `order`. Where the shape is about the
    /// leader and none is known, the first of `order` takes its place. Pure: draws nothing.
    ///
    /// Empty where so few nodes cannot be divided in this way.
    pub fn cuts(self, direction: Direction, order: &[Name], leader: Option<&str>) -> Vec<Link> {
        let nodes = self.arrange(order, leader);
        let mut links = Vec::new();
        for (from, from_name) in nodes.iter().enumerate() {
            for (to, to_name) in nodes.iter().enumerate() {
                if from != to
                    && self.separates(from, to, nodes.len())
                    && direction.includes(self.is_outward(from, to, nodes.len()))
                {
                    links.push(Link {
                        from: (*from_name).clone(),
                        to: (*to_name).clone(),
                    });
                }
            }
        }
        links
    }

    /// The nodes set apart from the others: the one, the smaller side, or all.
    pub fn targets(self, order: &[Name], leader: Option<&str>) -> Vec<Name> {
        let nodes = self.arrange(order, leader);
        let apart = self.apart(nodes.len());
        nodes.into_iter().take(apart).cloned().collect()
    }

    /// Whether its effect depends on who leads.
    pub fn is_about_leader(self) -> bool {
        self.sets_leader_apart() || matches!(self, Shape::Bridge | Shape::MajoritiesRing)
    }

    /// Whether there is a side that is set apart; in a ring there is none.
    pub fn has_sides(self) -> bool {
        self != Shape::MajoritiesRing
    }

    fn sets_leader_apart(self) -> bool {
        matches!(self, Shape::LeaderAlone | Shape::MajorityMinority)
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

    /// How many nodes, the first ones, are set apart.
    fn apart(self, nodes: usize) -> usize {
        match self {
            Shape::One | Shape::LeaderAlone => 1,
            Shape::Halves | Shape::Bridge => nodes / 2,
            Shape::MinorityThird => nodes.saturating_sub(1) / 3,
            Shape::MajorityMinority => nodes.saturating_sub(1) / 2,
            Shape::MajoritiesRing => nodes,
        }
    }

    /// Whether the nodes at two positions are cut off from each other.
    fn separates(self, a: usize, b: usize, nodes: usize) -> bool {
        let apart = self.apart(nodes);
        let are_on_two_sides = (a < apart) != (b < apart);
        match self {
            // The node in the middle sees both sides.
            Shape::Bridge => a != apart && b != apart && are_on_two_sides,
            Shape::MajoritiesRing => !ring_neighbours(a, b, nodes),
            _ => are_on_two_sides,
        }
    }

    /// Whether a packet from one position to another leaves the nodes set apart. In a ring, where
    /// none are: whether it goes the shorter way forwards, so that every node loses some of what
    /// it sends and some of what it is sent.
    fn is_outward(self, from: usize, to: usize, nodes: usize) -> bool {
        if self.has_sides() {
            return from < self.apart(nodes);
        }
        let forwards = (to + nodes - from) % nodes;
        let backwards = nodes - forwards;
        forwards < backwards || (forwards == backwards && from < to)
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
