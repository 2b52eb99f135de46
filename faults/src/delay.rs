//! Delay: every packet is held for a while, by chance longer or shorter.

use crate::draws::Draws;
use crate::packets::{
    DrawnScope, PacketFault, Scope, correlation_problem, packet_fault, time_problem,
};
use crate::{Delays, Distribution, RuleCounts, Treatment};

packet_fault! {
    /// Holds packets. The delays of several such faults on one link add up.
    Delay {
        /// For how long on average.
        mean_ms: u64 = 50,
        /// How far from the mean.
        jitter_ms: u64 = 10,
        /// How delays are spread around the mean.
        distribution: Distribution = Distribution::Uniform,
        /// How likely, in a thousand, a packet is held as long as the one before it.
        correlation_permille: u32 = 0,
        /// Whether packets of a link arrive in the order in which they were sent. Otherwise jitter
        /// reorders them.
        keep_order: bool = true,
    }
}

impl PacketFault for Delay {
    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        use Distribution::{Normal, Pareto, Uniform};
        let scope = DrawnScope::draw(draws, ["delay", "delay peers", "delay direction"])?;
        let (mean_ms, jitter_ms, distribution) = draws.deal(
            "delay times",
            &[
                (5, 5, Uniform),
                (30, 20, Uniform),
                (100, 40, Normal),
                (50, 50, Pareto),
                (300, 100, Normal),
            ],
        )?;
        let correlation_permille = draws.deal("delay correlation", &[0, 0, 500])?;
        let keep_order = draws.deal("delay order", &[true, true, false])?;
        Some(Delay {
            mean_ms,
            jitter_ms,
            distribution,
            correlation_permille,
            keep_order,
            ..Self::drawn(scope)
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        if self.mean_ms == 0 && self.jitter_ms == 0 {
            return Some(("mean_ms", "holds nothing up".to_owned()));
        }
        if self.jitter_ms > self.mean_ms && self.distribution != Distribution::Normal {
            let (jitter_ms, mean_ms) = (self.jitter_ms, self.mean_ms);
            let why = format!("{jitter_ms}, expected at most the mean, {mean_ms}");
            return Some(("jitter_ms", why));
        }
        time_problem("mean_ms", self.mean_ms)
            .or_else(|| time_problem("jitter_ms", self.jitter_ms))
            .or_else(|| correlation_problem(self.correlation_permille))
    }

    fn scope(&self) -> Scope<'_> {
        self.scope_of()
    }

    fn treatment(&self) -> Treatment {
        Treatment::Delay(Delays {
            mean_us: self.mean_ms.saturating_mul(1_000),
            jitter_us: self.jitter_ms.saturating_mul(1_000),
            distribution: self.distribution,
            correlation_permille: self.correlation_permille,
            keep_order: self.keep_order,
        })
    }

    fn evidence(&self, counts: &RuleCounts) -> Vec<(&'static str, u64)> {
        vec![
            ("packets", counts.packets),
            ("delayed", counts.affected),
            ("mean_us", counts.held_us / counts.packets.max(1)),
            ("queue_full", counts.overflowed),
        ]
    }
}
