//! Rate limit: a link lets only so much pass, and the rest waits in a queue or is dropped.

use crate::draws::Draws;
use crate::packets::{DrawnScope, PacketFault, Scope, packet_fault, time_problem};
use crate::{RuleCounts, Treatment};

packet_fault! {
    /// Makes links slow.
    RateLimit {
        /// The speed of each directed link, in kilobits (1000 bits) per second.
        kbit_per_s: u64 = 1_000,
        /// A packet that would wait longer than this is dropped.
        queue_ms: u64 = 200,
    }
}

/// Nothing is slower than a byte per second or faster than 100 Gbit/s.
const KBIT_PER_S_MAX: u64 = 100_000_000;

impl PacketFault for RateLimit {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        let decks = ["rate-limit", "rate-limit peers", "rate-limit direction"];
        let scope = DrawnScope::draw(draws, decks)?;
        let kbit_per_s = draws.deal("rate-limit speed", &[128, 512, 2_000, 10_000])?;
        let queue_ms = draws.deal("rate-limit queue", &[50, 200, 1_000])?;
        Some(RateLimit {
            kbit_per_s,
            queue_ms,
            ..Self::drawn(scope)
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let kbit_per_s = self.kbit_per_s;
        if !(1..=KBIT_PER_S_MAX).contains(&kbit_per_s) {
            let why = format!("{kbit_per_s}, expected 1 to {KBIT_PER_S_MAX}");
            return Some(("kbit_per_s", why));
        }
        time_problem("queue_ms", self.queue_ms)
    }

    fn scope(&self) -> Scope<'_> {
        self.scope_of()
    }

    fn treatment(&self) -> Treatment {
        Treatment::Limit {
            kbit_per_s: self.kbit_per_s,
            queue_ms: self.queue_ms,
        }
    }

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![
            ("packets", counts.packets),
            ("mean_us", counts.held_us / counts.packets.max(1)),
            ("queue_full", counts.overflowed),
        ]
    }
}
