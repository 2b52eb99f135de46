//! Bugs of snapshots.

use super::{Bug, Facts, Property, Recipe};

pub(super) const FACTS: &[Facts] = &[
    Facts {
        bug: Bug::SnapshotForgetsSessions,
        name: "snapshot-forgets-sessions",
        summary: "the table of client sessions is left out of snapshots (which are taken every \
                  few entries, and a node goes on from its own as it would after a restart)",
        needs: "a lost reply, and a client that repeats the request under the same number after \
                the next snapshot",
        symptom: "a write takes effect twice",
        source: "P 7, D 6.3",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload kv --time 15s --clients 60",
            schedule: include_str!("../../schedules/replies-lost.toml"),
        },
    },
    Facts {
        bug: Bug::SnapshotWithoutTerm,
        name: "snapshot-without-term",
        summary: "a snapshot does not hold the term of its last entry, so that a log that begins \
                  behind it does not continue it, and seems older than any other",
        needs: "restarts after snapshots",
        symptom: "acknowledged writes vanish",
        source: "P 7",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 10s --keys 100 --system-option \
                      snapshot-entries=100",
            schedule: include_str!("../../schedules/all-killed.toml"),
        },
    },
    Facts {
        bug: Bug::InstallRollsBack,
        name: "install-rolls-back",
        summary: "a snapshot that arrives replaces whatever the node has, also where that is \
                  newer (and each snapshot is offered to all)",
        needs: "a change of leader just after snapshots arrived",
        symptom: "acknowledged writes vanish",
        source: "P 7, figure 13, rule 6",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 15s --clients 40 --keys 50 \
                      --system-option snapshot-entries=20",
            schedule: include_str!("../../schedules/late-and-killed.toml"),
        },
    },
    Facts {
        bug: Bug::ReplayAfterSnapshot,
        name: "replay-after-snapshot",
        summary: "a node that starts applies the entries that it kept from before its snapshot \
                  once more, without a look at the sessions",
        needs: "restarts after snapshots, and a change of leader",
        symptom: "old values come back, appends take effect twice",
        source: "P 7",
        breaks: Property::Determinism,
        recipe: Recipe {
            options: "--workload kv --time 8s --keys 100 --system-option snapshot-entries=200",
            schedule: include_str!("../../schedules/all-killed.toml"),
        },
    },
    Facts {
        bug: Bug::SkipAfterSnapshot,
        name: "skip-after-snapshot",
        summary: "a node that starts takes its whole log for applied, though its state is that \
                  of the snapshot",
        needs: "a restart, and a change of leader",
        symptom: "acknowledged writes vanish",
        source: "etcd-io/etcd #13766, #13967 (the index of what was applied, saved ahead of it)",
        breaks: Property::Determinism,
        recipe: Recipe {
            options: "--workload register --time 10s --keys 100",
            schedule: include_str!("../../schedules/all-killed.toml"),
        },
    },
];
