//! Which few calls contradict each other.
//!
//! A call of the conflict that is open itself (its write was observed) stays open when all others
//! are made open too. So that it still counts then, a completed call that shows its value, or one
//! that was made from it, is given with it: its *witness*.

use super::clusters::{self, Cluster};
use super::{NEVER, Zone};
use crate::registers::{Access, OPEN, RegisterHistory};

/// At most so many compare-and-sets of a chain without a first write are named.
const CHAIN_SHOWN_MAX: usize = 4;

/// Why there is no order. Places are positions of moments plus one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Conflict {
    /// This value is read and nothing writes it.
    Unwritten { value: u32 },
    /// This value was left by a compare-and-set whose chain, followed back, ends at a value that
    /// nothing writes or comes back to itself.
    WithoutFirst { left: u32 },
    /// Two compare-and-sets found one value and left these.
    Forked { left: [u32; 2] },
    /// The call that returns here has to come after the call that begins there.
    Early { returns: u32, begins: u32 },
    /// The zone of another block overlaps a forward zone, or is backward and within it.
    Zones { forward: Zone, other: Zone },
}

/// The calls of the conflict, in order of beginning.
pub(super) fn calls(
    history: &RegisterHistory,
    clusters: &[Cluster],
    conflict: &Conflict,
) -> Vec<u32> {
    let mut search = Search {
        history,
        clusters,
        found: Vec::new(),
    };
    match *conflict {
        Conflict::Unwritten { value } => {
            search.add_at(clusters[value as usize].first_read_returns);
        }
        Conflict::WithoutFirst { left } => search.add_chain(left),
        Conflict::Forked { left } => {
            for value in left {
                search.add_at(clusters[value as usize].write_begins);
            }
        }
        Conflict::Early { returns, begins } => {
            // The one that returns shows that the other counts.
            search.found.extend(search.call_at(returns));
            search.found.extend(search.call_at(begins));
        }
        Conflict::Zones { forward, other } => {
            for zone in [forward, other] {
                search.add_at(zone.first_return);
                search.add_at(zone.last_begin);
            }
        }
    }
    search.found.sort_unstable();
    search.found.dedup();
    search.found
}

/// A completed call other than a compare-and-set that shows what this one left, or what was made
/// from it.
pub(super) fn plain_witness(
    history: &RegisterHistory,
    clusters: &[Cluster],
    call: u32,
) -> Option<u32> {
    let search = Search {
        history,
        clusters,
        found: Vec::new(),
    };
    let is_plain = |access| !matches!(access, Access::Cas(..));
    search.witness_among(search.shown(call), is_plain)
}

struct Search<'a> {
    history: &'a RegisterHistory,
    clusters: &'a [Cluster],
    found: Vec<u32>,
}

impl Search<'_> {
    /// The call that begins or returns at this place; the start of everything is none.
    fn call_at(&self, place: u32) -> Option<u32> {
        let moment = place.checked_sub(1)?;
        self.history
            .moments
            .get(moment as usize)
            .map(|call| call >> 1)
    }

    /// The call at this place, with its witness if it is open.
    fn add_at(&mut self, place: u32) {
        let Some(call) = self.call_at(place) else {
            return;
        };
        self.found.push(call);
        if self.history.calls[call as usize].returns == OPEN {
            self.found.extend(self.witness(self.shown(call)));
        }
    }

    /// Compare-and-sets back along the chain, with the witness of the last.
    fn add_chain(&mut self, left: u32) {
        self.add_at(self.clusters[left as usize].write_begins);
        let mut value = left;
        for _ in 1..CHAIN_SHOWN_MAX {
            match self.previous(value) {
                Some(previous) if previous != left => value = previous,
                _ => return,
            }
            let write = self.clusters[value as usize].write_begins;
            self.found.extend(self.call_at(write));
        }
    }

    /// A completed call that shows this value or one whose chain came through it.
    fn witness(&self, target: u32) -> Option<u32> {
        self.witness_among(target, |_| true)
    }

    fn witness_among(&self, target: u32, wanted: impl Fn(Access<u32>) -> bool) -> Option<u32> {
        let mut met = vec![false; self.clusters.len()];
        let completed = (0_u32..).zip(&self.history.calls);
        for (number, _) in completed.filter(|(_, call)| call.returns != OPEN && wanted(call.access))
        {
            let mut value = Some(self.shown(number));
            while let Some(here) = value.filter(|value| !met[*value as usize]) {
                if here == target {
                    return Some(number);
                }
                met[here as usize] = true;
                value = self.previous(here);
            }
        }
        None
    }

    /// The value that is there once the call has happened.
    fn shown(&self, call: u32) -> u32 {
        match clusters::access(&self.history.calls[call as usize]) {
            Access::Read(value) | Access::Write(value) | Access::Not(value) => value,
            Access::Cas(_, new) => new,
        }
    }

    /// What the compare-and-set that left the value found.
    fn previous(&self, value: u32) -> Option<u32> {
        let write = self.clusters[value as usize].write_begins;
        let call = self.call_at(write).filter(|_| write != NEVER)?;
        match clusters::access(&self.history.calls[call as usize]) {
            Access::Cas(old, _) => Some(old),
            Access::Read(_) | Access::Write(_) | Access::Not(_) => None,
        }
    }
}
