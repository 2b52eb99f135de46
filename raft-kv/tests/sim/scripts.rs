//! What chance seldom brings about, step by step: changes of members at the wrong moment, and
//! leases that are trusted too long.

use raft_kv::raft::{MemberChange, Reads, Role};
use raft_kv::{Bug, Bugs};

use crate::lab::{ADDRESS, Lab, members, name};

#[track_caller]
fn check(bug: Bug, breaks: fn(Bugs) -> bool) {
    assert!(!breaks(Bugs::default()), "without {bug}");
    assert!(breaks(Bugs::from_iter([bug])), "with {bug}");
}

fn remove(node: usize) -> MemberChange {
    MemberChange::Remove(name(node))
}

/// A leader cut off with one follower of four is told to remove the three others.
#[test]
fn a_change_on_top_of_one_that_is_not_committed_divides_the_cluster() {
    check(Bug::OverlappingChanges, |bugs| {
        let mut lab = Lab::new(5, &members(5, 0), Reads::ReadIndex, bugs);
        lab.elect(0, &[1, 2, 3, 4]);
        lab.reach(0, &[1, 2, 3, 4], 2);
        assert!(lab.change(0, remove(2)));
        let goes_on = lab.change(0, remove(3)) && lab.change(0, remove(4));
        lab.reach(0, &[1], 2);
        lab.elect(2, &[3, 4]);
        lab.reach(2, &[3, 4], 2);
        goes_on && lab.differ_below_commit(0, 2)
    });
}

/// The example of Ongaro's correction of 2015, with S5 joining and S1 leaving.
#[test]
fn a_change_before_an_entry_of_the_term_is_committed_divides_the_cluster() {
    check(Bug::ChangeWithoutNoop, |bugs| {
        let mut lab = Lab::new(5, &members(4, 0), Reads::ReadIndex, bugs);
        lab.elect(0, &[1, 2, 3]);
        lab.reach(0, &[1, 2, 3], 2);
        // S1 adds S5, and nobody else hears of it.
        assert!(lab.change(0, MemberChange::Add(name(4), ADDRESS)));
        lab.reach(0, &[4], 2);
        // S2 is elected and removes S1 at once; only S3 hears of that.
        lab.elect(1, &[2, 3]);
        let removed = lab.change(1, remove(0));
        lab.reach(1, &[2], 4);
        // S1 is elected again by S4, to whom S2's entries did not come, and S5.
        lab.elect(0, &[3, 4]);
        lab.propose(0);
        lab.reach(0, &[3, 4], 4);
        removed && lab.differ_below_commit(0, 1)
    });
}

/// Two candidates of a term hear from one voter each, twice.
#[test]
fn an_answer_that_comes_twice_is_one_vote() {
    check(Bug::CountVoteTwice, |bugs| {
        let mut lab = Lab::new(5, &members(5, 0), Reads::ReadIndex, bugs);
        lab.doubles = true;
        let both = lab.is_elected(0, &[1]) && lab.is_elected(4, &[3]);
        both && lab.nodes[0].term() == lab.nodes[4].term()
    });
}

/// A leader is removed and, with one of the three that stay, cut off from the others.
#[test]
fn a_removed_leader_that_counts_itself_commits_without_a_majority() {
    check(Bug::RemovedLeaderCountsItself, |bugs| {
        let mut lab = Lab::new(4, &members(4, 0), Reads::ReadIndex, bugs);
        lab.elect(0, &[1, 2, 3]);
        lab.reach(0, &[1, 2, 3], 2);
        assert!(lab.change(0, remove(0)));
        lab.reach(0, &[1, 2, 3], 2);
        if lab.nodes[0].role() != Role::Leader {
            return false;
        }
        lab.propose(0);
        lab.reach(0, &[1], 2);
        lab.elect(2, &[3]);
        lab.reach(2, &[3], 2);
        lab.differ_below_commit(0, 2)
    });
}

/// Whether a leader, cut off with some, answers a read though another has committed since.
fn is_stale(lab: &mut Lab, with: &[usize], next: usize, voters: &[usize]) -> bool {
    lab.elect(next, voters);
    lab.propose(next);
    lab.reach(next, voters, 2);
    assert!(lab.nodes[next].commit() > lab.nodes[0].commit());
    lab.now_ms += 50;
    lab.tick(0);
    lab.replicate(0, with);
    let leads = lab.nodes[0].role() == Role::Leader && lab.nodes[0].read(7).is_ok();
    lab.replicate(0, with);
    leads && !lab.nodes[0].take_ready_reads().is_empty()
}

/// A leader is cut off with a learner, of whose word it must not be certain.
#[test]
fn learners_do_not_confirm_a_lease() {
    check(Bug::LeaseCountsLearners, |bugs| {
        let mut lab = Lab::new(4, &members(3, 1), Reads::Lease, bugs);
        lab.elect(0, &[1, 2]);
        lab.reach(0, &[1, 2, 3], 2);
        lab.reach(0, &[3], 20);
        is_stale(&mut lab, &[3], 1, &[2])
    });
}

/// A node that does not hear the leader asks for votes of those who have just heard from it.
#[test]
fn who_hears_from_a_leader_elects_no_other() {
    check(Bug::VoteWhileLed, |bugs| {
        let mut lab = Lab::new(5, &members(5, 0), Reads::Lease, bugs);
        lab.elect(0, &[1, 2, 3, 4]);
        lab.reach(0, &[1, 2, 3, 4], 4);
        lab.reach(0, &[2, 3, 4], 14);
        is_stale(&mut lab, &[], 1, &[2, 3])
    });
}

/// A leader is stopped while another is elected, and goes on.
#[test]
fn a_lease_does_not_outlast_a_pause() {
    check(Bug::LeaseSurvivesPause, |bugs| {
        let mut lab = Lab::new(3, &members(3, 0), Reads::Lease, bugs);
        lab.elect(0, &[1, 2]);
        lab.reach(0, &[1, 2], 4);
        is_stale(&mut lab, &[], 1, &[2])
    });
}

/// While a leader has its lease, it answers reads at once, and no other can be elected.
#[test]
fn a_lease_lets_reads_through_and_nobody_be_elected() {
    let mut lab = Lab::new(3, &members(3, 0), Reads::Lease, Bugs::default());
    lab.elect(0, &[1, 2]);
    lab.reach(0, &[1, 2], 4);
    lab.nodes[0].read(7).unwrap();
    assert_eq!(lab.nodes[0].take_ready_reads().len(), 1);
    // Not reached any more, it soon asks again, long before the others would vote.
    lab.now_ms += 270;
    lab.tick(0);
    lab.nodes[0].read(8).unwrap();
    assert_eq!(lab.nodes[0].take_ready_reads().len(), 0);
}
