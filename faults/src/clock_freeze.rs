//! Clock freeze: the clock of a node's processes stands still.

use serde::{Deserialize, Serialize};

use crate::clocks::OfClock;
use crate::draws::Draws;
use crate::{Clock, Distortion, Role};

/// Lets the clocks of nodes stand still, and go on from the true time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockFreeze {
    /// Which nodes.
    pub target: Role,
    /// Which clock.
    pub clock: Clock,
}

impl OfClock for ClockFreeze {
    fn target(&self) -> Role {
        self.target
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn distortion(&self) -> Distortion {
        Distortion::Freeze
    }

    fn shows_at_once(&self) -> bool {
        false
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(ClockFreeze {
            target: draws.target("clock-freeze")?,
            clock: Clock::Realtime,
        })
    }
}
