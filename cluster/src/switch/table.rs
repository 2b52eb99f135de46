//! What becomes of the packets of each directed link, and what has become of them.
//!
//! Pure but for the [`Output`]: what is decided follows from the rules, the packets and the times
//! they came at.

use std::collections::BTreeMap;

use faults::RuleCounts;

use super::link::{Departure, Dropped, LinkState};
use super::queue::{Held, Queue};
use super::rules::LinkRule;

/// What has become of the packets of one directed link since the switch was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Forwarded, duplicates included.
    pub forwarded: u64,
    /// Dropped because the link was cut.
    pub cut: u64,
    /// Answered with a reset instead of forwarded.
    pub refused: u64,
    /// Dropped by chance.
    pub lost: u64,
    /// Sent with a bit inverted.
    pub corrupted: u64,
    /// Sent once more.
    pub duplicated: u64,
    /// Held for a while.
    pub held: u64,
    /// Sent after one that had come later.
    pub reordered: u64,
    /// Dropped because the queue of a speed limit or of the switch was full.
    pub queue_full: u64,
    /// Lost because the receiving end's queue was full, as on any busy network.
    pub overflowed: u64,
}

/// What the table tells.
pub(super) trait Output {
    /// Sends a frame to a port; whether there was room for it.
    fn send(&mut self, from: usize, to: usize, frame: &[u8]) -> bool;

    /// Told of a frame that is not sent.
    fn dropped(&mut self, from: usize, to: usize, frame: &[u8], why: Dropped);
}

/// The directed links between all ports, their rules, and the packets that are held.
#[derive(Debug)]
pub(super) struct Table {
    ports: usize,
    links: Vec<LinkState>,
    queue: Queue,
    /// What the rules had done that are no more.
    retired: BTreeMap<u64, RuleCounts>,
}

impl Table {
    /// No rules, nothing held.
    pub fn new(ports: usize) -> Self {
        Self {
            ports,
            links: (0..ports * ports).map(|_| LinkState::default()).collect(),
            queue: Queue::default(),
            retired: BTreeMap::new(),
        }
    }

    /// Replaces all rules at once. What is held on a link where nothing holds packets any more is
    /// sent now.
    pub fn replace(
        &mut self,
        mut rules: impl FnMut(usize, usize) -> Vec<LinkRule>,
        now_ns: u64,
        out: &mut impl Output,
    ) {
        for (at, link) in self.links.iter_mut().enumerate() {
            let fresh = rules(at / self.ports, at % self.ports);
            for (fault, counts) in link.replace(fresh) {
                add(self.retired.entry(fault).or_default(), &counts);
            }
        }
        for held in self.queue.take(|held| !self.links[held.link].holds()) {
            self.release(held, now_ns, out);
        }
    }

    /// Decides about a packet that came in at one port for another, and sends what is to be sent
    /// now.
    pub fn offer(
        &mut self,
        (from, to): (usize, usize),
        frame: &[u8],
        now_ns: u64,
        out: &mut impl Output,
    ) {
        self.release_due(now_ns, out);
        let at = from * self.ports + to;
        let link = &mut self.links[at];
        let number = link.next_number();
        if link.has_no_rules() {
            link.sent(number, 0, out.send(from, to, frame));
            return;
        }
        let mut frame = frame.into();
        let copies = match link.judge(&mut frame, now_ns) {
            Ok(copies) => copies,
            Err(why) => {
                out.dropped(from, to, &frame, why);
                if why == Dropped::Refused
                    && let Some(reset) = super::frame::reset(&frame)
                {
                    out.send(to, from, &reset);
                }
                return;
            }
        };
        for (
            copy,
            Departure {
                release_ns,
                overtakable,
            },
        ) in (0..).zip(copies)
        {
            if release_ns <= now_ns {
                link.sent(number, copy, out.send(from, to, &frame));
                continue;
            }
            let held = Held {
                release_ns,
                link: at,
                number,
                copy,
                overtakable,
                frame: frame.as_ref().into(),
            };
            if self.queue.push(held) {
                link.held(copy);
            } else {
                link.found_queue_full();
                out.dropped(from, to, &frame, Dropped::QueueFull);
            }
        }
    }

    /// Sends what has been held long enough.
    pub fn release_due(&mut self, now_ns: u64, out: &mut impl Output) {
        while let Some(held) = self.queue.pop_due(now_ns) {
            self.release(held, now_ns, out);
        }
    }

    /// When the next packet that is held is to be sent.
    pub fn next_release_ns(&self) -> Option<u64> {
        self.queue.next_release_ns()
    }

    /// A link that was cut meanwhile drops what was still under way.
    fn release(&mut self, held: Held, now_ns: u64, out: &mut impl Output) {
        let (from, to) = (held.link / self.ports, held.link % self.ports);
        let link = &mut self.links[held.link];
        if link.cuts(&held.frame, now_ns) {
            out.dropped(from, to, &held.frame, Dropped::Cut);
            return;
        }
        let was_overtaken = link.sent(held.number, held.copy, out.send(from, to, &held.frame));
        if let Some(fault) = held.overtakable.filter(|_| was_overtaken) {
            let counts = link.counts_of(fault);
            let counts = counts.unwrap_or_else(|| self.retired.entry(fault).or_default());
            counts.overtaken += 1;
        }
    }

    pub fn counts(&self, from: usize, to: usize) -> LinkCounts {
        self.links[from * self.ports + to].counts()
    }

    /// What the rules of a fault have done on all links.
    pub fn rule_counts(&self, fault: u64) -> RuleCounts {
        let mut sum = self.retired.get(&fault).copied().unwrap_or_default();
        for counts in self.links.iter().flat_map(|link| link.rule_counts(fault)) {
            add(&mut sum, counts);
        }
        sum
    }
}

fn add(sum: &mut RuleCounts, counts: &RuleCounts) {
    sum.packets += counts.packets;
    sum.affected += counts.affected;
    sum.overflowed += counts.overflowed;
    sum.overtaken += counts.overtaken;
    sum.held_us += counts.held_us;
}

#[cfg(test)]
mod tests;
