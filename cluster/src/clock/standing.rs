//! How the clocks of one node are to run: the distortions in force, and the course they add up to.

use faults::{Clock, Distortion};
use nix::time::{ClockId, clock_gettime};

const NS_PER_MS: i64 = 1_000_000;
const NS_PER_US: i64 = 1_000;
const NS_PER_S: i64 = 1_000_000_000;
const PARTS_PER_MILLION: i64 = 1_000_000;

/// A rate of 1, as the payload has it: 32 bits behind the point.
const RATE_ONE: i64 = 1 << 32;

/// How one class of clocks runs, as the payload reads it. Times are in nanoseconds, as the kernel counts them.
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

/// The true time by a clock.
pub(super) fn true_time_ns(clock: Clock) -> i64 {
    let id = match clock {
        Clock::Realtime => ClockId::CLOCK_REALTIME,
        Clock::Monotonic => ClockId::CLOCK_MONOTONIC,
    };
    // Both exist on every Linux.
    clock_gettime(id).map_or(0, |time| time.tv_sec() * NS_PER_S + time.tv_nsec())
}

impl Standing {
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
            let now_ns = true_time_ns(clock);
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
