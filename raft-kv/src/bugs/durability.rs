//! Bugs of what is kept on disk.

use super::{Bug, Facts, Property, Recipe};

pub(super) const FACTS: &[Facts] = &[
    Facts {
        bug: Bug::SkipFsync,
        name: "skip-fsync",
        summary: "log and votes are acknowledged without syncing them to disk",
        needs: "power loss on a majority (a killed process loses nothing: the kernel has it)",
        symptom: "acknowledged writes vanish",
        source: "P 5.6, D 10.2",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 10s --keys 100 --disk-faults",
            schedule: include_str!("../../schedules/power-out.toml"),
        },
    },
    Facts {
        bug: Bug::FsyncAfterReply,
        name: "fsync-after-reply",
        summary: "a node replies that it has an entry, or has voted, and then syncs it to disk",
        needs: "power loss on a majority between reply and sync",
        symptom: "acknowledged writes vanish",
        source: "P figure 2, D 10.2",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 20s --clients 50 --keys 200 \
                      --disk-faults --system-option transport=udp",
            schedule: include_str!("../../schedules/slow-followers-and-power-out.toml"),
        },
    },
    Facts {
        bug: Bug::IgnoreFsyncError,
        name: "ignore-fsync-error",
        summary: "that a sync failed is ignored, and what it should have put on disk is \
                  acknowledged",
        needs: "a disk that reports an error on sync, then power loss",
        symptom: "acknowledged writes vanish",
        source: "D 10.2; Rebello and others, \"Can Applications Recover from fsync Failures?\", 2020",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 10s --keys 100 --disk-faults",
            schedule: include_str!("../../schedules/broken-disks-and-power-out.toml"),
        },
    },
    Facts {
        bug: Bug::RenameWithoutDirSync,
        name: "rename-without-dir-sync",
        summary: "the folder is not synced after a snapshot, and the log begun anew behind it, \
                  were put in their places by rename",
        needs: "power loss on a majority after a snapshot",
        symptom: "acknowledged writes vanish",
        source: "Pillai and others, \"All File Systems Are Not Created Equal\", 2014",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 6s --keys 100 --disk-faults \
                      --system-option snapshot-entries=100",
            schedule: include_str!("../../schedules/power-out.toml"),
        },
    },
    Facts {
        bug: Bug::TornAccepted,
        name: "torn-accepted",
        summary: "half a record at the end of the log is accepted at the next start, with zeros \
                  for what is missing",
        needs: "a write torn by power loss, and a change of leader",
        symptom: "values that nobody wrote",
        source: "Alagappan and others, \"Protocol-Aware Recovery\", 2018",
        breaks: Property::LogMatching,
        recipe: Recipe {
            options: "--workload register --time 10s --rate 40 --keys 300 --disk-faults",
            schedule: include_str!("../../schedules/torn-then-leads.toml"),
        },
    },
    Facts {
        bug: Bug::IgnoreCrc,
        name: "ignore-crc",
        summary: "checksums are not compared when the log is read",
        needs: "a bit flipped on disk, a restart, and a change of leader",
        symptom: "values that nobody wrote",
        source: "Alagappan and others, \"Protocol-Aware Recovery\", 2018",
        breaks: Property::LogMatching,
        recipe: Recipe {
            options: "--workload register --time 12s --rate 40 --keys 300 --disk-faults",
            schedule: include_str!("../../schedules/flipped-then-leads.toml"),
        },
    },
    Facts {
        bug: Bug::TruncateOnBadCrc,
        name: "truncate-on-bad-crc",
        summary: "a damaged record, wherever it is, silently ends the log at the next start",
        needs: "bits flipped on disks, restarts, and a majority of those damaged and one that lags",
        symptom: "acknowledged writes vanish",
        source: "nats-io/nats-server #7587",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 9s --keys 100 --disk-faults \
                      --system-option snapshot-entries=100000",
            schedule: include_str!("../../schedules/flipped-and-lagging.toml"),
        },
    },
];
