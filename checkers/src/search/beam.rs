//! A beam that widens where it dies (`checker.md` section 6.3).
//!
//! Of the configurations only the most promising are kept. Where one that is kept reaches the end
//! there is an order; where none is left the beam was too narrow somewhere before. So it goes back to
//! a checkpoint, the further the more often it died there, and on with a wider beam; when even a very
//! wide one dies, with all configurations, from where none is missing. Beyond where it died it is
//! narrow again.

use super::frontier::Config;
use super::mask::Mask;
use super::sets::Sets;

/// How wide beams are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beams {
    /// How many configurations the first keeps.
    pub first: usize,
    /// By how many times each is wider than the last.
    pub growth: usize,
    /// None is wider than this.
    pub last: usize,
    /// How many moments lie between two checkpoints.
    pub checkpoint_moments: usize,
    /// Whether it begins with the first rather than with all configurations.
    pub at_once: bool,
}

impl Beams {
    pub(crate) const USUAL: Beams = Beams {
        first: 4,
        growth: 8,
        last: 1 << 14,
        checkpoint_moments: 256,
        at_once: false,
    };

    /// So narrow, and so often begun anew, that small histories show what that does.
    #[cfg(test)]
    pub(crate) const NARROW: Beams = Beams {
        first: 1,
        growth: 2,
        last: 4,
        checkpoint_moments: 3,
        at_once: true,
    };
}

/// By how many times more checkpoints each attempt goes back than the last.
const BACK_GROWTH: usize = 4;

/// The state of a beam.
#[derive(Debug)]
pub(super) struct Widening<K> {
    beams: Beams,
    /// In order of position; the first is at 0.
    checkpoints: Vec<Checkpoint<K>>,
    /// Whether the time without a beam is over.
    begun: bool,
    /// How often it died without passing `trouble`.
    attempts: u32,
    /// Where it died last, and some moments more.
    trouble: usize,
}

/// The configurations at a moment.
#[derive(Debug)]
struct Checkpoint<K> {
    position: usize,
    configs: Vec<Config<K>>,
    /// Whether some had been left out.
    truncated: bool,
}

impl<K: Mask> Checkpoint<K> {
    fn bytes(&self) -> usize {
        let heap = self.configs.first();
        let heap = heap.map_or(0, |config| 2 * config.updates.heap_bytes());
        self.configs.len() * (size_of::<Config<K>>() + heap)
    }
}

impl<K: Mask> Widening<K> {
    pub(super) fn new(beams: Beams) -> Self {
        Widening {
            beams,
            checkpoints: Vec::new(),
            begun: false,
            attempts: 0,
            trouble: 0,
        }
    }

    /// Remembers the configurations at a position, if it is time.
    pub(super) fn save(&mut self, position: usize, sets: &mut Sets<'_, K>) {
        let last = self.checkpoints.last().map(|last| last.position);
        if last.is_none_or(|last| position >= last + self.beams.checkpoint_moments)
            && sets.len() <= self.beams.last
        {
            let checkpoint = Checkpoint {
                position,
                configs: sets.configs(),
                truncated: sets.truncated,
            };
            sets.bytes_besides += checkpoint.bytes();
            self.checkpoints.push(checkpoint);
        }
        if position > self.trouble && self.attempts > 0 {
            self.attempts = 0;
            sets.beam = Some(self.beams.first);
        }
    }

    /// A beam from here on, or rather from the last checkpoint before the configurations became too
    /// many. Says where to go on, when it was not begun before.
    pub(super) fn begin(&mut self, sets: &mut Sets<'_, K>) -> Option<usize> {
        if std::mem::replace(&mut self.begun, true) {
            return None;
        }
        sets.beam = Some(self.beams.first);
        let few = |checkpoint: &Checkpoint<K>| checkpoint.configs.len() <= self.beams.first;
        let kept = self.checkpoints.iter().rposition(few).unwrap_or(0) + 1;
        self.go_back(kept, sets)
    }

    /// The beam died at a position. Says where to go on.
    pub(super) fn widen(&mut self, position: usize, sets: &mut Sets<'_, K>) -> Option<usize> {
        let Beams { first, growth, .. } = self.beams;
        self.trouble = self.trouble.max(position + self.beams.checkpoint_moments);
        self.attempts += 1;
        let beam = first.saturating_mul(growth.saturating_pow(self.attempts));
        let back = match beam > self.beams.last {
            true => {
                sets.beam = None;
                let missing = self.checkpoints.partition_point(|before| !before.truncated);
                self.checkpoints.len() - missing
            }
            false => {
                sets.beam = Some(beam);
                BACK_GROWTH.pow(self.attempts - 1) - 1
            }
        };
        let kept = self.checkpoints.len().saturating_sub(back).max(1);
        self.go_back(kept, sets)
    }

    /// Goes on from the last of so many checkpoints.
    fn go_back(&mut self, kept: usize, sets: &mut Sets<'_, K>) -> Option<usize> {
        for gone in self.checkpoints.drain(kept.min(self.checkpoints.len())..) {
            sets.bytes_besides -= gone.bytes();
        }
        let last = self.checkpoints.last()?;
        sets.put_back(&last.configs);
        sets.truncated = last.truncated;
        Some(last.position)
    }
}
