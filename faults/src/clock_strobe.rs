//! Clock strobe: the clock of a node's processes is right and wrong by turns.

use serde::{Deserialize, Serialize};

use crate::clocks::{self, OfClock};
use crate::draws::Draws;
use crate::{Clock, Distortion, Role};

/// How far drawn strobes go.
const OFFSETS_MS: [i64; 4] = [200, -200, 10_000, -10_000];

/// How fast drawn strobes are.
const PERIODS_MS: [u64; 3] = [2, 20, 200];

/// An hour.
const PERIOD_MS_MAX: u64 = 3_600_000;

/// Lets the clocks of nodes jump to and fro, and puts them right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockStrobe {
    /// Which nodes.
    pub target: Role,
    /// How far ahead the clock is in the first half of every period, in milliseconds; behind if
    /// negative. In the second half it is right.
    pub offset_ms: i64,
    /// The whole period, in milliseconds.
    pub period_ms: u64,
    /// Which clock. The monotonic one is refused: it never goes back.
    pub clock: Clock,
}

impl Default for ClockStrobe {
    /// Ten seconds ahead and right again, every 20 ms, by the clock of the day.
    fn default() -> Self {
        ClockStrobe {
            target: Role::default(),
            offset_ms: 10_000,
            period_ms: 20,
            clock: Clock::Realtime,
        }
    }
}

impl OfClock for ClockStrobe {
    fn target(&self) -> Role {
        self.target
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn distortion(&self) -> Distortion {
        Distortion::Strobe {
            offset_ms: self.offset_ms,
            period_us: self.period_ms.saturating_mul(1_000),
        }
    }

    fn shows_at_once(&self) -> bool {
        // It begins with the wrong half, and the process is asked at once.
        true
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(ClockStrobe {
            target: draws.target("clock-strobe")?,
            offset_ms: draws.deal("clock-strobe offset", &OFFSETS_MS)?,
            period_ms: draws.deal("clock-strobe period", &PERIODS_MS)?,
            clock: Clock::Realtime,
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        if self.offset_ms == 0 {
            return Some(("offset_ms", "0 is no strobe".to_owned()));
        }
        if !(1..=PERIOD_MS_MAX).contains(&self.period_ms) {
            let why = format!("{} is not from 1 to {PERIOD_MS_MAX}", self.period_ms);
            return Some(("period_ms", why));
        }
        clocks::too_far("offset_ms", self.offset_ms)
            .or_else(|| clocks::only_realtime(self.clock, "strobe"))
    }
}
