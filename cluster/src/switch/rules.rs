//! A rule as one directed link obeys it. Also for other networks of links than the switch's.

use std::sync::Arc;

use faults::{Rule, RuleCounts, Treatment};

use super::chance::{Chance, Draw};
use super::frame::Packet;

const NS_PER_MS: u64 = 1_000_000;

/// One rule on one directed link: what it says, and where it stands.
#[derive(Debug, Clone)]
pub struct LinkRule {
    /// What it says.
    pub rule: Arc<Rule>,
    chance: Chance,
    /// When it came into force.
    since_ns: u64,
    /// When the speed limit will have let everything pass that came so far.
    free_at_ns: u64,
    /// What it did so far.
    pub counts: RuleCounts,
}

/// What a rule does to one packet. Follows from the rule and the packet's number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Pass,
    /// Drop it, as all others.
    Cut,
    /// Answer it with a reset.
    Refuse,
    /// Drop it.
    Lose,
    /// Invert the bit that this chance names.
    Corrupt {
        /// Which bit.
        chance: u64,
        /// Whether the checksum is made good again.
        repair: bool,
    },
    /// Send it again so much later.
    Duplicate {
        /// How much, in microseconds.
        apart_us: u64,
    },
    /// Let it wait its turn.
    Limit {
        /// The speed.
        kbit_per_s: u64,
        /// Drop what would wait longer, in milliseconds.
        queue_ms: u64,
    },
    /// Hold it for as long as is drawn for each copy.
    Delay,
    /// Hold it and let others go ahead.
    Overtake {
        /// How long, in microseconds.
        hold_us: u64,
    },
}

impl LinkRule {
    /// A rule that comes into force now on the link between these ports, by numbers of their own,
    /// with its chances drawn from the seed.
    pub fn new(rule: Arc<Rule>, seed: u64, from: u8, to: u8, now_ns: u64) -> Self {
        Self {
            chance: Chance::new(seed, from, to, rule.fault),
            rule,
            since_ns: now_ns,
            free_at_ns: now_ns,
            counts: RuleCounts::default(),
        }
    }

    /// Whether it says the same about its link. What it says about others is not looked at, as that
    /// would take long where there are many.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let said = |rule: &Self| (rule.rule.fault, rule.rule.treatment);
        said(self) == said(other) && self.rule.ports == other.rule.ports
    }

    /// Where it stands among the rules about one packet.
    pub fn order(&self) -> (u8, u64) {
        let stage = match self.rule.treatment {
            Treatment::Cut { .. } => 0,
            Treatment::Refuse { .. } => 1,
            Treatment::Lose { .. } => 2,
            Treatment::Corrupt { .. } => 3,
            Treatment::Duplicate { .. } => 4,
            Treatment::Limit { .. } => 5,
            Treatment::Delay(_) => 6,
            Treatment::Reorder { .. } => 7,
        };
        (stage, self.rule.fault)
    }

    /// Whether it drops all packets.
    pub fn is_cut(&self) -> bool {
        matches!(self.rule.treatment, Treatment::Cut { .. })
    }

    /// Whether it holds packets and still lets none overtake another.
    pub fn keeps_order(&self) -> bool {
        matches!(&self.rule.treatment, Treatment::Delay(delays) if delays.keep_order)
    }

    /// Whether it may hold packets.
    pub fn holds(&self) -> bool {
        use Treatment::{Delay, Duplicate, Limit, Reorder};
        matches!(
            self.rule.treatment,
            Delay(_) | Duplicate { .. } | Limit { .. } | Reorder { .. }
        )
    }

    /// Whether it is about this packet at this moment.
    pub(super) fn is_about(&self, packet: Option<&Packet>, frame: &[u8], now_ns: u64) -> bool {
        let ports = &self.rule.ports;
        if !ports.is_empty() && !packet.is_some_and(|packet| packet.is_of(ports)) {
            return false;
        }
        match self.rule.treatment {
            Treatment::Cut { flap_period_ms } => self.is_down(flap_period_ms, now_ns),
            Treatment::Refuse { .. } => packet.is_some_and(|packet| packet.opens_connection(frame)),
            _ => true,
        }
    }

    /// Whether it does something at this moment, where packets have no ports.
    pub fn is_in_force(&self, now_ns: u64) -> bool {
        self.is_about(None, &[], now_ns)
    }

    /// Whether a flapping cut is in the first half of its period.
    fn is_down(&self, flap_period_ms: u64, now_ns: u64) -> bool {
        let period_ns = flap_period_ms.saturating_mul(NS_PER_MS);
        let since_ns = now_ns.saturating_sub(self.since_ns);
        period_ns == 0 || since_ns % period_ns < period_ns.div_ceil(2)
    }

    /// Counts a packet that it is about, and decides what it does to it.
    pub fn decide(&mut self) -> Decision {
        let packet = self.counts.packets;
        self.counts.packets += 1;
        decide(&self.rule.treatment, self.chance, packet)
    }

    /// How long it holds a copy of the packet decided about last.
    pub fn delay_us(&self, copy: u32) -> u64 {
        match &self.rule.treatment {
            Treatment::Delay(delays) => {
                let packet = self.counts.packets.saturating_sub(1);
                self.chance.delay_us(packet, copy, delays)
            }
            _ => 0,
        }
    }

    /// When a packet of this size that could go at `ready_ns` has passed the speed limit; `None`
    /// where it would wait too long.
    pub fn pass_limit(
        &mut self,
        bytes: usize,
        ready_ns: u64,
        (kbit_per_s, queue_ms): (u64, u64),
    ) -> Option<u64> {
        let start_ns = self.free_at_ns.max(ready_ns);
        if start_ns - ready_ns > queue_ms.saturating_mul(NS_PER_MS) {
            return None;
        }
        // A kilobit per second is a bit per millisecond.
        let takes_ns = (bytes as u64 * 8).saturating_mul(NS_PER_MS) / kbit_per_s.max(1);
        self.free_at_ns = start_ns.saturating_add(takes_ns);
        Some(self.free_at_ns)
    }
}

/// What a treatment does to a packet of this number.
pub(super) fn decide(treatment: &Treatment, chance: Chance, packet: u64) -> Decision {
    let hits = |draw, permille| chance.hits(draw, packet, permille);
    match *treatment {
        Treatment::Cut { .. } => Decision::Cut,
        Treatment::Refuse { permille } if hits(Draw::Refuse, permille) => Decision::Refuse,
        Treatment::Lose {
            permille,
            correlation_permille,
        } if chance.hits_in_runs(Draw::Lose, packet, permille, correlation_permille) => {
            Decision::Lose
        }
        Treatment::Corrupt {
            permille,
            checksums,
        } if hits(Draw::Corrupt, permille) => Decision::Corrupt {
            chance: chance.bits(Draw::CorruptedBit, packet),
            repair: checksums == faults::Checksums::Repaired,
        },
        Treatment::Duplicate { permille, apart_us } if hits(Draw::Duplicate, permille) => {
            Decision::Duplicate {
                apart_us: chance.below(Draw::DuplicateApart, packet, apart_us.saturating_add(1)),
            }
        }
        Treatment::Limit {
            kbit_per_s,
            queue_ms,
        } => Decision::Limit {
            kbit_per_s,
            queue_ms,
        },
        Treatment::Delay(_) => Decision::Delay,
        Treatment::Reorder { permille, hold_us } if hits(Draw::Reorder, permille) => {
            Decision::Overtake { hold_us }
        }
        Treatment::Refuse { .. }
        | Treatment::Lose { .. }
        | Treatment::Corrupt { .. }
        | Treatment::Duplicate { .. }
        | Treatment::Reorder { .. } => Decision::Pass,
    }
}

#[cfg(test)]
mod tests {
    use faults::{Checksums, Delays, Distribution};

    use super::*;

    fn rule(treatment: Treatment) -> LinkRule {
        let rule = Rule {
            fault: 7,
            links: Vec::new(),
            ports: Vec::new(),
            treatment,
        };
        LinkRule::new(Arc::new(rule), 42, 1, 2, 1_000)
    }

    /// The decisions about the first packets, as letters.
    fn letters(treatment: Treatment) -> String {
        let mut rule = rule(treatment);
        let letter = |decision| match decision {
            Decision::Pass => '.',
            Decision::Cut => 'x',
            Decision::Refuse => 'r',
            Decision::Lose => 'l',
            Decision::Corrupt { .. } => 'c',
            Decision::Duplicate { .. } => 'd',
            Decision::Limit { .. } => 'w',
            Decision::Delay => 'h',
            Decision::Overtake { .. } => 'o',
        };
        (0..32).map(|_| letter(rule.decide())).collect()
    }

    #[test]
    fn golden_decisions() {
        let permille = 250;
        let delays = Delays {
            mean_us: 5,
            jitter_us: 0,
            distribution: Distribution::Uniform,
            correlation_permille: 0,
            keep_order: true,
        };
        let checksums = Checksums::Wrong;
        let rows = [
            (Treatment::Cut { flap_period_ms: 0 }, "x".repeat(32)),
            (Treatment::Refuse { permille }, GOLDEN_REFUSED.into()),
            (
                Treatment::Lose {
                    permille,
                    correlation_permille: 0,
                },
                GOLDEN_LOST.into(),
            ),
            (
                Treatment::Lose {
                    permille,
                    correlation_permille: 800,
                },
                GOLDEN_LOST_IN_RUNS.into(),
            ),
            (
                Treatment::Corrupt {
                    permille,
                    checksums,
                },
                GOLDEN_CORRUPTED.into(),
            ),
            (
                Treatment::Duplicate {
                    permille,
                    apart_us: 9,
                },
                GOLDEN_DUPLICATED.into(),
            ),
            (
                Treatment::Limit {
                    kbit_per_s: 1,
                    queue_ms: 1,
                },
                "w".repeat(32),
            ),
            (Treatment::Delay(delays), "h".repeat(32)),
            (
                Treatment::Reorder {
                    permille,
                    hold_us: 5,
                },
                GOLDEN_REORDERED.into(),
            ),
        ];
        for (treatment, expected) in rows {
            assert_eq!(letters(treatment), expected, "{treatment:?}");
        }
    }

    const GOLDEN_REFUSED: &str = "......r....rrr....r....r......r.";
    const GOLDEN_LOST: &str = "...l......l...ll......l..ll....l";
    const GOLDEN_LOST_IN_RUNS: &str = "..........................llllll";
    const GOLDEN_CORRUPTED: &str = "...ccc..c..c........c.cc...c.c..";
    const GOLDEN_DUPLICATED: &str = "..d...d...d..d..d....dd.d.d.d..d";
    const GOLDEN_REORDERED: &str = "..o..o...o...o.....ooo..o.......";

    #[test]
    fn a_flapping_cut_is_down_in_the_first_half_of_each_period() {
        let cut = rule(Treatment::Cut { flap_period_ms: 10 });
        let at = |ms: u64| cut.is_about(None, &[], 1_000 + ms * NS_PER_MS);
        let down: Vec<u64> = (0..30).filter(|ms| at(*ms)).collect();
        assert_eq!(
            down,
            [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24]
        );
    }

    #[test]
    fn a_speed_limit_lets_packets_pass_one_after_the_other() {
        let mut rule = rule(Treatment::Limit {
            kbit_per_s: 8,
            queue_ms: 200,
        });
        // A hundred bytes take 100 ms at 1000 bytes a second.
        let mut pass = |ready_ms: u64| {
            let passed = rule.pass_limit(100, 1_000 + ready_ms * NS_PER_MS, (8, 200));
            passed.map(|at_ns| (at_ns - 1_000) / NS_PER_MS)
        };
        assert_eq!(pass(0), Some(100));
        assert_eq!(pass(0), Some(200));
        assert_eq!(pass(50), Some(300));
        assert_eq!(pass(99), None, "it would wait 201 ms");
        assert_eq!(pass(100), Some(400));
        assert_eq!(pass(1_000), Some(1_100), "idle time is not saved up");
    }
}
