//! Drawing a schedule from a seed.

use std::collections::BTreeSet;

use seeds::{Purpose, Stream};

use super::{Planned, Schedule};
use crate::{Action, Kill, Kind, Name, Partition, Pause, Role, Shape};

/// What a schedule is drawn from.
#[derive(Debug, Clone)]
pub struct Draw<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The kinds of faults wanted; each occurs, in any run of 5 s or more.
    pub kinds: &'a [Kind],
    /// The cluster's nodes.
    pub nodes: &'a [Name],
    /// How long the clients run, in milliseconds.
    pub duration_ms: u64,
    /// The mean time from the beginning of a fault to that of the next, in milliseconds.
    pub mean_interval_ms: u64,
    /// The mean time a fault lasts, in milliseconds; brief restarts and faults that take a
    /// majority down are shorter.
    pub mean_duration_ms: u64,
}

impl<'a> Draw<'a> {
    /// The default [`mean_interval_ms`](Self::mean_interval_ms): a few election timeouts, so that
    /// elections are interrupted and leaders have something to do in between.
    pub const MEAN_INTERVAL_MS: u64 = 2_000;
    /// The default [`mean_duration_ms`](Self::mean_duration_ms): longer than an election takes.
    pub const MEAN_DURATION_MS: u64 = 1_800;

    /// A draw with the default rhythm.
    pub fn new(seed: u64, kinds: &'a [Kind], nodes: &'a [Name], duration_ms: u64) -> Self {
        Draw {
            seed,
            kinds,
            nodes,
            duration_ms,
            mean_interval_ms: Self::MEAN_INTERVAL_MS,
            mean_duration_ms: Self::MEAN_DURATION_MS,
        }
    }
}

/// Why no schedule can be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// A kind that has nothing to act on.
    #[error("a {kind} is not possible with {nodes} nodes (hint: leave it out, or add nodes)")]
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
/// Time without faults at the start, so that something is written, and at the end, so that some
/// of it is read under calm skies; a fifth of the run each where that is less.
const QUIET_START_MS: u64 = 1_500;
const QUIET_END_MS: u64 = 1_000;
/// Ordinary faults last at least this long: an election timeout.
const LENGTH_MS_MIN: u64 = 500;
/// Faults that may be in force at once.
const OVERLAP_MAX: usize = 2;
/// After a fault that took a majority down nothing begins for this long, so that the cluster
/// recovers and its recovery is seen.
const RECOVERY_MS: u64 = 1_000;
/// A gap is at most this many times the mean: long runs of luck are cut off.
const GAP_MEANS_MAX: u64 = 2;
/// A fault lasts at most this many times the mean.
const LENGTH_MEANS_MAX: u64 = 3;

/// Whom kills and pauses hit, by weight: the leader about half the time, for most of what can go
/// wrong in Raft goes wrong around a change of leader.
const TARGETS: [Role; 9] = [
    Role::Leader,
    Role::Leader,
    Role::Leader,
    Role::Leader,
    Role::Follower,
    Role::One,
    Role::Minority,
    Role::Majority,
    Role::All,
];

impl Schedule {
    /// Draws a schedule: intervals and lengths from the exponential distribution, kinds, targets
    /// and shapes from shuffled decks, so that none is missed for long. The same draw gives the
    /// same schedule, on every machine and in every release that passes the golden test.
    ///
    /// # Errors
    /// A kind cannot act on so few nodes, or the schedule would be beyond all bounds.
    pub fn draw(draw: &Draw<'_>) -> Result<Schedule, DrawError> {
        let mut dealer = Dealer::new(draw)?;
        let mut faults: Vec<Planned> = Vec::new();
        while let Some(kind) = dealer.kinds.deal(&mut dealer.stream) {
            let Some(at_ms) = dealer.next_at_ms(faults.len()) else {
                break;
            };
            if faults.len() == FAULTS_MAX {
                return Err(DrawError::TooMany {
                    duration_ms: draw.duration_ms,
                });
            }
            let action = dealer.action(kind);
            let for_ms = dealer.length_ms(action).min(dealer.end_ms - at_ms);
            dealer.occupy(action, at_ms, for_ms);
            let mut order = draw.nodes.to_vec();
            dealer.stream.shuffle(&mut order);
            faults.push(Planned {
                id: faults.len() as u64 + 1,
                at_ms,
                for_ms,
                action,
                order,
            });
        }
        Ok(Schedule { faults })
    }
}

/// The state of a draw.
struct Dealer {
    stream: Stream,
    kinds: Deck<Kind>,
    kill_targets: Deck<Role>,
    pause_targets: Deck<Role>,
    shapes: Deck<Shape>,
    /// How many kinds there are: the first so many faults are one of each.
    first_round: usize,
    mean_interval_ms: u64,
    mean_duration_ms: u64,
    /// When the last fault began, or the quiet start ended.
    last_ms: u64,
    /// When the quiet end begins: everything is healed by then.
    end_ms: u64,
    /// Nothing begins before this, because a majority recovers.
    calm_until_ms: u64,
    /// When the faults drawn so far end.
    ends_ms: Vec<u64>,
}

impl Dealer {
    fn new(draw: &Draw<'_>) -> Result<Self, DrawError> {
        let kinds: Vec<Kind> = draw
            .kinds
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let targets: Vec<Role> = TARGETS
            .into_iter()
            .filter(|role| {
                !role
                    .resolve(draw.nodes, draw.nodes.first().map(|node| &**node))
                    .is_empty()
            })
            .collect();
        let shapes: Vec<Shape> = Shape::ALL
            .iter()
            .copied()
            .filter(|shape| !shape.cuts(draw.nodes, None).is_empty())
            .collect();
        for &kind in &kinds {
            let possible = match kind {
                Kind::Kill | Kind::Pause => !targets.is_empty(),
                Kind::Partition => !shapes.is_empty(),
            };
            if !possible {
                return Err(DrawError::Impossible {
                    kind,
                    nodes: draw.nodes.len(),
                });
            }
        }
        let mut stream = Stream::new(draw.seed, Purpose::Schedule, 0);
        let fifth = draw.duration_ms / 5;
        Ok(Dealer {
            first_round: kinds.len(),
            kinds: kinds_deck(kinds, &mut stream),
            kill_targets: Deck::new(targets.clone()),
            pause_targets: Deck::new(targets),
            shapes: Deck::new(shapes),
            stream,
            mean_interval_ms: draw.mean_interval_ms,
            mean_duration_ms: draw.mean_duration_ms.max(1),
            last_ms: QUIET_START_MS.min(fifth),
            end_ms: draw.duration_ms - QUIET_END_MS.min(fifth),
            calm_until_ms: 0,
            ends_ms: Vec::new(),
        })
    }

    /// When the next fault begins; `None` when there is no time left for one.
    fn next_at_ms(&mut self, drawn: usize) -> Option<u64> {
        let mean = if drawn == 0 {
            self.mean_interval_ms / 2
        } else {
            self.mean_interval_ms
        };
        let gap_max = mean.saturating_mul(GAP_MEANS_MAX);
        let mut gap_ms = self.stream.exponential(mean).clamp(1, gap_max.max(1));
        // In a short run the kinds still missing share what time there is.
        let missing = self.first_round.saturating_sub(drawn) as u64;
        if missing > 0 {
            gap_ms = gap_ms.min(self.end_ms.saturating_sub(self.last_ms) / (missing + 1));
        }
        let mut at_ms = self.last_ms.saturating_add(gap_ms).max(self.calm_until_ms);
        self.ends_ms.retain(|&end_ms| end_ms > at_ms);
        self.ends_ms.sort_unstable();
        if self.ends_ms.len() >= OVERLAP_MAX {
            at_ms = self.ends_ms[self.ends_ms.len() - OVERLAP_MAX];
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

    fn action(&mut self, kind: Kind) -> Action {
        // The decks were found not to be empty; an empty one would deal its first card for ever.
        let stream = &mut self.stream;
        match kind {
            Kind::Kill => Action::Kill(Kill {
                target: self.kill_targets.deal(stream).unwrap_or(Role::One),
            }),
            Kind::Pause => Action::Pause(Pause {
                target: self.pause_targets.deal(stream).unwrap_or(Role::One),
            }),
            Kind::Partition => Action::Partition(Partition {
                shape: self.shapes.deal(stream).unwrap_or(Shape::One),
            }),
        }
    }

    fn length_ms(&mut self, action: Action) -> u64 {
        let mean = self.mean_duration_ms;
        // One kill in three is healed almost at once: a node that is back within the same
        // election shows what it has forgotten.
        if matches!(action, Action::Kill(_)) && self.stream.chance(1, 3) {
            return 50 + self.stream.below(250);
        }
        if takes_majority_down(action) {
            return (300 + self.stream.below(700)).min(mean);
        }
        let least = LENGTH_MS_MIN.min(mean);
        let length_ms = least.saturating_add(self.stream.exponential(mean - least));
        length_ms.min(mean.saturating_mul(LENGTH_MEANS_MAX))
    }

    fn occupy(&mut self, action: Action, at_ms: u64, for_ms: u64) {
        self.last_ms = at_ms;
        self.ends_ms.push(at_ms + for_ms);
        if takes_majority_down(action) {
            self.calm_until_ms = at_ms + for_ms + RECOVERY_MS;
        }
    }
}

fn takes_majority_down(action: Action) -> bool {
    let target = match action {
        Action::Kill(kill) => kill.target,
        Action::Pause(pause) => pause.target,
        Action::Partition(_) => return false,
    };
    matches!(target, Role::Majority | Role::All)
}

/// First each kind once, then rounds in which partitions, of which there are most sorts, come
/// twice as often as the others.
fn kinds_deck(kinds: Vec<Kind>, stream: &mut Stream) -> Deck<Kind> {
    let mut first = kinds.clone();
    stream.shuffle(&mut first);
    let mut full = kinds;
    if full.contains(&Kind::Partition) {
        full.push(Kind::Partition);
    }
    Deck { full, left: first }
}

/// Cards dealt from a shuffled deck, which is shuffled anew when it has run out.
struct Deck<T> {
    full: Vec<T>,
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    fn new(full: Vec<T>) -> Self {
        Deck {
            full,
            left: Vec::new(),
        }
    }

    /// The next card; `None` from a deck that has none at all.
    fn deal(&mut self, stream: &mut Stream) -> Option<T> {
        if self.left.is_empty() {
            self.left.clone_from(&self.full);
            stream.shuffle(&mut self.left);
        }
        self.left.pop()
    }
}
