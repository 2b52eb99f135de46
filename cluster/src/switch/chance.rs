//! Where the switch's chance comes from: a pure function of seed, link, fault and packet number.
//!
//! Not a stream: packets of other links, and packets that come in another order, change nothing
//! about the fate of a packet. Integers, and floating point only in operations that IEEE 754 rounds
//! exactly, so that a seed means the same on every machine.

use faults::{Delays, Distribution};

/// A packet shares the draw of one at most so far before it.
const CORRELATED_RUN_MAX: u32 = 10_000;

/// A delay of the Pareto distribution is at most so many jitters above its mean.
const PARETO_TAIL_MAX: f64 = 100.0;

/// What is drawn for a packet. Each has numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draw {
    Refuse = 1,
    Lose,
    Corrupt,
    CorruptedBit,
    Duplicate,
    DuplicateApart,
    Delay,
    /// The delay of a duplicate.
    CopyDelay,
    Reorder,
}

/// The numbers that are drawn for the packets of one directed link and one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chance(u64);

impl Chance {
    /// Ports are named by the last byte of their addresses.
    pub fn new(seed: u64, from: u8, to: u8, fault: u64) -> Self {
        let link = u64::from(from) << 8 | u64::from(to);
        Self(mix(mix(mix(seed).wrapping_add(link)).wrapping_add(fault)))
    }

    /// Sixty-four bits for a packet.
    pub fn bits(self, draw: Draw, packet: u64) -> u64 {
        mix(mix(self.0.wrapping_add(draw as u64)).wrapping_add(packet))
    }

    /// Likewise, but with this chance in a thousand those of the packet before.
    fn correlated_bits(self, draw: Draw, packet: u64, correlation_permille: u32) -> u64 {
        // Numbers of their own, far from those of every draw.
        let keep = Self(mix(self.0.wrapping_add((draw as u64) << 32)));
        let mut drawn = packet;
        for _ in 0..CORRELATED_RUN_MAX {
            if drawn == 0 || !is_in(keep.bits(draw, drawn), correlation_permille) {
                break;
            }
            drawn -= 1;
        }
        self.bits(draw, drawn)
    }

    /// True for so many packets of a thousand.
    pub fn hits(self, draw: Draw, packet: u64, permille: u32) -> bool {
        is_in(self.bits(draw, packet), permille)
    }

    /// Likewise, in runs: with this chance in a thousand a packet shares the fate of the one before.
    pub fn hits_in_runs(self, draw: Draw, packet: u64, permille: u32, correlation: u32) -> bool {
        is_in(self.correlated_bits(draw, packet, correlation), permille)
    }

    /// A number below `bound`, each equally likely but for less than one part in 2^64 / `bound`; 0
    /// when `bound` is 0.
    pub fn below(self, draw: Draw, packet: u64, bound: u64) -> u64 {
        scale(self.bits(draw, packet), bound)
    }

    /// How long a packet is held, in microseconds; copy 0 is the packet itself.
    pub fn delay_us(self, packet: u64, copy: u32, delays: &Delays) -> u64 {
        let bits = match copy {
            0 => self.correlated_bits(Draw::Delay, packet, delays.correlation_permille),
            _ => self.bits(Draw::CopyDelay, packet.wrapping_add(u64::from(copy) << 48)),
        };
        let (mean, jitter) = (clamped(delays.mean_us), clamped(delays.jitter_us));
        let apart = match delays.distribution {
            Distribution::Uniform => clamped(scale(bits, 2 * jitter as u64 + 1)) - jitter,
            Distribution::Normal => normal(bits, jitter),
            Distribution::Pareto => pareto(bits, jitter),
        };
        u64::try_from(mean + apart).unwrap_or(0)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", 2014) behind one step of its sequence.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn scale(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

fn is_in(bits: u64, permille: u32) -> bool {
    scale(bits, 1000) < u64::from(permille)
}

/// Times beyond 2^40 microseconds, twelve days, are as good as for ever.
fn clamped(us: u64) -> i64 {
    us.min(1 << 40) as i64
}

/// Normally distributed with mean 0, as the sum of twelve even draws less its mean (Irwin and Hall):
/// right in the middle, and bounded by six standard deviations.
fn normal(bits: u64, deviation: i64) -> i64 {
    let halves = (0..6).map(|at| mix(bits.wrapping_add(at)));
    let sum: u64 = halves
        .map(|drawn| (drawn >> 32) + (drawn & 0xffff_ffff))
        .sum();
    let apart = i128::from(sum) - (6 << 32);
    ((apart * i128::from(deviation)) >> 32) as i64
}

/// Pareto's distribution with exponent 2, moved to mean 0 and to begin at `-jitter`.
fn pareto(bits: u64, jitter: i64) -> i64 {
    // Above 0 and at most 1. Division and square root are rounded exactly.
    let even = ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    let apart = (1.0 / even.sqrt() - 2.0).min(PARETO_TAIL_MAX);
    (apart * jitter as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANCE: Chance = Chance(0x1234_5678_9abc_def0);
    const PACKETS: u64 = 40_000;

    fn delays(distribution: Distribution, correlation_permille: u32) -> Delays {
        Delays {
            mean_us: 10_000,
            jitter_us: 2_000,
            distribution,
            correlation_permille,
            keep_order: false,
        }
    }

    #[test]
    fn golden_vectors_hold_fates_still_across_releases() {
        let chance = Chance::new(42, 1, 2, 7);
        let lost: Vec<u64> = (0..40)
            .filter(|packet| chance.hits(Draw::Lose, *packet, 200))
            .collect();
        let in_runs: Vec<u64> = (0..40)
            .filter(|packet| chance.hits_in_runs(Draw::Lose, *packet, 200, 700))
            .collect();
        let held = |distribution| -> Vec<u64> {
            let delays = delays(distribution, 500);
            (0..6)
                .map(|packet| chance.delay_us(packet, 0, &delays))
                .collect()
        };
        assert_eq!(chance.bits(Draw::Lose, 0), GOLDEN_BITS);
        assert_eq!(lost, GOLDEN_LOST);
        assert_eq!(in_runs, GOLDEN_IN_RUNS);
        assert_eq!(held(Distribution::Uniform), GOLDEN_UNIFORM);
        assert_eq!(held(Distribution::Normal), GOLDEN_NORMAL);
        assert_eq!(held(Distribution::Pareto), GOLDEN_PARETO);
    }

    const GOLDEN_BITS: u64 = 6337042343788410878;
    const GOLDEN_LOST: [u64; 10] = [3, 10, 14, 15, 25, 26, 31, 32, 36, 39];
    const GOLDEN_IN_RUNS: [u64; 12] = [26, 27, 28, 29, 30, 31, 32, 33, 36, 37, 38, 39];
    const GOLDEN_UNIFORM: [u64; 6] = [10267, 9445, 9996, 9196, 9196, 9196];
    const GOLDEN_NORMAL: [u64; 6] = [11741, 12241, 13049, 12168, 12168, 12168];
    const GOLDEN_PARETO: [u64; 6] = [8657, 9328, 8831, 9658, 9658, 9658];

    #[test]
    fn links_seeds_faults_and_draws_have_numbers_of_their_own() {
        let chances = [
            Chance::new(1, 1, 2, 1),
            Chance::new(2, 1, 2, 1),
            Chance::new(1, 2, 1, 1),
            Chance::new(1, 1, 2, 2),
        ];
        let mut drawn: Vec<u64> = Vec::new();
        for chance in chances {
            for packet in 0..100 {
                for draw in [Draw::Lose, Draw::Delay, Draw::Reorder, Draw::Corrupt] {
                    drawn.push(chance.bits(draw, packet));
                }
            }
        }
        let count = drawn.len();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), count);
    }

    #[test]
    fn chances_are_kept_and_runs_are_as_long_as_they_should_be() {
        for permille in [0, 1, 50, 300, 999, 1000] {
            for correlation in [0, 500, 900] {
                let hit =
                    |packet: &u64| CHANCE.hits_in_runs(Draw::Lose, *packet, permille, correlation);
                let hits = (0..PACKETS).filter(hit).count() as f64;
                let expected = PACKETS as f64 * f64::from(permille) / 1000.0;
                // Five standard deviations, which runs make larger.
                let kept = f64::from(correlation) / 1000.0;
                let variance = expected * (1.0 - f64::from(permille) / 1000.0);
                let bound = 5.0 * (variance * (1.0 + kept) / (1.0 - kept)).sqrt();
                assert!(
                    (hits - expected).abs() <= bound,
                    "{permille} {correlation}: {hits}, not {expected} by {bound}"
                );
                let starts = (1..PACKETS).filter(|at| hit(at) && !hit(&(at - 1))).count() as f64;
                if permille == 300 {
                    let length = hits / starts;
                    let expected = 1.0 / ((1.0 - kept) * 0.7);
                    assert!(
                        (length / expected - 1.0).abs() < 0.1,
                        "{length}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn delays_have_their_mean_their_bounds_and_their_tail() {
        for (distribution, least, most, over) in [
            (Distribution::Uniform, 8_000, 12_000, 0),
            (Distribution::Normal, 0, 22_000, 0),
            (Distribution::Pareto, 8_000, 210_000, PACKETS as usize / 100),
        ] {
            for correlation in [0, 800] {
                let delays = delays(distribution, correlation);
                let drawn: Vec<u64> = (0..PACKETS)
                    .map(|packet| CHANCE.delay_us(packet, 0, &delays))
                    .collect();
                let mean = drawn.iter().sum::<u64>() / PACKETS;
                assert!((9_800..10_200).contains(&mean), "{distribution}: {mean}");
                assert!(
                    drawn.iter().all(|us| (least..=most).contains(us)),
                    "{distribution}"
                );
                let beyond = drawn.iter().filter(|us| **us > 10_000 + 8 * 2_000).count();
                assert!(
                    beyond.abs_diff(over) <= over / 3,
                    "{distribution}: {beyond} of {PACKETS}"
                );
                let repeats = drawn.windows(2).filter(|pair| pair[0] == pair[1]).count();
                let expected = PACKETS as usize * correlation as usize / 1000;
                assert!(
                    repeats.abs_diff(expected) < 400,
                    "{distribution}: {repeats}"
                );
            }
        }
        let normal: Vec<u64> = (0..PACKETS)
            .map(|packet| CHANCE.delay_us(packet, 0, &delays(Distribution::Normal, 0)))
            .collect();
        let within = normal
            .iter()
            .filter(|us| us.abs_diff(10_000) <= 2_000)
            .count();
        assert!(
            within.abs_diff(PACKETS as usize * 683 / 1000) < 500,
            "{within}"
        );
    }

    #[test]
    fn a_delay_is_never_negative_and_a_copy_has_its_own() {
        let early = Delays {
            mean_us: 0,
            ..delays(Distribution::Normal, 0)
        };
        let zeros = (0..1_000)
            .filter(|at| CHANCE.delay_us(*at, 0, &early) == 0)
            .count();
        assert!((400..600).contains(&zeros), "{zeros}");
        let delays = delays(Distribution::Uniform, 900);
        assert_ne!(
            CHANCE.delay_us(5, 0, &delays),
            CHANCE.delay_us(5, 1, &delays)
        );
        let huge = Delays {
            mean_us: u64::MAX,
            jitter_us: u64::MAX,
            ..delays
        };
        for distribution in Distribution::ALL {
            let huge = Delays {
                distribution: *distribution,
                ..huge
            };
            (0..100).for_each(|packet| {
                let _ = CHANCE.delay_us(packet, 0, &huge);
            });
        }
    }
}
