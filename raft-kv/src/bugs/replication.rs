//! Bugs of replication and commitment.

use super::{Bug, Facts, Property, Recipe};

pub(super) const FACTS: &[Facts] = &[
    Facts {
        bug: Bug::CommitOldTerm,
        name: "commit-old-term",
        summary: "a leader commits entries of earlier terms by counting replicas (and sends one \
                  entry at a time, so that some followers have what others lack)",
        needs: "three changes of leader, each within moments of the one before, with entries \
                partly replicated",
        symptom: "acknowledged writes vanish",
        source: "P 5.4.2, figure 8; canonical/raft #336",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload kv --time 35s --clients 30 --keys 100 \
                      --system-option transport=udp --system-option election-ms=1000 \
                      --system-option heartbeat-ms=300",
            schedule: include_str!("../../schedules/figure-8.toml"),
        },
    },
    Facts {
        bug: Bug::AckBeforeCommit,
        name: "ack-before-commit",
        summary: "writes are acknowledged when the leader has appended them, before a majority \
                  has",
        needs: "a leader killed or cut off under load",
        symptom: "acknowledged writes vanish",
        source: "P 5.3",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 15s --keys 50",
            schedule: include_str!("../../schedules/leaders-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::ApplyBeforeCommit,
        name: "apply-before-commit",
        summary: "entries are applied, and answered, when they are appended, and stay applied \
                  when they are replaced",
        needs: "a leader cut off under load that comes back",
        symptom: "writes that were read vanish, or are there again",
        source: "P 5.3",
        breaks: Property::StateMachineSafety,
        recipe: Recipe {
            options: "--workload register --time 12s",
            schedule: include_str!("../../schedules/leaders-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::CommitPastMatch,
        name: "commit-past-match",
        summary: "a follower takes over the leader's commit index beyond the entries known to \
                  match, and applies whatever it has there (heartbeats go ahead of entries, and \
                  clients of a leader cut off, which does not doubt itself, wait to learn what \
                  became of their writes)",
        needs: "a deposed leader with entries of its own that comes back under another",
        symptom: "acknowledged writes vanish",
        source: "P figure 2, append rule 5",
        breaks: Property::StateMachineSafety,
        // A leader cut off acknowledges what it had when it comes back: most clients are at the
        // new leader by then, and writes that follow at once would hide what is lost. So: many
        // clients, many keys, and not too much done to them.
        recipe: Recipe {
            options: "--workload register --time 15s --clients 50 --rate 300 --keys 100",
            schedule: include_str!("../../schedules/leaders-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::NoPrevTermCheck,
        name: "no-prev-term-check",
        summary: "a follower appends wherever its log is long enough, without comparing the term \
                  of the entry before (and a leader cut off does not doubt itself)",
        needs: "a deposed leader with entries of its own that comes back under another",
        symptom: "old values come back with the next leader",
        source: "P 5.3",
        breaks: Property::LogMatching,
        recipe: Recipe {
            options: "--workload register --time 15s --clients 50 --rate 200 --keys 300",
            schedule: include_str!("../../schedules/deposed-and-back.toml"),
        },
    },
    Facts {
        bug: Bug::TruncateAlways,
        name: "truncate-always",
        summary: "every append, even an empty or late one, truncates the log behind the entry it \
                  builds on (a leader's last heartbeat is repeated behind the next)",
        needs: "a change of leader under load",
        symptom: "acknowledged writes vanish",
        source: "P figure 2, append rule 3",
        breaks: Property::LeaderCompleteness,
        // What was truncated comes back with the next write: let that one take its time.
        recipe: Recipe {
            options: "--workload register --time 14s --clients 5 --rate 10 --keys 20",
            schedule: include_str!("../../schedules/killed-after-heartbeat.toml"),
        },
    },
    Facts {
        bug: Bug::KeepConflict,
        name: "keep-conflict",
        summary: "entries that are there are kept, though the leader sends others in their place \
                  (and a leader cut off does not doubt itself)",
        needs: "a deposed leader with entries of its own that comes back under another",
        symptom: "old values come back with the next leader",
        source: "P figure 2, append rule 3",
        breaks: Property::StateMachineSafety,
        recipe: Recipe {
            options: "--workload register --time 15s --clients 50 --rate 200 --keys 300",
            schedule: include_str!("../../schedules/deposed-and-back.toml"),
        },
    },
    Facts {
        bug: Bug::DuplicateAppend,
        name: "duplicate-append",
        summary: "entries that are in the log already are put behind the others once more",
        needs: "packets that come twice, and a change of leader",
        symptom: "the next leader has another history: values of long ago, lost writes",
        source: "P figure 2, append rule 4",
        breaks: Property::LogMatching,
        recipe: Recipe {
            options: "--workload register --time 15s --rate 200 --keys 300 \
                      --system-option transport=udp",
            schedule: include_str!("../../schedules/twice-to-one.toml"),
        },
    },
    Facts {
        bug: Bug::MatchFromReplyOrder,
        name: "match-from-reply-order",
        summary: "the answer to one append is taken for the answer to all that were sent since, \
                  as if nothing were lost or overtaken on the way",
        needs: "packets lost or late, and a leader killed or cut off",
        symptom: "acknowledged writes vanish",
        source: "P figure 2 (matchIndex)",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 15s --system-option transport=udp",
            schedule: include_str!("../../schedules/late-and-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::HeartbeatCountsAsMatch,
        name: "heartbeat-counts-as-match",
        summary: "that a follower accepts an empty append is taken to mean that it has the whole \
                  log",
        needs: "a follower that is heard but lags, and a leader killed or cut off",
        symptom: "acknowledged writes vanish",
        source: "P 5.3",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 14s --clients 4 --rate 6 --keys 2 \
                      --system-option transport=udp --system-option election-ms=600",
            schedule: include_str!("../../schedules/cut-off-before-arrival.toml"),
        },
    },
    Facts {
        bug: Bug::DeposedLeaderAppends,
        name: "deposed-leader-appends",
        summary: "for a moment after it was deposed a leader appends what clients still send it, \
                  in the term of its successor (and a leader cut off does not doubt itself)",
        needs: "a leader deposed under load",
        symptom: "values that nobody acknowledged are there, and others not, with the next leader",
        source: "camunda/camunda #5360",
        breaks: Property::LogMatching,
        recipe: Recipe {
            options: "--workload register --time 15s --clients 50 --rate 300 --keys 300",
            schedule: include_str!("../../schedules/deposed-and-back.toml"),
        },
    },
];
