//! One directed link: its rules in their order, and what they make of a packet.

use std::borrow::Cow;

use faults::RuleCounts;

use super::frame::Packet;
use super::rules::{Decision, LinkRule};
use super::table::LinkCounts;
use crate::switch::socket::OFFLOAD_HEADER_BYTES;

/// A packet is sent at most so often, however many rules duplicate it.
const COPIES_MAX: usize = 8;

/// Why a packet is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    Cut,
    Refused,
    Lost,
    QueueFull,
}

impl Dropped {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Dropped::Cut => "cut",
            Dropped::Refused => "refused",
            Dropped::Lost => "lost",
            Dropped::QueueFull => "queue full",
        }
    }
}

/// A packet that is to be sent, or one more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Departure {
    /// When.
    pub release_ns: u64,
    /// The fault that holds it so that others may overtake it.
    pub overtakable: Option<u64>,
}

/// The state of a directed link.
#[derive(Debug, Default)]
pub(super) struct LinkState {
    /// In the order in which they are obeyed.
    rules: Vec<LinkRule>,
    counts: LinkCounts,
    /// How many packets came so far.
    packets: u64,
    /// The number of the latest packet that was sent.
    sent_max: u64,
    /// When the last of the packets is sent that are kept in order.
    last_release_ns: u64,
}

impl LinkState {
    pub fn counts(&self) -> LinkCounts {
        self.counts
    }

    pub fn has_no_rules(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether any rule holds packets.
    pub fn holds(&self) -> bool {
        self.rules.iter().any(LinkRule::holds)
    }

    /// The number of the next packet.
    pub fn next_number(&mut self) -> u64 {
        self.packets += 1;
        self.packets
    }

    /// Replaces its rules. One that stays goes on where it was. Returns what the others did.
    pub fn replace(&mut self, mut fresh: Vec<LinkRule>) -> Vec<(u64, RuleCounts)> {
        let mut retired = Vec::new();
        for old in std::mem::take(&mut self.rules) {
            match fresh.iter_mut().find(|new| new.is_same_as(&old)) {
                Some(new) => *new = old,
                None => retired.push((old.rule.fault, old.counts)),
            }
        }
        fresh.sort_by_key(LinkRule::order);
        self.rules = fresh;
        if !self.holds() {
            self.last_release_ns = 0;
        }
        retired
    }

    pub fn rule_counts(&self, fault: u64) -> impl Iterator<Item = &RuleCounts> {
        let of_fault = self
            .rules
            .iter()
            .filter(move |rule| rule.rule.fault == fault);
        of_fault.map(|rule| &rule.counts)
    }

    pub fn counts_of(&mut self, fault: u64) -> Option<&mut RuleCounts> {
        let rule = self.rules.iter_mut().find(|rule| rule.rule.fault == fault);
        rule.map(|rule| &mut rule.counts)
    }

    /// Whether a packet that was under way is dropped now.
    pub fn cuts(&mut self, frame: &[u8], now_ns: u64) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        self.apply_cuts(Packet::parse(frame).as_ref(), frame, now_ns)
    }

    /// Every cut counts what it drops, also what another drops too.
    fn apply_cuts(&mut self, packet: Option<&Packet>, frame: &[u8], now_ns: u64) -> bool {
        let mut is_cut = false;
        for rule in self.rules.iter_mut().take_while(|rule| rule.is_cut()) {
            if rule.is_about(packet, frame, now_ns) {
                rule.counts.packets += 1;
                rule.counts.affected += 1;
                is_cut = true;
            }
        }
        self.counts.cut += u64::from(is_cut);
        is_cut
    }

    /// What the rules make of a packet: when it is to be sent, and how often, or why not.
    pub fn judge(
        &mut self,
        frame: &mut Cow<'_, [u8]>,
        now_ns: u64,
    ) -> Result<Vec<Departure>, Dropped> {
        let packet = Packet::parse(frame);
        if self.apply_cuts(packet.as_ref(), frame, now_ns) {
            return Err(Dropped::Cut);
        }
        let mut copies = vec![Departure {
            release_ns: now_ns,
            overtakable: None,
        }];
        let (mut keep_order, mut hold_us) = (false, 0);
        for rule in self.rules.iter_mut().skip_while(|rule| rule.is_cut()) {
            if !rule.is_about(packet.as_ref(), frame, now_ns) {
                continue;
            }
            let decision = rule.decide();
            let affected = match decision {
                Decision::Pass | Decision::Cut => false,
                Decision::Refuse | Decision::Lose => true,
                Decision::Corrupt { chance, repair } => packet
                    .as_ref()
                    .is_some_and(|packet| packet.corrupt(frame.to_mut(), chance, repair)),
                Decision::Duplicate { apart_us } => {
                    copies.push(Departure {
                        release_ns: now_ns.saturating_add(apart_us.saturating_mul(1_000)),
                        overtakable: None,
                    });
                    copies.truncate(COPIES_MAX);
                    true
                }
                Decision::Limit {
                    kbit_per_s,
                    queue_ms,
                } => limit(rule, &mut copies, frame, (kbit_per_s, queue_ms)),
                Decision::Delay => {
                    keep_order |= rule.keeps_order();
                    delay(rule, &mut copies)
                }
                Decision::Overtake { hold_us: held_us } => {
                    copies[0].overtakable = Some(rule.rule.fault);
                    hold_us += held_us;
                    rule.counts.held_us += held_us;
                    true
                }
            };
            rule.counts.affected += u64::from(affected);
            if affected {
                count(&mut self.counts, decision);
            }
            match decision {
                Decision::Refuse => return Err(Dropped::Refused),
                Decision::Lose => return Err(Dropped::Lost),
                Decision::Limit { .. } if copies.is_empty() => {
                    self.counts.queue_full += 1;
                    return Err(Dropped::QueueFull);
                }
                _ => {}
            }
        }
        if let Some(first) = copies.first_mut() {
            if keep_order {
                // A duplicate comes when it comes, and nothing waits for it.
                first.release_ns = first.release_ns.max(self.last_release_ns);
                self.last_release_ns = first.release_ns;
            }
            first.release_ns = first
                .release_ns
                .saturating_add(hold_us.saturating_mul(1_000));
        }
        Ok(copies)
    }

    /// Counts a packet that was sent, or found no room. Whether one that had come later was sent
    /// before it.
    pub fn sent(&mut self, number: u64, copy: u32, found_room: bool) -> bool {
        if !found_room {
            self.counts.overflowed += 1;
            return false;
        }
        self.counts.forwarded += 1;
        let was_overtaken = copy == 0 && number < self.sent_max;
        self.counts.reordered += u64::from(was_overtaken);
        self.sent_max = self.sent_max.max(number);
        was_overtaken
    }

    /// Counts a packet that is held.
    pub fn held(&mut self, copy: u32) {
        self.counts.held += u64::from(copy == 0);
    }

    /// Counts a packet for which the switch's own queue had no room.
    pub fn found_queue_full(&mut self) {
        self.counts.queue_full += 1;
        if let Some(rule) = self.rules.iter_mut().rev().find(|rule| rule.holds()) {
            rule.counts.overflowed += 1;
        }
    }
}

/// Counts a packet to which something was done that shows at once.
fn count(counts: &mut LinkCounts, decision: Decision) {
    match decision {
        Decision::Refuse => counts.refused += 1,
        Decision::Lose => counts.lost += 1,
        Decision::Corrupt { .. } => counts.corrupted += 1,
        Decision::Duplicate { .. } => counts.duplicated += 1,
        _ => {}
    }
}

/// Lets copies wait their turn and takes out those that would wait too long. Whether any waits.
fn limit(
    rule: &mut LinkRule,
    copies: &mut Vec<Departure>,
    frame: &[u8],
    limits: (u64, u64),
) -> bool {
    let bytes = frame.len().saturating_sub(OFFLOAD_HEADER_BYTES);
    let before = copies.len();
    let mut held_ns = 0;
    copies.retain_mut(
        |copy| match rule.pass_limit(bytes, copy.release_ns, limits) {
            Some(passed_ns) => {
                held_ns += passed_ns - copy.release_ns;
                copy.release_ns = passed_ns;
                true
            }
            None => false,
        },
    );
    rule.counts.held_us += held_ns / 1_000;
    rule.counts.overflowed += (before - copies.len()) as u64;
    held_ns > 0 || copies.len() < before
}

/// Holds each copy for as long as is drawn for it. Whether that is any time for the packet itself.
fn delay(rule: &mut LinkRule, copies: &mut [Departure]) -> bool {
    let mut own_us = 0;
    for (number, copy) in (0..).zip(copies) {
        let delay_us = rule.delay_us(number);
        copy.release_ns = copy
            .release_ns
            .saturating_add(delay_us.saturating_mul(1_000));
        if number == 0 {
            own_us = delay_us;
        }
    }
    rule.counts.held_us += own_us;
    own_us > 0
}
