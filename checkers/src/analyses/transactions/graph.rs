//! What transactions depend on.

use histories::Value;

use super::Objects;
use super::parse::Txn;
use super::versions::Versions;

/// Why one transaction is before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dependency {
    /// The other overwrote what it wrote.
    Ww = 1,
    /// The other read what it wrote.
    Wr = 2,
    /// The other overwrote what it read.
    Rw = 4,
    /// It ended before the other began.
    Realtime = 8,
    /// The other overwrote what it read, and it wrote there too. Where nobody overwrites what they
    /// have not seen, it was before the other as if by `Ww`; beside each there is an `Rw`.
    Update = 16,
    /// The other began after what it read had been written, and wrote there: in an order that agrees
    /// with real time, it overwrote that.
    Overtaken = 32,
}

/// One transaction is before another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge<'a> {
    pub to: u32,
    pub dependency: Dependency,
    /// The key, and the value read or overwritten with.
    pub about: Option<(&'a Value, &'a Value)>,
}

/// The transactions by number, each with those that it is before.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub edges: Vec<Vec<Edge<'a>>>,
}

/// Edges that one version of a key gives, at most.
const READERS_TIMES_WRITERS_MAX: usize = 1_000_000;

impl<'a> Graph<'a> {
    pub fn new(txns: &[Txn<'a>], versions: &Versions<'a>, objects: Objects) -> Self {
        let mut graph = Graph {
            edges: vec![Vec::new(); txns.len()],
        };
        for (key, known) in versions {
            for (before, successors) in &known.successors {
                let Some(writer) = before.and_then(|value| known.writers.get(value)) else {
                    continue;
                };
                for later in successors {
                    if let Some(next) = known.writers.get(later) {
                        graph.add(*writer, *next, Dependency::Ww, (key, later));
                    }
                }
            }
            let mut added = 0;
            for (reader, read) in &known.readers {
                if let Some(value) = read
                    && let Some(writer) = known.writers.get(value)
                {
                    graph.add(*writer, *reader, Dependency::Wr, (key, value));
                }
                let updates = txns[*reader as usize].writes(key);
                for later in known.successors.get(read).into_iter().flatten() {
                    added += 1;
                    if let Some(next) = known.writers.get(later)
                        && added <= READERS_TIMES_WRITERS_MAX
                    {
                        graph.add(*reader, *next, Dependency::Rw, (key, later));
                        if updates {
                            graph.add(*reader, *next, Dependency::Update, (key, later));
                        }
                    }
                }
            }
        }
        // The order of lists is known from what was read.
        if objects == Objects::Registers {
            graph.add_overtaken(txns, versions);
        }
        // What did not happen, or may not have, is before nothing and after nothing.
        graph.drop_aborted(txns);
        graph.add_realtime(txns);
        for edges in &mut graph.edges {
            edges.sort_by_key(|edge| (edge.to, edge.dependency));
            edges.dedup_by_key(|edge| (edge.to, edge.dependency));
        }
        graph
    }

    fn add(&mut self, from: u32, to: u32, dependency: Dependency, about: (&'a Value, &'a Value)) {
        if from != to {
            self.edges[from as usize].push(Edge {
                to,
                dependency,
                about: Some(about),
            });
        }
    }

    /// From each that read a value to those that wrote there and began after its writer had ended,
    /// but for what follows from others of these.
    fn add_overtaken(&mut self, txns: &[Txn<'a>], versions: &Versions<'a>) {
        let ended = |number: u32| {
            let txn = &txns[number as usize];
            let ended = txn.operation.ended.filter(|_| txn.is_ok());
            ended.map(|point| point.index)
        };
        for (key, known) in versions {
            let mut writers: Vec<(u64, u32, &Value)> = known
                .writers
                .iter()
                .map(|(value, by)| (txns[*by as usize].operation.invoked.index, *by, *value))
                .collect();
            writers.sort_unstable();
            for (reader, read) in &known.readers {
                let writer = read.and_then(|value| known.writers.get(value));
                let Some(written) = writer.and_then(|writer| ended(*writer)) else {
                    continue;
                };
                let from = writers.partition_point(|(began, _, _)| *began <= written);
                let mut first_end = u64::MAX;
                for (began, next, value) in &writers[from..] {
                    if *began > first_end {
                        break;
                    }
                    first_end = first_end.min(ended(*next).unwrap_or(u64::MAX));
                    self.add(*reader, *next, Dependency::Overtaken, (key, value));
                }
            }
        }
    }

    fn drop_aborted(&mut self, txns: &[Txn<'_>]) {
        for (edges, txn) in self.edges.iter_mut().zip(txns) {
            if txn.is_aborted() {
                edges.clear();
            }
            edges.retain(|edge| !txns[edge.to as usize].is_aborted());
        }
    }

    /// From each transaction that ended to those that began after it, but for what follows from
    /// others of these.
    fn add_realtime(&mut self, txns: &[Txn<'_>]) {
        // Index, whether it is an end, and of which.
        let mut moments: Vec<(u64, bool, u32)> = Vec::new();
        for (number, txn) in (0..).zip(txns).filter(|(_, txn)| !txn.is_aborted()) {
            moments.push((txn.operation.invoked.index, false, number));
            if let (true, Some(ended)) = (txn.is_ok(), txn.operation.ended) {
                moments.push((ended.index, true, number));
            }
        }
        moments.sort_unstable();
        // Those that ended, and before none of which another of them began.
        let mut latest: Vec<u32> = Vec::new();
        for (_, is_end, number) in moments {
            if !is_end {
                for before in &latest {
                    self.edges[*before as usize].push(Edge {
                        to: number,
                        dependency: Dependency::Realtime,
                        about: None,
                    });
                }
                continue;
            }
            let began = txns[number as usize].operation.invoked.index;
            latest.retain(|before| {
                let ended = txns[*before as usize].operation.ended;
                ended.is_none_or(|ended| ended.index >= began)
            });
            latest.push(number);
        }
    }
}
