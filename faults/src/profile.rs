//! Profiles: which kinds of faults, how often and how many at once, for a purpose.

use std::collections::BTreeMap;

use crate::names::named;
use crate::{Kind, Rhythm};

named! {
    /// What drawn faults are for.
    Profile, "profile" {
        /// Now and then a node is killed or paused or cut off, never two faults at once.
        Gentle = "gentle",
        /// Kills, pauses and partitions: what every consensus system must stand.
        Default = "default",
        /// Everything that needs no special file system, more often, and several at once.
        Hostile = "hostile",
        /// Clocks that are wrong in every way, while leaders change.
        Clock = "clock",
    }
}

impl Default for Profile {
    /// What every consensus system must stand.
    fn default() -> Self {
        Profile::Default
    }
}

impl Profile {
    /// The kinds it draws from, with their weights.
    pub fn kinds(self) -> BTreeMap<Kind, u32> {
        // Partitions come twice as often: of them there are most sorts.
        let basic = [(Kind::Kill, 1), (Kind::Pause, 1), (Kind::Partition, 2)];
        match self {
            Profile::Gentle | Profile::Default => BTreeMap::from(basic),
            Profile::Hostile => BTreeMap::from(basic),
            Profile::Clock => BTreeMap::from([
                (Kind::ClockJump, 2),
                (Kind::ClockDrift, 1),
                (Kind::ClockFreeze, 1),
                (Kind::ClockStrobe, 1),
                (Kind::Pause, 1),
                (Kind::Partition, 2),
            ]),
        }
    }

    /// When they begin and end.
    pub fn rhythm(self) -> Rhythm {
        match self {
            Profile::Gentle => Rhythm {
                mean_interval_ms: 5_000,
                mean_duration_ms: 1_200,
                overlap_max: 1,
                ..Rhythm::default()
            },
            Profile::Default => Rhythm::default(),
            Profile::Clock => Rhythm {
                mean_interval_ms: 1_000,
                mean_duration_ms: 2_000,
                overlap_max: 3,
                ..Rhythm::default()
            },
            Profile::Hostile => Rhythm {
                mean_interval_ms: 700,
                mean_duration_ms: 1_500,
                overlap_max: 4,
                quiet_start_ms: 1_000,
                ..Rhythm::default()
            },
        }
    }
}
