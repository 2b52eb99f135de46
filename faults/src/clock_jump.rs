//! Clock jump: the clock of a node's processes is ahead or behind by a fixed time.

use serde::{Deserialize, Serialize};

use crate::clocks::{self, OfClock};
use crate::draws::Draws;
use crate::{Clock, Distortion, Role};

/// How far drawn jumps go: from the length of an election timeout to an hour, ahead and behind.
const OFFSETS_MS: [i64; 6] = [200, -200, 5_000, -5_000, 3_600_000, -3_600_000];

/// Puts the clocks of nodes ahead or behind, and right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockJump {
    /// Which nodes.
    pub target: Role,
    /// How far ahead, in milliseconds; behind if negative.
    pub offset_ms: i64,
    /// Which clock. A jump of the monotonic one is refused: what then waits for a time by it waits
    /// for as long as the jump was.
    pub clock: Clock,
}

impl Default for ClockJump {
    /// A minute ahead, by the clock of the day.
    fn default() -> Self {
        ClockJump {
            target: Role::default(),
            offset_ms: 60_000,
            clock: Clock::Realtime,
        }
    }
}

impl OfClock for ClockJump {
    fn target(&self) -> Role {
        self.target
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn distortion(&self) -> Distortion {
        Distortion::Offset { ms: self.offset_ms }
    }

    fn shows_at_once(&self) -> bool {
        true
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(ClockJump {
            target: draws.target("clock-jump")?,
            offset_ms: draws.deal("clock-jump offset", &OFFSETS_MS)?,
            clock: Clock::Realtime,
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        if self.offset_ms == 0 {
            return Some(("offset_ms", "0 is no jump".to_owned()));
        }
        clocks::too_far("offset_ms", self.offset_ms)
            .or_else(|| clocks::only_realtime(self.clock, "jump"))
    }
}
