//! The operations on each value, and the chains that compare-and-sets make of values.

use super::Rule;
use super::conflict::Conflict;
use crate::registers::{Access, OPEN, RegisterCall, RegisterHistory};

/// A place that nothing has: of a write that is not there, of a return that never comes.
pub(super) const NEVER: u32 = OPEN;

/// When the operations on one value happen. Places are positions of moments plus one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cluster {
    /// [`NEVER`] where nothing leaves the value; 0 for the value at the start.
    pub write_begins: u32,
    /// [`NEVER`] for an open write.
    pub write_returns: u32,
    /// [`NEVER`] where nobody read it.
    pub first_read_returns: u32,
    /// 0 where nobody read it.
    pub last_read_begins: u32,
}

impl Cluster {
    pub(super) fn is_read(&self) -> bool {
        self.first_read_returns != NEVER
    }
}

/// The place of a moment.
pub(super) fn place(moment: u32) -> u32 {
    moment.saturating_add(1)
}

/// What a call does, with a compare-and-set that changes nothing as the read that it is.
pub(super) fn access(call: &RegisterCall) -> Access<u32> {
    match call.access {
        Access::Cas(old, new) if old == new => Access::Read(old),
        access => access,
    }
}

/// The clusters, and the calls that are compare-and-sets; `None` where values repeat or an
/// operation is none of read, write and compare-and-set.
pub(super) fn gather(
    history: &RegisterHistory,
    without: Option<Rule>,
) -> Option<(Vec<Cluster>, Vec<u32>)> {
    let &[start] = history.starts.as_slice() else {
        return None;
    };
    let nothing = Cluster {
        write_begins: NEVER,
        write_returns: NEVER,
        first_read_returns: NEVER,
        last_read_begins: 0,
    };
    let mut clusters = vec![nothing; history.values as usize];
    let mut cas = Vec::new();
    let initial = clusters.get_mut(start as usize)?;
    initial.write_begins = 0;
    if without != Some(Rule::StartIsFirst) {
        initial.write_returns = 0;
    }
    for (number, call) in (0_u32..).zip(&history.calls) {
        let (begins, returns) = (place(call.begins), place(call.returns));
        let value = match access(call) {
            Access::Read(_) | Access::Not(_) if call.returns == OPEN => continue,
            Access::Read(value) => {
                let cluster = clusters.get_mut(value as usize)?;
                cluster.first_read_returns = cluster.first_read_returns.min(returns);
                cluster.last_read_begins = cluster.last_read_begins.max(begins);
                continue;
            }
            Access::Not(_) => return None,
            Access::Write(value) => value,
            Access::Cas(old, new) => {
                clusters.get(old as usize)?;
                cas.push(number);
                new
            }
        };
        let cluster = clusters.get_mut(value as usize)?;
        if cluster.write_begins != NEVER {
            return None;
        }
        cluster.write_begins = begins;
        cluster.write_returns = returns;
    }
    Some((clusters, cas))
}

/// Which value the compare-and-sets that count found, and what they left.
#[derive(Default)]
pub(super) struct Chains {
    /// How many compare-and-sets count.
    pub links: u32,
    /// For each value left by a compare-and-set (also by one that does not count), what it found;
    /// else [`NEVER`]. Empty where there are no compare-and-sets.
    previous: Vec<u32>,
    /// For each value, what the compare-and-set that counts and found it has left; else [`NEVER`].
    next: Vec<u32>,
}

impl Chains {
    pub(super) fn of(
        history: &RegisterHistory,
        clusters: &[Cluster],
        cas: &[u32],
        without: Option<Rule>,
    ) -> Result<Self, Conflict> {
        let values = if cas.is_empty() { 0 } else { clusters.len() };
        let mut chains = Chains {
            links: 0,
            previous: vec![NEVER; values],
            next: vec![NEVER; values],
        };
        let ends = |number: u32| match history.calls[number as usize].access {
            Access::Cas(old, new) => (old, new),
            Access::Read(value) | Access::Write(value) | Access::Not(value) => (value, value),
        };
        for &number in cas {
            let (old, new) = ends(number);
            chains.previous[new as usize] = old;
        }
        let mut counts = vec![false; values];
        for &number in cas {
            let (_, mut value) = ends(number);
            let is_observed = history.calls[number as usize].returns != OPEN
                || clusters[value as usize].is_read()
                || without == Some(Rule::OpenIfObserved);
            while is_observed && chains.is_left_by_cas(value) && !counts[value as usize] {
                counts[value as usize] = true;
                if without == Some(Rule::ObservedByChain) {
                    break;
                }
                value = chains.previous[value as usize];
            }
        }
        for &number in cas {
            let (old, new) = ends(number);
            if !counts[new as usize] {
                continue;
            }
            let other = std::mem::replace(&mut chains.next[old as usize], new);
            if other == NEVER {
                chains.links += 1;
            } else if without != Some(Rule::OneSuccessor) {
                return Err(Conflict::Forked { left: [other, new] });
            }
        }
        Ok(chains)
    }

    pub(super) fn is_left_by_cas(&self, value: u32) -> bool {
        self.previous(value).is_some()
    }

    /// What the compare-and-set that left `value` found.
    pub(super) fn previous(&self, value: u32) -> Option<u32> {
        known(&self.previous, value)
    }

    /// What the compare-and-set that found `value` left, if it counts.
    pub(super) fn next(&self, value: u32) -> Option<u32> {
        known(&self.next, value)
    }

    /// The conflict of a block that begins with no write: it has values that cannot be reached
    /// from one that was plainly written.
    pub(super) fn without_first(&self, clusters: &[Cluster]) -> Conflict {
        let mut reached = vec![false; clusters.len()];
        for first in 0..clusters.len() as u32 {
            let has_write = clusters[first as usize].write_begins != NEVER;
            let mut value = (has_write && !self.is_left_by_cas(first)).then_some(first);
            while let Some(met) = value {
                reached[met as usize] = true;
                value = self.next(met);
            }
        }
        let links = (0..clusters.len() as u32).filter_map(|old| self.next(old));
        let last = links.into_iter().find(|new| !reached[*new as usize]);
        // There is one whenever this is asked; if not, the first value contradicts nothing, and
        // whoever confirms the calls will say so.
        Conflict::WithoutFirst {
            left: last.unwrap_or(0),
        }
    }
}

fn known(list: &[u32], value: u32) -> Option<u32> {
    list.get(value as usize)
        .copied()
        .filter(|&other| other != NEVER)
}
