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
        /// Everything that a correct system must stand and that needs no special file system, more
        /// often, and several at once.
        Hostile = "hostile",
        /// Power failures, torn writes, full and failing disks, while leaders change.
        Disk = "disk",
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

/// What a hostile world has besides kills, pauses and partitions.
const HOSTILE: [Kind; 17] = [
    Kind::Restart,
    Kind::Reboot,
    Kind::CrashLoop,
    Kind::KillAtStart,
    Kind::CpuQuota,
    Kind::SlowStart,
    Kind::FdLimit,
    Kind::Delay,
    Kind::Loss,
    Kind::Duplicate,
    Kind::Reorder,
    Kind::Corrupt,
    Kind::RateLimit,
    Kind::RefuseConnections,
    Kind::ResetConnections,
    Kind::ClockJump,
    Kind::ClockDrift,
];

impl Profile {
    /// The kinds it draws from, with their weights.
    pub fn kinds(self) -> BTreeMap<Kind, u32> {
        // Partitions come twice as often: of them there are most sorts.
        let basic = [(Kind::Kill, 1), (Kind::Pause, 1), (Kind::Partition, 2)];
        match self {
            Profile::Gentle | Profile::Default => BTreeMap::from(basic),
            Profile::Hostile => {
                let mut kinds = BTreeMap::from(basic);
                kinds.extend(HOSTILE.map(|kind| (kind, 1)));
                kinds
            }
            Profile::Disk => {
                let mut kinds = BTreeMap::from([(Kind::Kill, 1), (Kind::Partition, 1)]);
                kinds.extend(Kind::OF_SOUND_DISKS.map(|kind| (kind, 1)));
                // Of crash points there are most sorts, and power failures show most.
                kinds.extend([(Kind::CrashPoint, 2), (Kind::PowerLoss, 3)]);
                kinds
            }
            Profile::Clock => BTreeMap::from([
                (Kind::ClockJump, 2),
                (Kind::ClockDrift, 1),
                (Kind::ClockFreeze, 1),
                (Kind::ClockStrobe, 1),
                (Kind::Reboot, 1),
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
            Profile::Default | Profile::Disk => Rhythm::default(),
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
