//! Drawing a schedule from a seed.

use std::collections::BTreeMap;

use seeds::{Purpose, Stream};

use super::{Planned, Schedule};
use crate::draws::Draws;
use crate::{Action, Kind, Name};

/// What a schedule is drawn from.
#[derive(Debug, Clone)]
pub struct Draw<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The kinds of faults wanted, with their weights; each occurs, in any run of 5 s or more and
    /// one second for each kind. A weight of 0 counts as 1.
    pub kinds: &'a BTreeMap<Kind, u32>,
    /// The cluster's nodes.
    pub nodes: &'a [Name],
    /// How long the clients run, in milliseconds.
    pub duration_ms: u64,
    /// When, and how many at once.
    pub rhythm: Rhythm,
}

/// When drawn faults begin and end, and how many are in force at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// The mean time from the beginning of a fault to that of the next, in milliseconds.
    pub mean_interval_ms: u64,
    /// The mean time a fault lasts, in milliseconds; brief restarts and faults that take a
    /// majority down are shorter.
    pub mean_duration_ms: u64,
    /// Faults that may be in force at once; 1 for no overlap.
    pub overlap_max: u32,
    /// Time without faults at the start, in milliseconds, so that something is written; a fifth of
    /// the run where that is less.
    pub quiet_start_ms: u64,
    /// Time without faults at the end, in milliseconds, so that some of it is read under calm
    /// skies; a fifth of the run where that is less.
    pub quiet_end_ms: u64,
}

impl Default for Rhythm {
    /// A few election timeouts from one to the next, so that elections are interrupted and leaders
    /// have something to do in between; each longer than an election takes.
    fn default() -> Self {
        Rhythm {
            mean_interval_ms: 2_000,
            mean_duration_ms: 1_800,
            overlap_max: 2,
            quiet_start_ms: 1_500,
            quiet_end_ms: 1_000,
        }
    }
}

/// Why no schedule can be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// A kind that has nothing to act on.
    #[error(
        "a {kind} is not possible with so few nodes as {nodes} (hint: add nodes, or name the kinds without it: --faults)"
    )]
    Impossible {
        /// The kind.
        kind: Kind,
        /// How many nodes there are.
        nodes: usize,
    },
    /// The rhythm is too fast for so long a run.
    #[error("more than {FAULTS_MAX} faults in a run of {duration_ms} ms (hint: a longer interval)")]
    TooMany {
        /// How long the run is.
        duration_ms: u64,
    },
}

/// Faults in a schedule, at most.
const FAULTS_MAX: usize = 100_000;
/// Ordinary faults last at least this long: an election timeout.
const LENGTH_MS_MIN: u64 = 500;
/// After a fault that took a majority down nothing begins for this long, so that the cluster
/// recovers and its recovery is seen.
const RECOVERY_MS: u64 = 1_000;
/// A gap is at most this many times the mean: long runs of luck are cut off.
const GAP_MEANS_MAX: u64 = 2;
/// A fault lasts at most this many times the mean.
const LENGTH_MEANS_MAX: u64 = 3;
/// Cards of one kind in a deck, at most.
const WEIGHT_MAX: u32 = 100;

impl Schedule {
    /// Draws a schedule: intervals and lengths from the exponential distribution, kinds, targets
    /// and shapes from shuffled decks, so that none is missed for long. The same draw gives the
    /// same schedule, on every machine and in every release that passes the golden test.
    ///
    /// # Errors
    /// A kind cannot act on so few nodes, or the schedule would be beyond all bounds.
    pub fn draw(draw: &Draw<'_>) -> Result<Schedule, DrawError> {
        let mut dealer = Dealer::new(draw);
        let mut faults: Vec<Planned> = Vec::new();
        while let Some(kind) = dealer.kind() {
            let Some(at_ms) = dealer.next_at_ms(faults.len()) else {
                break;
            };
            if faults.len() == FAULTS_MAX {
                return Err(DrawError::TooMany {
                    duration_ms: draw.duration_ms,
                });
            }
            let action = kind.draw(&mut dealer.draws).ok_or(DrawError::Impossible {
                kind,
                nodes: draw.nodes.len(),
            })?;
            let for_ms = dealer.length_ms(&action).min(dealer.end_ms - at_ms);
            dealer.occupy(&action, at_ms, for_ms);
            let mut order = draw.nodes.to_vec();
            dealer.draws.stream.shuffle(&mut order);
            faults.push(Planned {
                id: faults.len() as u64 + 1,
                at_ms,
                after: Vec::new(),
                delay_ms: 0,
                for_ms,
                until: Vec::new(),
                action,
                order,
            });
        }
        Ok(Schedule { faults })
    }
}

/// The state of a draw.
struct Dealer<'a> {
    draws: Draws<'a>,
    /// Each kind once, shuffled: the first round.
    first: Vec<Kind>,
    /// Each kind as often as its weight says: every later round.
    full: Vec<Kind>,
    rhythm: Rhythm,
    /// How many kinds there are: the first so many faults are one of each.
    first_round: usize,
    /// When the last fault began, or the quiet start ended.
    last_ms: u64,
    /// When the quiet end begins: everything is healed by then.
    end_ms: u64,
    /// Nothing begins before this, because a majority recovers.
    calm_until_ms: u64,
    /// When the faults drawn so far end.
    ends_ms: Vec<u64>,
}

impl<'a> Dealer<'a> {
    fn new(draw: &Draw<'a>) -> Self {
        let mut stream = Stream::new(draw.seed, Purpose::Schedule, 0);
        let mut first: Vec<Kind> = draw.kinds.keys().copied().collect();
        stream.shuffle(&mut first);
        let cards = |(kind, weight): (&Kind, &u32)| {
            std::iter::repeat_n(*kind, (*weight).clamp(1, WEIGHT_MAX) as usize)
        };
        let fifth = draw.duration_ms / 5;
        let rhythm = Rhythm {
            mean_duration_ms: draw.rhythm.mean_duration_ms.max(1),
            overlap_max: draw.rhythm.overlap_max.max(1),
            ..draw.rhythm
        };
        Dealer {
            first_round: first.len(),
            first,
            full: draw.kinds.iter().flat_map(cards).collect(),
            draws: Draws::new(stream, draw.nodes),
            rhythm,
            last_ms: rhythm.quiet_start_ms.min(fifth),
            end_ms: draw.duration_ms - rhythm.quiet_end_ms.min(fifth),
            calm_until_ms: 0,
            ends_ms: Vec::new(),
        }
    }

    /// The next kind: first each once, then by weight; `None` when there are none.
    fn kind(&mut self) -> Option<Kind> {
        self.first
            .pop()
            .or_else(|| self.draws.deal("kinds", &self.full))
    }

    /// When the next fault begins; `None` when there is no time left for one.
    fn next_at_ms(&mut self, drawn: usize) -> Option<u64> {
        let mean = match drawn {
            0 => self.rhythm.mean_interval_ms / 2,
            _ => self.rhythm.mean_interval_ms,
        };
        let gap_max = mean.saturating_mul(GAP_MEANS_MAX);
        let mut gap_ms = self.draws.stream.exponential(mean).clamp(1, gap_max.max(1));
        // In a short run the kinds still missing share what time there is.
        let missing = self.first_round.saturating_sub(drawn) as u64;
        if missing > 0 {
            gap_ms = gap_ms.min(self.end_ms.saturating_sub(self.last_ms) / (missing + 1));
        }
        let mut at_ms = self.last_ms.saturating_add(gap_ms).max(self.calm_until_ms);
        self.ends_ms.retain(|&end_ms| end_ms > at_ms);
        self.ends_ms.sort_unstable();
        let overlap_max = self.rhythm.overlap_max as usize;
        if self.ends_ms.len() >= overlap_max {
            at_ms = self.ends_ms[self.ends_ms.len() - overlap_max];
        }
        if missing > 0 {
            let latest_ms = self
                .end_ms
                .saturating_sub(LENGTH_MS_MIN.saturating_mul(missing));
            at_ms = at_ms.min(latest_ms).max(self.last_ms);
        }
        let length_ms_min = if missing > 0 { 1 } else { LENGTH_MS_MIN };
        (at_ms.saturating_add(length_ms_min) <= self.end_ms).then_some(at_ms)
    }

    fn length_ms(&mut self, action: &Action) -> u64 {
        let fault = action.fault();
        let mean = self.rhythm.mean_duration_ms;
        if let Some(length_ms) = fault.own_length_ms(&mut self.draws) {
            return length_ms;
        }
        if fault.takes_majority_down() {
            return self.draws.between(300, 999).min(mean);
        }
        let least = LENGTH_MS_MIN.min(mean);
        let length_ms = least.saturating_add(self.draws.stream.exponential(mean - least));
        length_ms.min(mean.saturating_mul(LENGTH_MEANS_MAX))
    }

    fn occupy(&mut self, action: &Action, at_ms: u64, for_ms: u64) {
        self.last_ms = at_ms;
        self.ends_ms.push(at_ms + for_ms);
        if action.fault().takes_majority_down() {
            self.calm_until_ms = at_ms + for_ms + RECOVERY_MS;
        }
    }
}
