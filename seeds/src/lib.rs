//! Where chance comes from: one named, portable generator (ChaCha8), one stream per purpose and
//! number, drawn in integers only, so that a seed means the same on every machine and release.
//!
//! Everything is derived from `next_u64`, because the distributions of the `rand` crate may
//! change their output between versions; the golden vectors in the tests hold this still.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// What a stream of chance is for. Each purpose has streams of its own, so that drawing more
/// for one never changes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The fault schedule.
    Schedule = 1,
    /// What client number N does.
    Client = 2,
    /// When operations arrive, at an open-loop rate.
    Arrivals = 3,
    /// The seeds of a campaign's runs.
    Campaign = 4,
    /// What becomes of the messages of directed link number N.
    Messages = 5,
    /// What a service in the network's place does, such as which of its replicas answers.
    Services = 6,
}

/// A stream of chance.
#[derive(Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Stream `number` for `purpose` of the run with this `seed`.
    pub fn new(seed: u64, purpose: Purpose, number: u32) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(((purpose as u64) << 32) | u64::from(number));
        Stream(generator)
    }

    /// Sixty-four random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, each equally likely (Lemire, "Fast Random Integer Generation in an
    /// Interval", 2019); 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            // Low halves below 2^64 mod bound belong to the numbers that would come up once more
            // often than the others.
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// True in `parts` of `whole` cases.
    pub fn chance(&mut self, parts: u64, whole: u64) -> bool {
        self.below(whole) < parts
    }

    /// One of the elements, each equally likely; `None` from an empty slice.
    pub fn pick<'a, T>(&mut self, elements: &'a [T]) -> Option<&'a T> {
        elements.get(self.below(elements.len() as u64) as usize)
    }

    /// Puts the elements in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            elements.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// A whole number from the exponential distribution with this mean, as between the arrivals of
    /// a Poisson process; at most 64 times the mean.
    ///
    /// By von Neumann's comparison method (1951), which needs no logarithm and hence no floating
    /// point: the fractional part is a uniform draw accepted when the run of falling draws after it
    /// has even length, and every rejection adds one to the whole part.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        for whole in 0..64_u64 {
            let first = self.next_u64();
            let (mut last, mut falls) = (first, 0_u32);
            loop {
                let next = self.next_u64();
                if next >= last {
                    break;
                }
                last = next;
                falls += 1;
            }
            if falls.is_multiple_of(2) {
                let fraction = (u128::from(first) * u128::from(mean)) >> 64;
                return whole.saturating_mul(mean).saturating_add(fraction as u64);
            }
        }
        mean.saturating_mul(64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_vectors_hold_streams_still_across_releases() {
        let mut schedule = Stream::new(1, Purpose::Schedule, 0);
        let mut client = Stream::new(1, Purpose::Client, 3);
        let drawn: Vec<u64> = (0..3).map(|_| schedule.next_u64()).collect();
        let other: Vec<u64> = (0..3).map(|_| client.below(1000)).collect();
        let waits: Vec<u64> = (0..4).map(|_| client.exponential(1_000_000)).collect();
        assert_eq!(drawn, GOLDEN_BITS);
        assert_eq!(other, GOLDEN_BELOW);
        assert_eq!(waits, GOLDEN_WAITS);
    }

    const GOLDEN_BITS: [u64; 3] = [
        2336484917860850586,
        12249943944079794431,
        9282822943777103700,
    ];
    const GOLDEN_BELOW: [u64; 3] = [936, 196, 456];
    const GOLDEN_WAITS: [u64; 4] = [328531, 43947, 1229554, 234263];

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut stream = Stream::new(7, Purpose::Client, 0);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            seen[stream.below(6) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&times| (800..1200).contains(&times)),
            "{seen:?}"
        );
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn exponential_draws_have_their_mean_and_their_tail() {
        let mut stream = Stream::new(7, Purpose::Arrivals, 0);
        let draws: Vec<u64> = (0..20_000).map(|_| stream.exponential(1_000)).collect();
        let mean = draws.iter().sum::<u64>() / draws.len() as u64;
        assert!((970..1030).contains(&mean), "{mean}");
        // One in e^2 draws, 13.5 %, is over twice the mean.
        let over = draws.iter().filter(|&&draw| draw > 2_000).count();
        assert!((2_500..2_900).contains(&over), "{over}");
        assert_eq!(stream.exponential(0), 0);
    }

    #[test]
    fn shuffle_keeps_every_element() {
        let mut stream = Stream::new(7, Purpose::Schedule, 0);
        let mut elements: Vec<u32> = (0..50).collect();
        stream.shuffle(&mut elements);
        assert_ne!(elements, (0..50).collect::<Vec<_>>());
        elements.sort_unstable();
        assert_eq!(elements, (0..50).collect::<Vec<_>>());
    }
}
