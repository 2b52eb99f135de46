//! Every shape, for every number of nodes up to nine and every leader, against what it promises.

use std::collections::BTreeSet;

use super::*;

const NODES_MAX: usize = 9;

/// A matrix of who still hears whom under a shape's cuts, nodes numbered as in the order.
struct Cut {
    order: Vec<Name>,
    links: Vec<Link>,
}

impl Cut {
    fn new(shape: Shape, nodes: usize, leader: Option<usize>) -> Self {
        Cut::one_way(shape, Direction::Both, nodes, leader)
    }

    fn one_way(shape: Shape, direction: Direction, nodes: usize, leader: Option<usize>) -> Self {
        // Not in alphabetical order, so that a shape which sorts by name is found out.
        let order: Vec<Name> = (0..nodes)
            .map(|i| format!("n{}", (i * 7 + 3) % 10).into())
            .collect();
        let links = shape.cuts(direction, &order, leader.map(|leader| &*order[leader]));
        Cut { order, links }
    }

    fn nodes(&self) -> usize {
        self.order.len()
    }

    /// Whether packets from one node reach another.
    fn reaches(&self, from: usize, to: usize) -> bool {
        !self
            .links
            .iter()
            .any(|link| link.from == self.order[from] && link.to == self.order[to])
    }

    /// Whom a node hears and is heard by, itself included.
    fn sees(&self, node: usize) -> BTreeSet<usize> {
        (0..self.nodes())
            .filter(|&other| self.reaches(node, other) && self.reaches(other, node))
            .collect()
    }

    fn is_symmetric(&self) -> bool {
        let back = |link: &Link| Link {
            from: link.to.clone(),
            to: link.from.clone(),
        };
        self.links
            .iter()
            .all(|link| self.links.contains(&back(link)))
    }

    /// The groups that are whole inside and cut from all others; `None` when it is not so.
    fn components(&self) -> Option<BTreeSet<BTreeSet<usize>>> {
        let groups: BTreeSet<_> = (0..self.nodes()).map(|node| self.sees(node)).collect();
        let members: usize = groups.iter().map(BTreeSet::len).sum();
        (self.is_symmetric() && members == self.nodes()).then_some(groups)
    }

    /// The components' sizes, sorted.
    fn component_sizes(&self) -> Option<Vec<usize>> {
        let mut sizes: Vec<usize> = self.components()?.iter().map(BTreeSet::len).collect();
        sizes.sort_unstable();
        Some(sizes)
    }
}

/// Every shape with every number of nodes and every leader, or none.
fn every_cut(shape: Shape) -> impl Iterator<Item = (usize, Option<usize>, Cut)> {
    (1..=NODES_MAX).flat_map(move |nodes| {
        std::iter::once(None)
            .chain((0..nodes).map(Some))
            .map(move |leader| (nodes, leader, Cut::new(shape, nodes, leader)))
    })
}

fn majority(nodes: usize) -> usize {
    nodes / 2 + 1
}

#[test]
fn every_shape_cuts_each_link_once_between_two_known_nodes() {
    for &shape in Shape::ALL {
        for (nodes, leader, cut) in every_cut(shape) {
            let links: BTreeSet<&Link> = cut.links.iter().collect();
            assert_eq!(links.len(), cut.links.len(), "{shape} {nodes} {leader:?}");
            for link in links {
                assert_ne!(link.from, link.to);
                assert!(cut.order.contains(&link.from) && cut.order.contains(&link.to));
            }
        }
    }
}

#[test]
fn shapes_about_the_leader_are_exactly_those_that_change_with_it() {
    for &shape in Shape::ALL {
        let cuts: BTreeSet<Vec<Link>> = (0..5)
            .map(|leader| Cut::new(shape, 5, Some(leader)).links)
            .map(|mut links| {
                links.sort();
                links
            })
            .collect();
        assert_eq!(cuts.len() > 1, shape.is_about_leader(), "{shape}");
        // Without a leader, and with one that is not a node, the first stands in for it.
        let first = Cut::new(shape, 5, Some(0));
        assert_eq!(Cut::new(shape, 5, None).links, first.links, "{shape}");
        assert_eq!(
            shape.cuts(Direction::Both, &first.order, Some("stranger")),
            first.links,
            "{shape}"
        );
    }
}

#[test]
fn one_and_leader_alone_leave_one_node_alone() {
    for (shape, of_leader) in [(Shape::One, false), (Shape::LeaderAlone, true)] {
        for (nodes, leader, cut) in every_cut(shape) {
            let alone = if of_leader { leader.unwrap_or(0) } else { 0 };
            let rest: BTreeSet<usize> = (0..nodes).filter(|&node| node != alone).collect();
            let expected: BTreeSet<_> = [BTreeSet::from([alone]), rest]
                .into_iter()
                .filter(|set| !set.is_empty())
                .collect();
            assert_eq!(
                cut.components(),
                Some(expected),
                "{shape} {nodes} {leader:?}"
            );
        }
    }
}

#[test]
fn halves_are_as_equal_as_can_be_and_the_first_is_the_smaller() {
    for (nodes, _, cut) in every_cut(Shape::Halves) {
        let (small, large) = (nodes / 2, nodes - nodes / 2);
        let sizes: Vec<usize> = [small, large]
            .into_iter()
            .filter(|&size| size > 0)
            .collect();
        assert_eq!(cut.component_sizes(), Some(sizes), "{nodes}");
        assert_eq!(cut.sees(0).len(), small.max(1), "{nodes}");
    }
}

#[test]
fn majority_minority_has_a_majority_without_the_leader() {
    for (nodes, leader, cut) in every_cut(Shape::MajorityMinority) {
        let sizes: Vec<usize> = [nodes - majority(nodes), majority(nodes)]
            .into_iter()
            .filter(|&s| s > 0)
            .collect();
        assert_eq!(
            cut.component_sizes(),
            Some(sizes.clone()),
            "{nodes} {leader:?}"
        );
        if sizes.len() == 2 {
            let side = cut.sees(leader.unwrap_or(0)).len();
            assert_eq!(side, nodes - majority(nodes), "{nodes} {leader:?}");
        }
    }
}

#[test]
fn a_bridge_sees_all_and_joins_two_halves_that_do_not_see_each_other() {
    for (nodes, leader, cut) in every_cut(Shape::Bridge) {
        assert!(cut.is_symmetric(), "{nodes}");
        let half = nodes / 2;
        // The leader is never the bridge: it changes places with the first.
        let (bridge, swapped) = match leader {
            Some(leader) if leader == half => (0, true),
            _ => (half, false),
        };
        let is_first_half = |node: usize| node < half || (swapped && node == half);
        assert_eq!(cut.sees(bridge).len(), nodes, "{nodes}");
        for node in (0..nodes).filter(|&node| node != bridge) {
            let mut expected: BTreeSet<usize> = (0..nodes)
                .filter(|&other| is_first_half(other) == is_first_half(node))
                .collect();
            expected.insert(bridge);
            assert_eq!(cut.sees(node), expected, "{nodes} {node} {leader:?}");
        }
        if let (Some(leader), 3..) = (leader, nodes) {
            assert!(
                cut.sees(leader).len() < nodes,
                "{nodes}: the leader misses someone"
            );
        }
    }
}

#[test]
fn in_a_majorities_ring_every_node_sees_a_majority_of_its_own() {
    for (nodes, _, cut) in every_cut(Shape::MajoritiesRing) {
        assert!(cut.is_symmetric(), "{nodes}");
        if nodes <= 2 {
            assert!(cut.links.is_empty(), "{nodes}");
            continue;
        }
        let seen: Vec<BTreeSet<usize>> = (0..nodes).map(|node| cut.sees(node)).collect();
        let distinct: BTreeSet<&BTreeSet<usize>> = seen.iter().collect();
        assert_eq!(
            distinct.len(),
            nodes,
            "two nodes of {nodes} see the same majority"
        );
        assert!(
            seen.iter().all(|seen| seen.len() >= majority(nodes)),
            "{nodes}: {seen:?}"
        );
        // Exact, but where both numbers are odd: handshakes come in pairs, so one node has more.
        let surplus: usize = seen.iter().map(|seen| seen.len() - majority(nodes)).sum();
        let unavoidable = nodes % 2 * (majority(nodes) - 1) % 2;
        assert_eq!(surplus, unavoidable, "{nodes}: {seen:?}");
    }
}

#[test]
fn a_minority_third_is_the_most_below_a_third() {
    for (nodes, _, cut) in every_cut(Shape::MinorityThird) {
        let apart = (0..nodes)
            .rev()
            .find(|apart| apart * 3 < nodes)
            .unwrap_or(0);
        let sizes: Vec<usize> = [apart, nodes - apart]
            .into_iter()
            .filter(|&size| size > 0)
            .collect();
        assert_eq!(cut.component_sizes(), Some(sizes), "{nodes}");
    }
}

#[test]
fn each_direction_is_half_of_both() {
    for &shape in Shape::ALL {
        for (nodes, leader, both) in every_cut(shape) {
            let links = |direction| -> BTreeSet<Link> {
                let cut = Cut::one_way(shape, direction, nodes, leader);
                cut.links.into_iter().collect()
            };
            let (into, out) = (links(Direction::In), links(Direction::Out));
            let back = |link: &Link| Link {
                from: link.to.clone(),
                to: link.from.clone(),
            };
            assert!(into.is_disjoint(&out), "{shape} {nodes} {leader:?}");
            assert_eq!(
                into,
                out.iter().map(back).collect(),
                "{shape} {nodes} {leader:?}"
            );
            let all: BTreeSet<Link> = into.union(&out).cloned().collect();
            assert_eq!(
                all,
                both.links.into_iter().collect(),
                "{shape} {nodes} {leader:?}"
            );
        }
    }
}

#[test]
fn out_means_that_nobody_hears_the_nodes_set_apart() {
    for &shape in Shape::ALL.iter().filter(|shape| shape.has_sides()) {
        for (nodes, leader, both) in every_cut(shape) {
            let leader_name = leader.map(|leader| &*both.order[leader]);
            let apart = shape.targets(&both.order, leader_name);
            let out = Cut::one_way(shape, Direction::Out, nodes, leader);
            for link in out.links {
                assert!(apart.contains(&link.from), "{shape} {nodes} {leader:?}");
                assert!(!apart.contains(&link.to), "{shape} {nodes} {leader:?}");
            }
        }
    }
}

#[test]
fn in_a_one_way_ring_every_node_loses_about_as_much_as_it_is_lost_of() {
    for nodes in 3..=NODES_MAX {
        let cut = Cut::one_way(Shape::MajoritiesRing, Direction::Out, nodes, None);
        for node in 0..nodes {
            let others = || (0..nodes).filter(|&other| other != node);
            let out = others().filter(|&other| !cut.reaches(node, other)).count();
            let into = others().filter(|&other| !cut.reaches(other, node)).count();
            assert!(
                out.abs_diff(into) <= 1,
                "{nodes} {node}: {out} out, {into} in"
            );
        }
    }
}

#[test]
fn small_clusters_have_only_the_shapes_that_divide_them() {
    let possible = |nodes: usize| -> Vec<&str> {
        Shape::ALL
            .iter()
            .filter(|shape| !Cut::new(**shape, nodes, None).links.is_empty())
            .map(|shape| shape.name())
            .collect()
    };
    assert!(possible(0).is_empty() && possible(1).is_empty());
    assert_eq!(possible(2), ["one", "halves", "leader-alone"]);
    assert_eq!(possible(3).len(), Shape::ALL.len() - 1, "no minority third");
    for nodes in 4..=NODES_MAX {
        assert_eq!(possible(nodes).len(), Shape::ALL.len(), "{nodes}");
    }
}
