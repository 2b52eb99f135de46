//! Bugs of elections and terms.

use super::{Bug, Facts, Property, Recipe};

pub(super) const FACTS: &[Facts] = &[
    Facts {
        bug: Bug::ForgetVote,
        name: "forget-vote",
        summary: "a vote is recorded neither on disk nor in memory, so a node votes for every \
                  candidate of a term (election timeouts are close together, so that two \
                  candidates meet)",
        needs: "a change of leader in which two nodes stand at once",
        symptom: "acknowledged writes vanish, or the store is two stores for a while",
        source: "P 5.2, figure 2",
        breaks: Property::ElectionSafety,
        recipe: Recipe {
            options: "--workload register --time 15s --keys 50",
            schedule: include_str!("../../schedules/leaders-killed.toml"),
        },
    },
    Facts {
        bug: Bug::ForgetTerm,
        name: "forget-term",
        summary: "a term learned from another node is recorded neither on disk nor in memory, so \
                  the entries of a deposed leader are still accepted (and it does not step down \
                  by itself: check-quorum is off)",
        needs: "a leader that comes back after another was elected, with writes on the way",
        symptom: "acknowledged writes vanish",
        source: "P 5.1, figure 2",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 12s",
            schedule: include_str!("../../schedules/leaders-cut-off.toml"),
        },
    },
    Facts {
        bug: Bug::VoteWithoutLogCheck,
        name: "vote-without-log-check",
        summary: "votes are granted to candidates whose log is behind (and, so that these are \
                  heard, while there is a leader)",
        needs: "a node that lags, and a change of leader",
        symptom: "acknowledged writes vanish",
        source: "P 5.4.1",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 10s --keys 20",
            schedule: include_str!("../../schedules/majorities-ring.toml"),
        },
    },
    Facts {
        bug: Bug::VoteLogLengthOnly,
        name: "vote-log-length-only",
        summary: "logs are compared by their length and not by the term of their last entry, so \
                  a deposed leader with many entries of its own is elected again (it does not \
                  doubt itself, and others hear it while there is a leader)",
        needs: "a leader cut off that takes in more writes than its successor, and comes back",
        symptom: "acknowledged writes vanish",
        source: "P 5.4.1",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --time 16s --clients 30 --rate 60 --keys 30",
            schedule: include_str!("../../schedules/longer-log-comes-back.toml"),
        },
    },
    Facts {
        bug: Bug::QuorumMinusOne,
        name: "quorum-minus-one",
        summary: "a majority of n nodes is taken to be n/2 instead of n/2 + 1",
        needs: "a partition with at least n/2 nodes on each side, or a leader cut off with one \
                follower",
        symptom: "two leaders acknowledge writes; those of one of them vanish",
        source: "P 5.2, 5.3",
        breaks: Property::StateMachineSafety,
        recipe: Recipe {
            options: "--workload kv --time 10s",
            schedule: include_str!("../../schedules/leader-in-minority.toml"),
        },
    },
    Facts {
        bug: Bug::CountVoteTwice,
        name: "count-vote-twice",
        summary: "a candidate counts replies instead of voters, so that a reply that comes twice \
                  is two votes (election timeouts are close together, so that two candidates \
                  meet)",
        needs: "packets that come twice, and a change of leader in which two nodes stand at once",
        symptom: "acknowledged writes vanish",
        source: "P 5.2",
        breaks: Property::ElectionSafety,
        recipe: Recipe {
            options: "--workload register --time 15s --system-option transport=udp",
            schedule: include_str!("../../schedules/two-pairs.toml"),
        },
    },
    Facts {
        bug: Bug::FixedElectionTimeout,
        name: "fixed-election-timeout",
        summary: "election timeouts are not random, so that all who lose their leader stand at \
                  once, vote for themselves, and do so again and again (without asking first, \
                  and candidates take as long to ask as with a slow disk, or chance would be back)",
        needs: "a leader killed, and a network or disk that takes longer than the nodes' clocks \
                differ",
        symptom: "no leader, for good",
        source: "P 5.2, 9.3",
        breaks: Property::Liveness,
        recipe: Recipe {
            options: "--workload register --time 5s --recovery-limit 5s",
            schedule: include_str!("../../schedules/leaders-paused.toml"),
        },
    },
    Facts {
        bug: Bug::VoteWhileLed,
        name: "vote-while-led",
        summary: "votes are granted to whoever asks, also by nodes that hear from a leader, \
                  though it answers reads by its lease",
        needs: "a node that does not hear the leader and is heard by the others; leases",
        symptom: "stale reads; and leaders that are deposed over and over",
        source: "D 4.2.3, 6.4.1",
        breaks: Property::Linearizability,
        recipe: Recipe {
            options: "--workload register --time 25s --clients 30 --keys 2 \
                      --system-option reads=lease --system-option election-ms=1000",
            schedule: include_str!("../../schedules/unheard-then-alone.toml"),
        },
    },
];
