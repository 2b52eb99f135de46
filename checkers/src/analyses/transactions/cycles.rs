//! Circles of dependencies, and which anomaly each of them is.

use std::collections::VecDeque;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;
use rustc_hash::FxHashMap;

use super::graph::{Dependency, Edge, Graph};
use crate::limits::Budget;

/// A circle: each transaction with what it is before the next by.
#[derive(Debug)]
pub(super) struct Cycle<'a> {
    pub kind: &'static str,
    pub edges: Vec<(u32, Edge<'a>)>,
}

/// Edges from which a circle of one kind is looked for in one component, at most.
const ATTEMPTS_MAX: usize = 2_000;
/// Circles that are told of, at most.
const CYCLES_MAX: usize = 50;

const WW: u8 = Dependency::Ww as u8;
const WR: u8 = Dependency::Wr as u8;
const RW: u8 = Dependency::Rw as u8;
const REALTIME: u8 = Dependency::Realtime as u8;
/// In the circles only that contradict snapshot isolation: weaker models let it overwrite.
const UPDATE: u8 = Dependency::Update as u8;
/// An `rw`, in real time.
const RWT: u8 = RW | Dependency::Overtaken as u8;

/// What is looked for, the worst first: a circle that begins with one of these edges and goes on by
/// those.
struct Sort {
    kind: &'static str,
    first: u8,
    rest: u8,
    /// Whether no two `rw` may follow each other.
    nonadjacent: bool,
}

const SORTS: [Sort; 5] = [
    sort("G0", WW, WW, false),
    sort("G1c", WR, WW | WR, false),
    sort("G-single", RW, WW | WR | UPDATE, false),
    sort("G-nonadjacent", RW, WW | WR | RW | UPDATE, true),
    sort("G2-item", RW, WW | WR | RW, false),
];

const REALTIME_SORTS: [Sort; 5] = [
    sort("G0-realtime", REALTIME, WW | REALTIME, false),
    sort("G1c-realtime", REALTIME, WW | WR | REALTIME, false),
    sort("G-single-realtime", RWT, WW | WR | REALTIME, false),
    sort(
        "G-nonadjacent-realtime",
        RWT,
        WW | WR | RWT | REALTIME,
        true,
    ),
    sort("G2-item-realtime", RWT, WW | WR | RWT | REALTIME, false),
];

const fn sort(kind: &'static str, first: u8, rest: u8, nonadjacent: bool) -> Sort {
    Sort {
        kind,
        first,
        rest,
        nonadjacent,
    }
}

/// The worst circle of each knot of dependencies, and whether all were looked at.
pub(super) fn find<'a>(graph: &Graph<'a>, budget: &Budget) -> (Vec<Cycle<'a>>, bool) {
    let mut search = Search {
        graph,
        budget,
        cycles: Vec::new(),
        is_complete: true,
    };
    search.components(WW | WR | RW, &SORTS);
    // A knot that is one without real time already is no news.
    if search.cycles.is_empty() {
        search.components(WW | WR | RWT | REALTIME, &REALTIME_SORTS);
    }
    (search.cycles, search.is_complete)
}

struct Search<'g, 'a> {
    graph: &'g Graph<'a>,
    budget: &'g Budget,
    cycles: Vec<Cycle<'a>>,
    is_complete: bool,
}

impl<'a> Search<'_, 'a> {
    /// Looks at every strongly connected component of the graph with these dependencies only.
    fn components(&mut self, mask: u8, sorts: &[Sort]) {
        let mut directed: DiGraph<(), (), u32> = DiGraph::default();
        let nodes: Vec<_> = self
            .graph
            .edges
            .iter()
            .map(|_| directed.add_node(()))
            .collect();
        for (from, edges) in self.graph.edges.iter().enumerate() {
            for edge in edges
                .iter()
                .filter(|edge| edge.dependency as u8 & mask != 0)
            {
                directed.add_edge(nodes[from], nodes[edge.to as usize], ());
            }
        }
        let mut knots: Vec<Vec<u32>> = kosaraju_scc(&directed)
            .into_iter()
            .filter(|component| component.len() > 1)
            .map(|component| component.iter().map(|node| node.index() as u32).collect())
            .collect();
        // The smallest say most.
        knots.sort_by_key(Vec::len);
        for mut knot in knots {
            if self.cycles.len() >= CYCLES_MAX {
                return;
            }
            knot.sort_unstable();
            self.worst(&knot, sorts);
        }
    }

    /// Finds the worst circle in a knot.
    fn worst(&mut self, knot: &[u32], sorts: &[Sort]) {
        let inside: FxHashMap<u32, ()> = knot.iter().map(|node| (*node, ())).collect();
        for sort in sorts {
            let mut attempts = 0;
            for from in knot {
                let firsts = self.graph.edges[*from as usize].iter();
                let firsts = firsts.filter(|edge| {
                    edge.dependency as u8 & sort.first != 0 && inside.contains_key(&edge.to)
                });
                for first in firsts {
                    attempts += 1;
                    if attempts > ATTEMPTS_MAX || self.budget.check().is_err() {
                        self.is_complete = false;
                        break;
                    }
                    if let Some(mut edges) = self.path(first.to, *from, sort, &inside) {
                        edges.insert(0, (*from, *first));
                        self.cycles.push(Cycle {
                            kind: sort.kind,
                            edges,
                        });
                        return;
                    }
                }
            }
        }
    }

    /// The shortest way from one to another inside, by the dependencies of this sort.
    fn path(
        &self,
        from: u32,
        to: u32,
        sort: &Sort,
        inside: &FxHashMap<u32, ()>,
    ) -> Option<Vec<(u32, Edge<'a>)>> {
        // A place is a transaction, and whether it was come to by an `rw`.
        let start = (from, sort.nonadjacent);
        let mut came_by: FxHashMap<(u32, bool), ((u32, bool), Edge<'a>)> = FxHashMap::default();
        let mut queue = VecDeque::from([start]);
        while let Some(place) = queue.pop_front() {
            for edge in &self.graph.edges[place.0 as usize] {
                let is_rw = edge.dependency as u8 & RWT != 0;
                let is_meant = edge.dependency as u8 & sort.rest != 0;
                if !is_meant || !inside.contains_key(&edge.to) || place.1 && is_rw {
                    continue;
                }
                let next = (edge.to, sort.nonadjacent && is_rw);
                // The first edge of the circle is an `rw`, so the last must not be one.
                if edge.to == to && !next.1 {
                    let mut edges = vec![(place.0, *edge)];
                    let mut at = place;
                    while let Some((before, edge)) = came_by.get(&at) {
                        edges.push((before.0, *edge));
                        at = *before;
                    }
                    edges.reverse();
                    return Some(edges);
                }
                if next != start && !came_by.contains_key(&next) {
                    came_by.insert(next, (place, *edge));
                    queue.push_back(next);
                }
            }
        }
        None
    }
}
