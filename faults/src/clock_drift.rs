//! Clock drift: the clock of a node's processes runs too fast or too slowly.

use serde::{Deserialize, Serialize};

use crate::clocks::OfClock;
use crate::draws::Draws;
use crate::{Clock, Distortion, Role};

/// Drawn drifts. No crystal is so wrong, but no run so long that a real drift would add up.
const PPM: [i64; 4] = [-500_000, -50_000, 50_000, 1_000_000];

/// Tenfold: beyond that a drift is a jump.
const PPM_MAX: i64 = 9_000_000;

/// As slowly as a clock can go without going back.
const PPM_MIN: i64 = -1_000_000;

/// Lets the clocks of nodes run at another rate, and puts them right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockDrift {
    /// Which nodes.
    pub target: Role,
    /// What the clock gains, in microseconds for each second; loses if negative. The monotonic
    /// clock can only lose: when the fault is healed, it would else go back.
    pub rate_ppm: i64,
    /// Which clock.
    pub clock: Clock,
}

impl Default for ClockDrift {
    /// A twentieth too fast, by the clock of the day.
    fn default() -> Self {
        ClockDrift {
            target: Role::default(),
            rate_ppm: 50_000,
            clock: Clock::Realtime,
        }
    }
}

impl OfClock for ClockDrift {
    fn target(&self) -> Role {
        self.target
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn distortion(&self) -> Distortion {
        Distortion::Drift { ppm: self.rate_ppm }
    }

    fn shows_at_once(&self) -> bool {
        false
    }

    fn draw(draws: &mut Draws<'_>) -> Option<Self> {
        Some(ClockDrift {
            target: draws.target("clock-drift")?,
            rate_ppm: draws.deal("clock-drift rate", &PPM)?,
            clock: Clock::Realtime,
        })
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let why = match (self.rate_ppm, self.clock) {
            (0, _) => "0 is no drift".to_owned(),
            (..PPM_MIN, _) => format!("less than {PPM_MIN}: the clock would run backwards"),
            (rate, _) if rate > PPM_MAX => format!("more than {PPM_MAX}"),
            (1.., Clock::Monotonic) => {
                "the monotonic clock can only be slowed down: when healed, it would go back"
                    .to_owned()
            }
            _ => return None,
        };
        Some(("rate_ppm", why))
    }
}
