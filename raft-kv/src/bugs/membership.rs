//! Bugs of changes of members.

use super::{Bug, Facts, Property, Recipe};

pub(super) const FACTS: &[Facts] = &[
    Facts {
        bug: Bug::NonVoterCounted,
        name: "non-voter-counted",
        summary: "learners count in majorities, of votes and of replicas",
        needs: "learners, and a leader cut off with them",
        symptom: "acknowledged writes vanish",
        source: "D 4.2.1; rabbitmq/ra #427",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --nodes 4 --time 12s",
            schedule: include_str!("../../schedules/cut-off-with-learner.toml"),
        },
    },
    Facts {
        bug: Bug::ChangeWithoutNoop,
        name: "change-without-noop",
        summary: "a leader changes the members before it has committed an entry of its term, when \
                  a change of an earlier leader may still be under way (and appends no entry of \
                  its own when it is elected)",
        needs: "a leader cut off with a change of members of its own, and one more by its \
                successor at once",
        symptom: "acknowledged writes vanish",
        source: "D 4.1 with the correction of 2015; atomix/copycat #23, baidu/braft #182",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --nodes 4 --time 14s --clients 8 --rate 12 --keys 30 \
                      --timeout 500ms",
            schedule: include_str!("../../schedules/two-minds.toml"),
        },
    },
    Facts {
        bug: Bug::OverlappingChanges,
        name: "overlapping-changes",
        summary: "a leader changes the members again before the last change is committed",
        needs: "a leader cut off that is told to remove those it does not reach",
        symptom: "acknowledged writes vanish",
        source: "D 4.1",
        breaks: Property::StateMachineSafety,
        recipe: Recipe {
            options: "--workload register --time 10s",
            schedule: include_str!("../../schedules/removed-by-a-minority.toml"),
        },
    },
    Facts {
        bug: Bug::RemovedLeaderCountsItself,
        name: "removed-leader-counts-itself",
        summary: "a leader that is removed counts itself in majorities (and goes on to lead)",
        needs: "a leader that is told to remove itself, and is cut off with too few others",
        symptom: "acknowledged writes vanish",
        source: "D 4.2.2",
        breaks: Property::LeaderCompleteness,
        recipe: Recipe {
            options: "--workload register --nodes 4 --time 12s",
            schedule: include_str!("../../schedules/cut-off-when-removed.toml"),
        },
    },
];
