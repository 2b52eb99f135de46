//! What becomes of the packets of each directed link, and what has become of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// What the switch does with the packets of one directed link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkPolicy {
    /// Drops every packet.
    pub cut: bool,
}

/// What is to become of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on at once.
    Forward,
    /// It is dropped, because the link is cut.
    Cut,
}

/// What has become of the packets of one directed link since the switch was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Forwarded.
    pub forwarded: u64,
    /// Dropped because the link was cut.
    pub cut: u64,
    /// Lost because the receiving end's queue was full, as on any busy network.
    pub overflowed: u64,
}

/// The table of all directed links between `ports` ports.
#[derive(Debug)]
pub(super) struct Links {
    ports: usize,
    policies: RwLock<Box<[LinkPolicy]>>,
    counters: Box<[Counters]>,
}

#[derive(Debug, Default)]
struct Counters {
    forwarded: AtomicU64,
    cut: AtomicU64,
    overflowed: AtomicU64,
}

impl LinkPolicy {
    fn fate(self) -> Fate {
        if self.cut { Fate::Cut } else { Fate::Forward }
    }
}

impl Links {
    pub fn new(ports: usize) -> Self {
        let links = ports * ports;
        Self {
            ports,
            policies: RwLock::new(vec![LinkPolicy::default(); links].into()),
            counters: (0..links).map(|_| Counters::default()).collect(),
        }
    }

    /// Replaces the whole table at once. When this returns, no packet is on its way any more
    /// that was judged by the old one.
    pub fn replace(&self, policy: impl Fn(usize, usize) -> LinkPolicy) {
        let fresh = (0..self.ports * self.ports)
            .map(|link| policy(link / self.ports, link % self.ports))
            .collect();
        // The table is replaced in one move, so a panic elsewhere cannot have torn it.
        *self
            .policies
            .write()
            .unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// Decides about one packet and, if it is to go on, lets `send` send it, which says whether it
    /// found room. The table cannot be replaced in between.
    pub fn pass(&self, from: usize, to: usize, send: impl FnOnce() -> bool) {
        let link = from * self.ports + to;
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        let counters = &self.counters[link];
        let counter = match policies[link].fate() {
            Fate::Cut => &counters.cut,
            Fate::Forward if send() => &counters.forwarded,
            Fate::Forward => &counters.overflowed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn counts(&self, from: usize, to: usize) -> LinkCounts {
        let counters = &self.counters[from * self.ports + to];
        LinkCounts {
            forwarded: counters.forwarded.load(Ordering::Relaxed),
            cut: counters.cut.load(Ordering::Relaxed),
            overflowed: counters.overflowed.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_of_the_512_tables_of_three_ports_is_obeyed() {
        const PORTS: usize = 3;
        let links = Links::new(PORTS);
        let mut expected = [LinkCounts::default(); PORTS * PORTS];
        for table in 0_u32..1 << (PORTS * PORTS) {
            let is_cut = |link: usize| table >> link & 1 == 1;
            links.replace(|from, to| LinkPolicy {
                cut: is_cut(from * PORTS + to),
            });
            for (link, expected) in expected.iter_mut().enumerate() {
                let has_room = table % 3 != 0;
                let mut was_sent = false;
                links.pass(link / PORTS, link % PORTS, || {
                    was_sent = true;
                    has_room
                });
                assert_eq!(was_sent, !is_cut(link), "table {table:b}, link {link}");
                match (is_cut(link), has_room) {
                    (true, _) => expected.cut += 1,
                    (false, true) => expected.forwarded += 1,
                    (false, false) => expected.overflowed += 1,
                }
                assert_eq!(links.counts(link / PORTS, link % PORTS), *expected);
            }
        }
    }
}
