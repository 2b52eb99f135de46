//! Bugs of reads and leases.

use super::{Bug, Facts, Property, Recipe};

pub(super) const FACTS: &[Facts] = &[
    Facts {
        bug: Bug::StaleRead,
        name: "stale-read",
        summary: "a leader answers reads from its state without confirming that it still leads, \
                  and never doubts it (check-quorum is off)",
        needs: "a leader cut off or paused while another is elected",
        symptom: "stale reads",
        source: "P 8, D 6.4; hashicorp/consul #54",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 10s --clients 20",
            schedule: include_str!("../../schedules/leader-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::FollowerRead,
        name: "follower-read",
        summary: "any node answers reads from its own state, however old",
        needs: "reads sent to several nodes",
        symptom: "stale reads",
        source: "P 8, D 6.4",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 5s --faults none",
            schedule: "",
        },
    },
    Facts {
        bug: Bug::ReadBeforeNoop,
        name: "read-before-noop",
        summary: "a new leader answers reads at the index it knew as a follower, of an earlier \
                  term, and appends no entry of its own to learn the true one (followers hear \
                  what is committed with heartbeats only)",
        needs: "a change of leader, and a read before the first write after it",
        symptom: "stale reads",
        source: "P 8, D 6.4",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 12s --clients 5 --rate 20 --keys 1 \
                      --system-option heartbeat-ms=150",
            schedule: include_str!("../../schedules/killed-after-write.toml"),
        },
    },
    Facts {
        bug: Bug::ReadBeforeApply,
        name: "read-before-apply",
        summary: "a read waits until its index is confirmed, but not until the state has come as \
                  far (entries are applied a few at a time, in the background)",
        needs: "a change of leader under load",
        symptom: "stale reads",
        source: "D 6.4",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 15s --clients 20",
            schedule: include_str!("../../schedules/leaders-killed.toml"),
        },
    },
    Facts {
        bug: Bug::LeaseTooLong,
        name: "lease-too-long",
        summary: "a lease lasts longer than the shortest election timeout (and its leader does \
                  not doubt itself: check-quorum is off)",
        needs: "leases, and a leader cut off",
        symptom: "stale reads",
        source: "D 6.4.1; sofastack/sofa-jraft #34",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 12s --system-option reads=lease",
            schedule: include_str!("../../schedules/leader-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::LeaseByWallClock,
        name: "lease-by-wall-clock",
        summary: "the lease is measured by the time of day, which may be set back or stand still \
                  (and its leader does not doubt itself: check-quorum is off)",
        needs: "leases, a leader whose clock is set back or frozen, and which is then cut off",
        symptom: "stale reads",
        source: "D 6.4.1; sofastack/sofa-jraft #26",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 12s --clients 20 --system-option \
                      reads=lease",
            schedule: include_str!("../../schedules/frozen-and-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::LeaseSurvivesPause,
        name: "lease-survives-pause",
        summary: "a node counts ticks instead of looking at a clock, so that a pause of the \
                  process takes no time, and a lease survives it",
        needs: "leases, and a leader paused while another is elected",
        symptom: "stale reads",
        source: "D 6.4.1; tikv/tikv #964",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 12s --clients 20 --system-option reads=lease",
            schedule: include_str!("../../schedules/paused-and-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::LeaseCountsLearners,
        name: "lease-counts-learners",
        summary: "in the question whether a node still leads, the word of learners counts as if \
                  they had a vote",
        needs: "learners, and a leader cut off with them",
        symptom: "stale reads",
        source: "hashicorp/raft #308",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --nodes 4 --time 12s --system-option reads=lease",
            schedule: include_str!("../../schedules/cut-off-with-learner.toml"),
        },
    },
];
