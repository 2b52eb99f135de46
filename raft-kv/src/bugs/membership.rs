//! Bugs of changes of members.

use super::{Bug, Facts, Property, Recipe};

/// One of four nodes becomes a learner; then each pair of nodes is cut off from the other: one of
/// the pairs is the leader with the learner.
pub(super) const CUT_OFF_WITH_LEARNER: &str = r#"
[[schedule]]
at = "500ms"
fault = "member-change"
target = "follower"
learner = true
order = ["n4", "n3", "n2", "n1"]
for = "9s"

[[schedule]]
at = "2s"
fault = "partition"
shape = "halves"
order = ["n4", "n1"]
for = "1500ms"

[[schedule]]
at = "4500ms"
fault = "partition"
shape = "halves"
order = ["n4", "n2"]
for = "1500ms"

[[schedule]]
at = "7s"
fault = "partition"
shape = "halves"
order = ["n4", "n3"]
for = "1500ms"
"#;

/// Of four nodes n1 is made the leader, cut off, and told to remove n4. Its successor is told at once to
/// remove n1, while n2, which has elected it, hears no more of it. Then n1 is back, for n2 to elect.
const TWO_MINDS: &str = r#"
[[schedule]]
at = "1s"
fault = "loss"
permille = 1000
links = [["n2", "n3"], ["n3", "n2"], ["n2", "n4"], ["n4", "n2"], ["n3", "n4"], ["n4", "n3"]]
for = "2s"

[[schedule]]
at = "3300ms"
fault = "loss"
permille = 1000
links = [["n1", "n2"], ["n2", "n1"], ["n1", "n3"], ["n3", "n1"], ["n1", "n4"], ["n4", "n1"]]
for = "3s"

[[schedule]]
after = "fault 2 injected"
fault = "member-change"
target = "one"
wait_ms = 60
order = ["n4"]
for = "6s"

[[schedule]]
after = ["fault 3 injected", "leader elected"]
fault = "loss"
permille = 1000
links = [["n2", "n3"], ["n3", "n2"], ["n2", "n4"], ["n4", "n2"]]
for = "5s"

[[schedule]]
after = "fault 4 injected"
fault = "member-change"
target = "one"
wait_ms = 60
order = ["n1"]
for = "5s"
"#;

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
            options: "--workload register --nodes 4 --time 10s",
            schedule: CUT_OFF_WITH_LEARNER,
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
            options: "--workload register --nodes 4 --time 12s --clients 4 --rate 4 --keys 2",
            schedule: TWO_MINDS,
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
