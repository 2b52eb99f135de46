//! Figure 8 of the paper, step by step: why a leader must not commit an entry of an earlier term
//! by counting who has it.

use raft_kv::raft::{Payload, Reads};
use raft_kv::{Bug, Bugs};

use crate::lab::{Lab, members};

/// Whether an entry that was committed is replaced.
fn committed_entry_is_replaced(bugs: Bugs) -> bool {
    let mut lab = Lab::new(5, &members(5, 0), Reads::ReadIndex, bugs);
    // (a) S1 leads, all have its first entry, and only S2 has its second.
    lab.elect(0, &[1, 2, 3, 4]);
    lab.replicate(0, &[1, 2, 3, 4]);
    let (index, _) = lab.nodes[0].propose(Payload::Noop).unwrap();
    lab.replicate(0, &[1]);
    assert_eq!(
        (
            index,
            lab.nodes[0].commit(),
            lab.nodes[2].log().last_index()
        ),
        (2, 1, 1)
    );
    // (b) S5 is elected by S3 and S4 and has another second entry, alone.
    lab.elect(4, &[2, 3]);
    assert_eq!(lab.nodes[4].log().last_index(), 2);
    // (c) S1 is back and brings its second entry to S3, but not yet the third, of its own term.
    lab.elect(0, &[1, 2]);
    lab.replicate(0, &[1, 2]);
    lab.replicate(0, &[1, 2]);
    let old = lab.nodes[0].log().get(2).cloned();
    assert_eq!(
        (
            lab.nodes[2].log().get(2).cloned(),
            lab.nodes[2].log().last_index()
        ),
        (old, 2)
    );
    // (d) S5 is elected again, by S3 and S4, whose entries are of earlier terms than its own.
    lab.elect(4, &[2, 3]);
    lab.reach(4, &[2, 3], 10);
    assert!(lab.nodes[4].commit() >= 2);
    lab.nodes[0].commit() >= 2 && lab.differ_below_commit(0, 4)
}

#[test]
fn an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    assert!(!committed_entry_is_replaced(Bugs::default()));
    assert!(committed_entry_is_replaced(Bugs::from_iter([
        Bug::CommitOldTerm
    ])));
}
