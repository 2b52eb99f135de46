//! How long messages between servers take.

use seeds::Stream;
use serde::{Deserialize, Serialize};

/// How long messages between servers take, each for itself: none waits for the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// On average, in milliseconds.
    pub mean_ms: u64,
    /// How latencies are spread around the mean.
    pub dist: LatencyDist,
}

/// How latencies are spread around their mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyDist {
    /// Each is the mean.
    #[default]
    Constant,
    /// Evenly from 0 to twice the mean.
    Uniform,
    /// Exponentially: most are short, a few long.
    Exponential,
}

impl Latency {
    /// The latency of the next message, in nanoseconds.
    pub(crate) fn draw_ns(self, stream: &mut Stream) -> u64 {
        let mean_ns = self.mean_ms.saturating_mul(1_000_000);
        match self.dist {
            LatencyDist::Constant => mean_ns,
            LatencyDist::Uniform => stream.below(mean_ns.saturating_mul(2).saturating_add(1)),
            LatencyDist::Exponential => stream.exponential(mean_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use seeds::Purpose;

    use super::*;

    #[test]
    fn latencies_have_their_mean_and_their_spread() {
        for (dist, least, most) in [
            (LatencyDist::Constant, 10_000_000, 10_000_000),
            (LatencyDist::Uniform, 0, 20_000_000),
            (LatencyDist::Exponential, 0, 640_000_000),
        ] {
            let latency = Latency { mean_ms: 10, dist };
            let mut stream = Stream::new(1, Purpose::Messages, 0);
            let drawn: Vec<u64> = (0..4_000).map(|_| latency.draw_ns(&mut stream)).collect();
            let mean = drawn.iter().sum::<u64>() / drawn.len() as u64;
            assert!((9_500_000..10_500_000).contains(&mean), "{dist:?}: {mean}");
            assert!(
                drawn.iter().all(|ns| (least..=most).contains(ns)),
                "{dist:?}"
            );
        }
        let none = Latency::default();
        assert_eq!(none.draw_ns(&mut Stream::new(1, Purpose::Messages, 0)), 0);
    }
}
