//! Bugs of what clients ask for: sessions, and how requests take effect.

use super::{Bug, Facts, Property, Recipe};

pub(super) const FACTS: &[Facts] = &[
    Facts {
        bug: Bug::ApplyTwiceOnRetry,
        name: "apply-twice-on-retry",
        summary: "the session table is not consulted, so a retried request is applied again",
        needs: "a lost reply, and a client that repeats the request under the same number",
        symptom: "a write takes effect twice",
        source: "P 8, D 6.3",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload kv --time 15s --clients 20",
            schedule: include_str!("../../schedules/replies-lost.toml"),
        },
    },
    Facts {
        bug: Bug::SessionExpiryByLocalClock,
        name: "session-expiry-by-local-clock",
        summary: "sessions expire by each node's own time of day instead of the log's, so that a \
                  repeated request takes effect again on some nodes and on others not",
        needs: "a clock set forward by hours, a lost reply, and a client that repeats the request",
        symptom: "a write takes effect twice, or did not",
        source: "D 6.3",
        breaks: Property::Determinism,
        recipe: Recipe {
            options: "--workload kv --time 13s --clients 20",
            schedule: include_str!("../../schedules/jumping-clocks.toml"),
        },
    },
    Facts {
        bug: Bug::CasAtPropose,
        name: "cas-at-propose",
        summary: "a compare-and-set compares when it is proposed, with what is applied by then, \
                  and sets when it is applied",
        needs: "several clients that change one key at once",
        symptom: "two compare-and-sets of the same value both succeed",
        source: "P 8 (commands are executed by the state machine)",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 5s --faults none",
            schedule: "",
        },
    },
    Facts {
        bug: Bug::LastWriteWinsClock,
        name: "last-write-wins-clock",
        summary: "a write with an earlier time of day than the one in its place is dropped, \
                  though acknowledged",
        needs: "clocks that differ, and a change of leader; or a leader whose clock is set back",
        symptom: "acknowledged writes vanish",
        source: "D 6.3",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 8s",
            schedule: include_str!("../../schedules/clock-behind.toml"),
        },
    },
];
