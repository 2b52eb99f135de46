//! What a process may rely on: monotonic reads, read your writes, writes follow reads.

use super::facts::{Call, Facts, Source};
use super::graph::{Closing, Edge, first_closing};
use super::{Answer, Cause, Guarantee};
use crate::limits::Budget;

/// One write must come before another because of two operations of one process.
#[derive(Debug, Clone, Copy)]
struct Demand {
    edge: Edge,
    first: u32,
    second: u32,
    /// Since when: a read is known from its end, a write from its beginning.
    since: u32,
}

/// What a process has done so far.
#[derive(Debug, Default)]
struct Session {
    /// The last read whose write is known, with that write.
    last_read: Option<(u32, u32)>,
    /// The last completed write of its own, likewise.
    last_write: Option<(u32, u32)>,
    /// Where writes must follow reads: the reads since then, likewise. They bind the next write.
    unfollowed: Vec<(u32, u32)>,
}

/// Whether the history keeps a session guarantee.
pub(super) fn check(facts: &Facts, guarantee: Guarantee, budget: &Budget) -> Answer {
    let mut demands = Vec::new();
    let mut open_reads = 0_u64;
    // The read from nothing that ends first.
    let mut from_nothing: Option<(u32, u32)> = None;
    for process in &facts.processes {
        let mut session = Session::default();
        for &number in process {
            let call = &facts.calls[number as usize];
            if let Some(value) = call.reads {
                match facts.source(call, value) {
                    Source::One(write) => {
                        let read = (number, write);
                        session.read(read, call.ends, guarantee, &mut demands);
                    }
                    Source::Several => open_reads += 1,
                    Source::Nothing => {
                        let found = (call.ends, number);
                        from_nothing = Some(from_nothing.unwrap_or(found).min(found));
                    }
                }
            }
            if let Some(write) = call.write {
                session.write((number, write), call, &mut demands);
            }
        }
    }
    // What real time says by itself is no demand.
    let write = |number: u32| &facts.writes[number as usize];
    demands.retain(|demand| !write(demand.edge.from).is_before(write(demand.edge.to)));
    demands.sort_unstable_by_key(|demand| (demand.since, demand.second, demand.first));
    let broken = first_broken(facts, &demands, budget);
    let causes = from_nothing.map(|(ends, read)| (ends, Cause::FromNothing(read)));
    match causes
        .into_iter()
        .chain(broken)
        .min_by_key(|(since, _)| *since)
    {
        Some((_, cause)) => Answer::Broken(cause),
        None if open_reads > 0 => Answer::Undecided(several_writers(open_reads)),
        None => Answer::Holds,
    }
}

/// Why nothing can be said where reads do not name their writes.
pub(super) fn several_writers(reads: u64) -> String {
    match reads {
        1 => "1 read is of a value that was written more than once".to_owned(),
        reads => format!("{reads} reads are of values that were written more than once"),
    }
}

impl Session {
    fn read(
        &mut self,
        read: (u32, u32),
        ends: u32,
        guarantee: Guarantee,
        demands: &mut Vec<Demand>,
    ) {
        let before = match guarantee {
            Guarantee::MonotonicReads => self.last_read,
            Guarantee::ReadYourWrites => self.last_write,
            _ => None,
        };
        demands.extend(before.and_then(|before| demand(before, read, ends)));
        self.last_read = Some(read);
        if guarantee == Guarantee::WritesFollowReads {
            self.unfollowed.push(read);
        }
    }

    fn write(&mut self, write: (u32, u32), call: &Call, demands: &mut Vec<Demand>) {
        for &read in &self.unfollowed {
            let since = match read.0 == write.0 {
                true => call.ends,
                false => call.begins,
            };
            demands.extend(demand(read, write, since));
        }
        if call.is_completed() {
            // Later writes come after this one anyhow.
            self.unfollowed.clear();
            self.last_write = Some(write);
        }
    }
}

fn demand((first, from): (u32, u32), (second, to): (u32, u32), since: u32) -> Option<Demand> {
    let edge = Edge { from, to };
    (from != to).then_some(Demand {
        edge,
        first,
        second,
        since,
    })
}

/// The first demand that leaves no order of the writes in keeping with real time, and since when.
fn first_broken(facts: &Facts, demands: &[Demand], budget: &Budget) -> Option<(u32, Cause)> {
    let write = |number: u32| &facts.writes[number as usize];
    // What turns real time back needs no circle to be found.
    let direct = demands
        .iter()
        .position(|demand| write(demand.edge.to).is_before(write(demand.edge.from)));
    let before = &demands[..direct.unwrap_or(demands.len())];
    let edges: Vec<Edge> = before.iter().map(|demand| demand.edge).collect();
    let number = match first_closing(&edges, Some(&facts.writes), |_| false, budget) {
        Closing::Edge(edge) => edge,
        Closing::Nothing => direct?,
        Closing::Unknown => return Some((u32::MAX, Cause::Somewhere)),
    };
    let demand = demands[number];
    Some((demand.since, Cause::Pair(demand.first, demand.second)))
}
