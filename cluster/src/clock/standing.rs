//! How the clocks of one node are to run: the distortions in force, and the course they add up to.

use faults::{Clock, Distortion};
use nix::time::{ClockId, clock_gettime};

use crate::node::uptime::Uptime;

const NS_PER_MS: i64 = 1_000_000;
const NS_PER_US: i64 = 1_000;
const NS_PER_S: i64 = 1_000_000_000;
const PARTS_PER_MILLION: i64 = 1_000_000;

/// A rate of 1, as the payload has it: 32 bits behind the point.
const RATE_ONE: i64 = 1 << 32;

/// How one class of clocks runs, as the payload reads it. Times are in nanoseconds, as the kernel
/// counts them.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    /// When the rate began to count.
    pub real_base_ns: i64,
    /// What was shown then.
    pub fake_base_ns: i64,
    /// Nanoseconds shown for each true one, 32 bits behind the point. Not negative.
    pub rate: i64,
    /// When the strobe began.
    pub strobe_base_ns: i64,
    /// Half the period of the strobe; 0 for none.
    pub strobe_half_ns: i64,
    /// What is added in the strobe's even halves, the first of them included.
    pub strobe_amplitude_ns: i64,
    /// Less than this is never shown.
    pub floor_ns: i64,
    /// So that two of them are a power of two apart.
    pub reserved: i64,
}

impl Course {
    /// The true time.
    pub const TRUE: Course = Course {
        real_base_ns: 0,
        fake_base_ns: 0,
        rate: RATE_ONE,
        strobe_base_ns: 0,
        strobe_half_ns: 0,
        strobe_amplitude_ns: 0,
        floor_ns: i64::MIN,
        reserved: 0,
    };
}

/// Both clocks of a node, and which change of them this is.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// What is true for the node: the clocks of elapsed time of the machine it seems to run on.
    uptime: Uptime,
    /// Counts the changes. 0 before the first.
    pub generation: u64,
    clocks: [Vec<Entry>; 2],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u64,
    distortion: Distortion,
    /// When it came into force, by the clock's true time; `None` until then.
    since_ns: Option<i64>,
}

impl Standing {
    /// The true time by a clock of the node.
    pub(super) fn true_time_ns(&self, clock: Clock) -> i64 {
        let (id, ahead_ns) = match clock {
            Clock::Realtime => (ClockId::CLOCK_REALTIME, 0),
            Clock::Monotonic => (ClockId::CLOCK_MONOTONIC, self.uptime.monotonic_ns),
        };
        // Both exist on every Linux.
        let now_ns = clock_gettime(id).map_or(0, |time| time.tv_sec() * NS_PER_S + time.tv_nsec());
        now_ns.saturating_add(ahead_ns)
    }

    /// What the node sees of elapsed time, where that is true.
    pub fn uptime(&self) -> Uptime {
        self.uptime
    }

    /// The machine that the node seems to run on is another from now on. What is in force goes on.
    pub fn set_uptime(&mut self, uptime: Uptime) {
        let moved_ns = uptime.monotonic_ns.saturating_sub(self.uptime.monotonic_ns);
        for entry in &mut self.clocks[Clock::Monotonic as usize] {
            entry.since_ns = entry
                .since_ns
                .map(|since_ns| since_ns.saturating_add(moved_ns));
        }
        self.uptime = uptime;
    }

    /// From now on these distortions of this clock are in force and no others. Those that were in
    /// force already go on.
    pub fn set(&mut self, clock: Clock, distortions: &[(u64, Distortion)]) {
        let entries = &mut self.clocks[clock as usize];
        let since = |id: u64| entries.iter().find(|entry| entry.id == id)?.since_ns;
        *entries = distortions
            .iter()
            .map(|&(id, distortion)| Entry {
                id,
                distortion,
                since_ns: since(id),
            })
            .collect();
        self.generation += 1;
    }

    /// Whether both clocks are to show the true time.
    pub fn is_true(&self) -> bool {
        self.clocks.iter().all(Vec::is_empty)
    }

    /// Whether a clock is to show the true time.
    pub fn is_true_of(&self, clock: Clock) -> bool {
        self.clocks[clock as usize].is_empty()
    }

    /// What is not in force yet comes into force now.
    pub fn begin(&mut self) {
        for clock in [Clock::Realtime, Clock::Monotonic] {
            let now_ns = self.true_time_ns(clock);
            for entry in &mut self.clocks[clock as usize] {
                entry.since_ns.get_or_insert(now_ns);
            }
        }
    }

    /// The course of a clock, for a process that may never see it below a floor.
    ///
    /// What is shown is the true time and what each distortion adds to it: an offset; what a drift
    /// has gained since it came into force; what the newest strobe adds at this moment. While
    /// anything freezes the clock it shows what it would have shown when the first of those came
    /// into force.
    pub(super) fn course(&self, clock: Clock, now_ns: i64, floor_ns: i64) -> Course {
        let entries = &self.clocks[clock as usize];
        let is_freeze = |entry: &&Entry| entry.distortion == Distortion::Freeze;
        let since = |entry: &Entry| entry.since_ns.unwrap_or(now_ns);
        let frozen_ns = entries.iter().filter(is_freeze).map(since).min();
        let at_ns = frozen_ns.unwrap_or(now_ns);
        let (mut fake_ns, mut parts) = (i128::from(at_ns), PARTS_PER_MILLION);
        let mut course = Course::TRUE;
        for entry in entries {
            let since_ns = since(entry);
            match entry.distortion {
                Distortion::Offset { ms } => fake_ns += i128::from(ms) * i128::from(NS_PER_MS),
                Distortion::Drift { ppm } => {
                    let elapsed_ns = at_ns.saturating_sub(since_ns).max(0);
                    let gained = i128::from(elapsed_ns) * i128::from(ppm);
                    fake_ns += gained / i128::from(PARTS_PER_MILLION);
                    parts = parts.saturating_add(ppm);
                }
                Distortion::Freeze => {}
                Distortion::Strobe {
                    offset_ms,
                    period_us,
                } => {
                    course.strobe_base_ns = since_ns;
                    course.strobe_half_ns = (saturate(period_us) / 2).max(1) * NS_PER_US;
                    course.strobe_amplitude_ns = offset_ms.saturating_mul(NS_PER_MS);
                }
            }
        }
        if frozen_ns.is_some() {
            if course.strobe_half_ns > 0 && at_ns >= course.strobe_base_ns {
                let half = (at_ns - course.strobe_base_ns) / course.strobe_half_ns;
                let is_on = half % 2 == 0;
                fake_ns += i128::from(if is_on { course.strobe_amplitude_ns } else { 0 });
            }
            course.strobe_half_ns = 0;
            parts = 0;
        }
        let rate = i128::from(parts.max(0)) * i128::from(RATE_ONE);
        Course {
            real_base_ns: at_ns,
            fake_base_ns: clamp(fake_ns),
            rate: clamp(rate / i128::from(PARTS_PER_MILLION)),
            floor_ns,
            ..course
        }
    }
}

fn saturate(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX / NS_PER_MS)
}

fn clamp(number: i128) -> i64 {
    number.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_NS: i64 = 1_000 * NS_PER_S;

    /// What the payload shows, in its own words.
    fn shown_ns(course: &Course, now_ns: i64) -> i64 {
        let elapsed = i128::from(now_ns - course.real_base_ns) * i128::from(course.rate);
        let mut shown_ns = course.fake_base_ns + (elapsed >> 32) as i64;
        if course.strobe_half_ns != 0
            && (now_ns - course.strobe_base_ns) / course.strobe_half_ns % 2 == 0
        {
            shown_ns += course.strobe_amplitude_ns;
        }
        shown_ns.max(course.floor_ns)
    }

    /// How far the clock is ahead, in milliseconds, so long after it was last changed, which was a
    /// second after these distortions came into force.
    fn ahead_ms(distortions: &[Distortion], after_ms: i64) -> i64 {
        let entries = (0..).zip(distortions).map(|(id, distortion)| Entry {
            id,
            distortion: *distortion,
            since_ns: Some(START_NS),
        });
        let mut standing = Standing::default();
        standing.clocks[Clock::Realtime as usize] = entries.collect();
        let changed_ns = START_NS + NS_PER_S;
        let course = standing.course(Clock::Realtime, changed_ns, i64::MIN);
        let now_ns = changed_ns + after_ms * NS_PER_MS;
        (shown_ns(&course, now_ns) - now_ns + NS_PER_MS / 2).div_euclid(NS_PER_MS)
    }

    #[test]
    fn distortions_add_up_and_a_freeze_stops_them() {
        use Distortion::{Drift, Freeze, Offset, Strobe};
        let strobe = Strobe {
            offset_ms: 40,
            period_us: 200_000,
        };
        let rows = [
            (vec![], 500, 0),
            (vec![Offset { ms: 70 }], 500, 70),
            (vec![Offset { ms: 70 }, Offset { ms: -90 }], 500, -20),
            (vec![Drift { ppm: 100_000 }], 500, 150),
            (
                vec![Drift { ppm: 100_000 }, Drift { ppm: -50_000 }],
                1_000,
                100,
            ),
            (vec![Drift { ppm: 100_000 }, Offset { ms: 7 }], 0, 107),
            (vec![Drift { ppm: -1_000_000 }], 500, -1_500),
            (
                vec![Drift { ppm: -1_000_000 }, Drift { ppm: -1_000_000 }],
                500,
                -2_500,
            ),
            (vec![Freeze], 500, -1_500),
            (
                vec![Freeze, Offset { ms: 9 }, Drift { ppm: 100_000 }],
                500,
                -1_491,
            ),
            (vec![strobe], 50, 40),
            (vec![strobe], 150, 0),
            (vec![strobe, Offset { ms: 1 }], 250, 41),
            (vec![strobe, Freeze], 150, -1_110),
        ];
        for (distortions, after_ms, expected_ms) in rows {
            assert_eq!(
                ahead_ms(&distortions, after_ms),
                expected_ms,
                "{distortions:?}"
            );
        }
    }

    #[test]
    fn a_distortion_goes_on_from_when_it_came_into_force() {
        let mut standing = Standing::default();
        assert!(standing.is_true() && standing.generation == 0);
        standing.set(Clock::Monotonic, &[(1, Distortion::Freeze)]);
        assert!(!standing.is_true() && standing.is_true_of(Clock::Realtime));
        standing.begin();
        let since = |standing: &Standing| standing.clocks[Clock::Monotonic as usize][0].since_ns;
        let first = since(&standing);
        assert!(first.is_some());
        let both = [(1, Distortion::Freeze), (2, Distortion::Drift { ppm: -1 })];
        standing.set(Clock::Monotonic, &both);
        standing.begin();
        assert_eq!(since(&standing), first);
        standing.set(Clock::Monotonic, &[]);
        assert!(standing.is_true() && standing.generation == 3);
    }

    #[test]
    fn nothing_is_shown_below_the_floor() {
        let standing = Standing::default();
        let course = standing.course(Clock::Monotonic, START_NS, START_NS + 5);
        assert_eq!(shown_ns(&course, START_NS), START_NS + 5);
        assert_eq!(shown_ns(&course, START_NS + 9), START_NS + 9);
    }
}
