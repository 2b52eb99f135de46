//! Whether things that must come in some order can: graphs without circles.
//!
//! Only `kosaraju_scc` is used to find circles: it keeps its own stack, while `tarjan_scc` recurses
//! as deep as the graph is long.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::facts::Write;
use crate::limits::Budget;
use crate::registers::OPEN;

/// One thing must come before another, for some reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub from: u32,
    pub to: u32,
}

/// What closes a circle first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// Nothing: there is an order.
    Nothing,
    /// The edge of this number: those before it allow an order.
    Edge(usize),
    /// Some edge: there was no time to find out which.
    Unknown,
}

/// The first edge (in the order given) that leaves no order of the things, which must also be in
/// keeping with real time where they are given as `writes`. An edge that is `likely` to be it is
/// tried first.
pub(super) fn first_closing(
    edges: &[Edge],
    writes: Option<&[Write]>,
    likely: impl Fn(usize) -> bool,
    budget: &Budget,
) -> Closing {
    let on_circles = on_circles(edges, 0..edges.len(), writes);
    if on_circles.is_empty() {
        return Closing::Nothing;
    }
    // With the edges up to `open` there is an order, with those up to `closed` none.
    let (mut open, mut closed) = (0, on_circles.len());
    let guess = on_circles.iter().position(|&edge| likely(edge));
    let mut guesses = guess.into_iter().flat_map(|guess| [guess + 1, guess]);
    while open + 1 < closed {
        if budget.check().is_err() {
            return Closing::Unknown;
        }
        let middle = guesses
            .find(|guess| open < *guess && *guess < closed)
            .unwrap_or(open.midpoint(closed));
        let first = on_circles[..middle].iter().copied();
        match self::on_circles(edges, first, writes).is_empty() {
            true => open = middle,
            false => closed = middle,
        }
    }
    Closing::Edge(on_circles[closed - 1])
}

/// Of some edges, by their numbers, those that are on a circle.
fn on_circles(
    edges: &[Edge],
    some: impl IntoIterator<Item = usize>,
    writes: Option<&[Write]>,
) -> Vec<usize> {
    let some: Vec<usize> = some.into_iter().collect();
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(some.len(), 2 * some.len());
    let mut nodes = Nodes::new(some.iter().map(|&number| edges[number]));
    for &number in &some {
        let Edge { from, to } = edges[number];
        let [from, to] = [from, to].map(|thing| nodes.node(thing, &mut graph));
        graph.add_edge(from, to, ());
    }
    if let Some(writes) = writes {
        add_real_time(&mut graph, nodes.things, writes);
    }
    let mut component = vec![0_u32; graph.node_count()];
    let mut sizes = Vec::new();
    for members in kosaraju_scc(&graph) {
        for member in &members {
            component[member.index()] = sizes.len() as u32;
        }
        sizes.push(members.len());
    }
    some.into_iter()
        .filter(|&number| {
            let Edge { from, to } = edges[number];
            let [from, to] = [from, to].map(|thing| component[nodes.places[thing as usize]]);
            from == to && sizes[from as usize] > 1
        })
        .collect()
}

/// The things that are nodes of a graph, in the order in which they became that.
struct Nodes {
    things: Vec<u32>,
    /// For each thing its place among them; past the end for others.
    places: Vec<usize>,
}

impl Nodes {
    fn new(edges: impl Iterator<Item = Edge>) -> Self {
        let last = edges.map(|edge| edge.from.max(edge.to)).max();
        let count = last.map_or(0, |last| last as usize + 1);
        Nodes {
            things: Vec::new(),
            places: vec![usize::MAX; count],
        }
    }

    /// The node of a thing, which it gets now if it has none.
    fn node(&mut self, thing: u32, graph: &mut DiGraph<(), ()>) -> NodeIndex {
        let place = &mut self.places[thing as usize];
        if *place == usize::MAX {
            *place = graph.add_node(()).index();
            self.things.push(thing);
        }
        NodeIndex::new(*place)
    }
}

/// Ties every write to those that are after it in real time, by way of nodes that stand for moments:
/// a write comes before the moment after its end, each moment before the next, and the moment
/// before a write's beginning before it.
fn add_real_time(graph: &mut DiGraph<(), ()>, things: Vec<u32>, writes: &[Write]) {
    let mut stamped: Vec<(u32, bool, NodeIndex)> = Vec::new();
    for (place, number) in things.into_iter().enumerate() {
        let (write, node) = (writes[number as usize], NodeIndex::new(place));
        stamped.push((write.begins, false, node));
        if write.ends != OPEN {
            stamped.push((write.ends, true, node));
        }
    }
    stamped.sort_unstable();
    let mut moment: Option<NodeIndex> = None;
    // Whether nothing began since the moment.
    let mut is_fresh = false;
    for (_, ends, node) in stamped {
        if !ends {
            is_fresh = false;
            if let Some(moment) = moment {
                graph.add_edge(moment, node, ());
            }
            continue;
        }
        if !is_fresh {
            let next = graph.add_node(());
            if let Some(before) = moment {
                graph.add_edge(before, next, ());
            }
            (moment, is_fresh) = (Some(next), true);
        }
        if let Some(moment) = moment {
            graph.add_edge(node, moment, ());
        }
    }
}
