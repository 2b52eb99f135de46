//! Registers whose written values are all different, decided from the zones of the values.
//!
//! When every value is written once, what is read says which write it saw. So all operations on a
//! value (its write and its reads) form a *cluster*, and clusters that compare-and-sets link (from
//! 1 to 2, from 2 to 3) form a *block*: in any order of the whole, the operations of a block come
//! one after another with nothing between them, first those on its first value.
//!
//! The zone of a block lies between the first return and the last beginning among its operations.
//! If the first return comes before the last beginning, the block is certainly there from the one
//! to the other: a *forward* zone. Otherwise all its operations overlap each other, and all of the
//! block fits in at any one moment from the last beginning to the first return: a *backward* zone.
//! There is an order if and only if (Gibbons and Korach, "Testing shared memories", SIAM Journal on
//! Computing 26(4), 1997; there for reads and writes, here for blocks)
//!
//! 1. every value read is written, and every block begins with a plain write or the start;
//! 2. no two compare-and-sets find the same value;
//! 3. within a block, no operation returns before one begins that is on an earlier value, or that
//!    wrote the value;
//! 4. no two forward zones overlap;
//! 5. no backward zone lies within a forward zone.
//!
//! Each is necessary. That they suffice: forward blocks are put in the order of their zones, each
//! of their operations at the later of the zone's beginning and its own (by 3 it has not returned
//! then, and the order within the block is kept); a backward block goes where its zone begins, or,
//! if that is within a forward zone, right behind that one (by 5 its own zone goes on there).
//! [`order`] builds exactly this.
//!
//! Of the operations of unknown outcome, those count whose effect was observed: an open write if
//! its value is read or found; an open compare-and-set if its value is read, or found by a
//! compare-and-set that counts. Without the others an order stays an order, since nothing between
//! them and the next change observed what they left. One that counts never returns. The value at
//! the start has a write that returned before everything.

mod clusters;
mod conflict;
mod order;
#[cfg(test)]
mod tests;

use super::{Access, RegisterHistory};
use clusters::{Chains, Cluster, NEVER};
use conflict::Conflict;

pub(crate) use order::order;

/// What the zones say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Zones {
    /// The history has an order.
    Linearizable,
    /// It has none.
    Violated {
        /// Calls that contradict each other, in order of beginning: with every other call open
        /// (observers left out) there is still no order.
        calls: Vec<u32>,
    },
}

/// Decides the history, in time linear in its length. `None` where the zones say nothing: a value
/// may have been written twice (writes of the value at the start included), a call found "another
/// value than this one", or more than one value may have been there at the start.
pub(crate) fn decide(history: &RegisterHistory) -> Option<Zones> {
    decide_without(history, None)
}

fn decide_without(history: &RegisterHistory, without: Option<Rule>) -> Option<Zones> {
    let blocks = Blocks::of(history, without)?;
    Some(match blocks.conflict(without) {
        None => Zones::Linearizable,
        Some(conflict) => Zones::Violated {
            calls: conflict::calls(history, &blocks.clusters, &conflict),
        },
    })
}

/// Adds to `calls`, for each compare-and-set among them, a completed call that is none and that
/// shows that it happened as it did: what it left, or what was made from that.
pub(crate) fn add_witnesses(history: &RegisterHistory, calls: &mut Vec<u32>) {
    let Some(blocks) = Blocks::of(history, None) else {
        return;
    };
    let is_cas = |call: &u32| matches!(history.calls[*call as usize].access, Access::Cas(..));
    let swaps: Vec<u32> = calls.iter().copied().filter(is_cas).collect();
    for call in swaps {
        calls.extend(conflict::plain_witness(history, &blocks.clusters, call));
    }
    calls.sort_unstable();
    calls.dedup();
}

/// A condition of the rules. Tests leave one out, to see that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// What is read was written.
    ReadIsWritten,
    /// A block begins with a plain write or the start.
    BlockHasFirst,
    /// No two compare-and-sets find the same value.
    OneSuccessor,
    /// A write does not return before an operation on an earlier value of its block begins.
    WriteAfterEarlier,
    /// Nor does a read, nor before the write of its value begins.
    ReadAfterEarlier,
    /// Forward zones do not overlap.
    ForwardApart,
    /// No backward zone lies within a forward zone.
    BackwardOutside,
    /// The value at the start is there before everything.
    StartIsFirst,
    /// An open compare-and-set counts only if its value was observed.
    OpenIfObserved,
    /// What a compare-and-set that counts has found was observed.
    ObservedByChain,
}

/// The zone of a block: when the first of its operations returns and when the last one begins.
#[derive(Debug, Clone, Copy)]
struct Zone {
    first_return: u32,
    last_begin: u32,
}

impl Zone {
    fn is_forward(self) -> bool {
        self.first_return < self.last_begin
    }
}

/// A history in clusters and blocks.
struct Blocks {
    clusters: Vec<Cluster>,
    chains: Chains,
    /// A conflict within a block.
    contradicts_itself: Option<Conflict>,
    /// Where zones begin: [`NONE`], or the end of a forward zone, or [`BACKWARD`] with the end of
    /// a backward zone. A place is a moment's position plus one; 0 is before everything.
    marks: Vec<u32>,
}

const NONE: u32 = 0;
const BACKWARD: u32 = 1 << 31;

impl Blocks {
    /// `None` where the rules do not apply.
    fn of(history: &RegisterHistory, without: Option<Rule>) -> Option<Self> {
        // The high bit of a mark says something else.
        if history.moments.len() >= BACKWARD as usize - 1 {
            return None;
        }
        let (clusters, cas) = clusters::gather(history, without)?;
        let chains = Chains::of(history, &clusters, &cas, without);
        let mut blocks = Blocks {
            clusters,
            contradicts_itself: chains.as_ref().err().copied(),
            chains: chains.unwrap_or_default(),
            marks: vec![NONE; history.moments.len() + 1],
        };
        if blocks.contradicts_itself.is_none() {
            blocks.contradicts_itself = blocks.mark_zones(without).err();
        }
        Some(blocks)
    }

    /// Why there is no order.
    fn conflict(&self, without: Option<Rule>) -> Option<Conflict> {
        self.contradicts_itself.or_else(|| self.clash(without))
    }

    fn mark_zones(&mut self, without: Option<Rule>) -> Result<(), Conflict> {
        let mut links = 0;
        for value in 0..self.clusters.len() as u32 {
            let cluster = &self.clusters[value as usize];
            if cluster.write_begins == NEVER {
                if cluster.is_read() && without != Some(Rule::ReadIsWritten) {
                    return Err(Conflict::Unwritten { value });
                }
            } else if !self.chains.is_left_by_cas(value) {
                let zone = self.zone(value, &mut links, without)?;
                self.mark(zone);
            }
        }
        if links < self.chains.links && without != Some(Rule::BlockHasFirst) {
            return Err(self.chains.without_first(&self.clusters));
        }
        Ok(())
    }

    /// The zone of the block that begins with this value, by one walk along it; `links` counts the
    /// compare-and-sets met.
    fn zone(&self, first: u32, links: &mut u32, without: Option<Rule>) -> Result<Zone, Conflict> {
        let mut zone = Zone {
            first_return: NEVER,
            last_begin: 0,
        };
        let mut value = first;
        loop {
            let cluster = self.clusters[value as usize];
            if cluster.write_returns < zone.last_begin && without != Some(Rule::WriteAfterEarlier) {
                return Err(Conflict::Early {
                    returns: cluster.write_returns,
                    begins: zone.last_begin,
                });
            }
            zone.last_begin = zone.last_begin.max(cluster.write_begins);
            if cluster.first_read_returns < zone.last_begin
                && without != Some(Rule::ReadAfterEarlier)
            {
                return Err(Conflict::Early {
                    returns: cluster.first_read_returns,
                    begins: zone.last_begin,
                });
            }
            zone.last_begin = zone.last_begin.max(cluster.last_read_begins);
            let returns = cluster.write_returns.min(cluster.first_read_returns);
            zone.first_return = zone.first_return.min(returns);
            match self.chains.next(value) {
                Some(next) => value = next,
                None => return Ok(zone),
            }
            *links += 1;
        }
    }

    fn mark(&mut self, zone: Zone) {
        if zone.is_forward() {
            self.marks[zone.first_return as usize] = zone.last_begin;
        } else if zone.first_return != NEVER && zone.last_begin > 0 {
            self.marks[zone.last_begin as usize] = BACKWARD | zone.first_return;
        }
        // Else nothing that counts is in the block, or nothing but the start.
    }

    /// The first place where two zones contradict each other.
    fn clash(&self, without: Option<Rule>) -> Option<Conflict> {
        let (mut begun, mut ends) = (0, 0);
        for (place, &mark) in (0_u32..).zip(&self.marks) {
            if mark == NONE {
                continue;
            }
            let is_backward = mark & BACKWARD != 0;
            let (last, rule) = if is_backward {
                (mark & !BACKWARD, Rule::BackwardOutside)
            } else {
                (place, Rule::ForwardApart)
            };
            if last < ends && without != Some(rule) {
                return Some(Conflict::Zones {
                    forward: Zone {
                        first_return: begun,
                        last_begin: ends,
                    },
                    other: match is_backward {
                        true => Zone {
                            first_return: last,
                            last_begin: place,
                        },
                        false => Zone {
                            first_return: place,
                            last_begin: mark,
                        },
                    },
                });
            }
            if !is_backward {
                (begun, ends) = (place, mark);
            }
        }
        None
    }
}
