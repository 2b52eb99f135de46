//! One directed link between two ports: what becomes of each message that is sent over it.
//!
//! What is drawn for a message depends on the seed, the link and how many messages went over it
//! before, and on nothing else. The faults' rules are those of the packet switch.

use cluster::switch::{Decision, LinkRule};
use faults::RuleCounts;
use seeds::{Purpose, Stream};

use crate::Latency;

/// A message is delivered at most so often, however many rules duplicate it.
const COPIES_MAX: usize = 8;

/// What every message of a link is subject to, faults apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// How long messages take.
    pub latency: Latency,
    /// How many of a million are lost.
    pub loss_ppm: u32,
}

/// Why a message is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dropped {
    /// By a partition.
    Cut,
    /// By chance.
    Lost,
    /// The node was down.
    NodeDown,
    /// The node does not read, and too much is waiting for it.
    InboxFull,
    /// The client has given up.
    ClientGone,
}

impl Dropped {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Dropped::Cut => "partitioned",
            Dropped::Lost => "lost",
            Dropped::NodeDown => "node down",
            Dropped::InboxFull => "inbox full",
            Dropped::ClientGone => "client gone",
        }
    }
}

/// A copy of a message that will be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Departure {
    /// When.
    pub due_ns: u64,
    /// How much of that each delaying fault asked for: given back when the fault is healed.
    pub held: Vec<(u64, u64)>,
    /// The fault that holds it so that others may overtake it.
    pub overtakable: Option<u64>,
}

/// The state of a directed link.
#[derive(Debug)]
pub(crate) struct Link {
    weather: Weather,
    stream: Stream,
    /// In the order in which they are obeyed.
    rules: Vec<LinkRule>,
    /// How many messages came so far.
    messages: u64,
    /// The number of the latest message that was delivered.
    delivered_max: u64,
    /// When the last of the messages is delivered that are kept in order.
    last_due_ns: u64,
}

impl Link {
    /// The link between these ports, by their numbers.
    pub fn new(seed: u64, from: u8, to: u8, weather: Weather) -> Self {
        let number = u32::from(from) << 8 | u32::from(to);
        Link {
            weather,
            stream: Stream::new(seed, Purpose::Messages, number),
            rules: Vec::new(),
            messages: 0,
            delivered_max: 0,
            last_due_ns: 0,
        }
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
        self.last_due_ns = 0;
        retired
    }

    /// What the rules of a fault did on this link.
    pub fn rule_counts(&self, fault: u64) -> impl Iterator<Item = &RuleCounts> {
        let of_fault = self
            .rules
            .iter()
            .filter(move |rule| rule.rule.fault == fault);
        of_fault.map(|rule| &rule.counts)
    }

    /// Counts a message that was overtaken while this fault held it.
    pub fn count_overtaken(&mut self, fault: u64) {
        let rule = self.rules.iter_mut().find(|rule| rule.rule.fault == fault);
        if let Some(rule) = rule {
            rule.counts.overtaken += 1;
        }
    }

    /// What becomes of the next message, and its number: when it is delivered, and how often, or
    /// why not.
    pub fn judge(&mut self, now_ns: u64) -> (u64, Result<Vec<Departure>, Dropped>) {
        self.messages += 1;
        // Drawn for every message, so that a fault changes nothing about the fate of later ones.
        let is_lost = self.stream.below(1_000_000) < u64::from(self.weather.loss_ppm);
        let latency_ns = self.weather.latency.draw_ns(&mut self.stream);
        let fate = self.obey(now_ns, now_ns.saturating_add(latency_ns), is_lost);
        (self.messages, fate)
    }

    fn obey(&mut self, now_ns: u64, due_ns: u64, is_lost: bool) -> Result<Vec<Departure>, Dropped> {
        let mut copies = vec![Departure {
            due_ns,
            held: Vec::new(),
            overtakable: None,
        }];
        let (mut keep_order, mut dropped) = (false, is_lost.then_some(Dropped::Lost));
        for rule in &mut self.rules {
            // Every cut counts what it drops, also what another drops too; nothing else does.
            let is_over = dropped.is_some() && !rule.is_cut();
            if is_over || !rule.is_in_force(now_ns) {
                continue;
            }
            let decision = rule.decide();
            rule.counts.affected += u64::from(does_something(decision));
            match decision {
                Decision::Cut => dropped = Some(Dropped::Cut),
                Decision::Lose => dropped = Some(Dropped::Lost),
                Decision::Duplicate { apart_us } => {
                    let mut copy = copies[0].clone();
                    copy.due_ns = copy.due_ns.saturating_add(apart_us.saturating_mul(1_000));
                    copies.push(copy);
                    copies.truncate(COPIES_MAX);
                }
                Decision::Delay => {
                    keep_order |= rule.keeps_order();
                    let mut own_us = 0;
                    for (number, copy) in (0..).zip(&mut copies) {
                        let delay_us = rule.delay_us(number);
                        copy.hold(rule.rule.fault, delay_us);
                        own_us = if number == 0 { delay_us } else { own_us };
                    }
                    rule.counts.held_us += own_us;
                    rule.counts.affected += u64::from(own_us > 0);
                }
                Decision::Overtake { hold_us } => {
                    copies[0].overtakable = Some(rule.rule.fault);
                    copies[0].hold(rule.rule.fault, hold_us);
                    rule.counts.held_us += hold_us;
                }
                // What only packets have.
                Decision::Pass
                | Decision::Refuse
                | Decision::Corrupt { .. }
                | Decision::Limit { .. } => {}
            }
        }
        if let Some(dropped) = dropped {
            return Err(dropped);
        }
        if keep_order && copies[0].overtakable.is_none() {
            copies[0].due_ns = copies[0].due_ns.max(self.last_due_ns);
            self.last_due_ns = copies[0].due_ns;
        }
        Ok(copies)
    }

    /// Whether a message that had been sent later was delivered before this one.
    pub fn delivered(&mut self, number: u64) -> bool {
        let was_overtaken = number < self.delivered_max;
        self.delivered_max = self.delivered_max.max(number);
        was_overtaken
    }
}

/// Whether a decision does something to a message by itself. Of a delay the time says it.
fn does_something(decision: Decision) -> bool {
    matches!(
        decision,
        Decision::Cut | Decision::Lose | Decision::Duplicate { .. } | Decision::Overtake { .. }
    )
}

impl Departure {
    fn hold(&mut self, fault: u64, us: u64) {
        let ns = us.saturating_mul(1_000);
        self.due_ns = self.due_ns.saturating_add(ns);
        self.held.push((fault, ns));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use faults::{Rule, Treatment};

    use super::*;
    use crate::LatencyDist;

    fn link(mean_ms: u64, dist: LatencyDist, loss_ppm: u32) -> Link {
        let latency = Latency { mean_ms, dist };
        let weather = Weather { latency, loss_ppm };
        Link::new(42, 1, 2, weather)
    }

    fn rule(fault: u64, treatment: Treatment) -> LinkRule {
        let rule = Rule {
            fault,
            links: Vec::new(),
            ports: Vec::new(),
            treatment,
        };
        LinkRule::new(Arc::new(rule), 42, 1, 2, 0)
    }

    /// The fates of the first messages: `.` delivered, `2` twice, `x` cut, `l` lost.
    fn fates(link: &mut Link, count: usize) -> String {
        let fate = |_| match link.judge(0).1 {
            Ok(copies) if copies.len() > 1 => '2',
            Ok(_) => '.',
            Err(Dropped::Cut) => 'x',
            Err(_) => 'l',
        };
        (0..count).map(fate).collect()
    }

    #[test]
    fn the_same_link_meets_the_same_fates() {
        let mut first = link(10, LatencyDist::Exponential, 300_000);
        let mut second = link(10, LatencyDist::Exponential, 300_000);
        let fates = |link: &mut Link| -> Vec<_> { (0..50).map(|_| link.judge(7)).collect() };
        assert_eq!(fates(&mut first), fates(&mut second));
        // A fault changes what happens while it is there, and nothing of what is drawn after it.
        first.replace(vec![rule(1, Treatment::Cut { flap_period_ms: 0 })]);
        assert_eq!(self::fates(&mut first, 5), "xxxxx");
        self::fates(&mut second, 5);
        first.replace(Vec::new());
        assert_eq!(fates(&mut first), fates(&mut second));
    }

    #[test]
    fn rules_act_in_their_order_and_count_what_they_did() {
        let lose = Treatment::Lose {
            permille: 1_000,
            correlation_permille: 0,
        };
        let twice = Treatment::Duplicate {
            permille: 1_000,
            apart_us: 0,
        };
        let cut = Treatment::Cut { flap_period_ms: 0 };
        for (treatments, expected, affected) in [
            (vec![], "...", vec![]),
            (vec![twice], "222", vec![3]),
            (vec![twice, lose], "lll", vec![0, 3]),
            (vec![lose, cut], "xxx", vec![0, 3]),
            (vec![cut, cut], "xxx", vec![3, 3]),
        ] {
            let mut link = link(0, LatencyDist::Constant, 0);
            let rules = (1..).zip(treatments).map(|(fault, it)| rule(fault, it));
            link.replace(rules.collect());
            assert_eq!(fates(&mut link, 3), expected);
            let counted: Vec<u64> = (1..=affected.len() as u64)
                .map(|fault| link.rule_counts(fault).map(|counts| counts.affected).sum())
                .collect();
            assert_eq!(counted, affected, "{expected}");
        }
    }

    #[test]
    fn a_held_message_is_overtaken() {
        let mut link = link(0, LatencyDist::Constant, 0);
        link.replace(vec![rule(
            1,
            Treatment::Reorder {
                permille: 1_000,
                hold_us: 5,
            },
        )]);
        let (first, fate) = link.judge(0);
        let held = fate.expect("delivered").remove(0);
        assert_eq!((held.due_ns, held.overtakable), (5_000, Some(1)));
        link.replace(Vec::new());
        let (second, _) = link.judge(0);
        assert!(!link.delivered(second));
        assert!(link.delivered(first));
    }
}
