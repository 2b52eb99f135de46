//! Figure 8 of the paper, step by step: why a leader must not commit an entry of an earlier term
//! by counting who has it.

use std::net::{IpAddr, Ipv4Addr};

use raft_kv::raft::{Body, Chance, Config, Members, Message, Name, Payload, Raft, Recovered, Role};
use raft_kv::{Bug, Bugs};

const NODES: usize = 5;

/// Five nodes that hear from each other only what the test lets through.
struct Lab {
    nodes: Vec<Raft>,
    now_ms: u64,
}

fn name(node: usize) -> Name {
    format!("s{}", node + 1).into()
}

impl Lab {
    fn new(bugs: Bugs) -> Lab {
        let mut chance = Chance::new(8);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let members: Members = (0..NODES).map(|node| (name(node), address)).collect();
        let mut node = |number| {
            let (name, seed) = (name(number), chance.next_u64());
            let config = Config {
                name,
                heartbeat_ms: 50,
                election_ms: 300,
                chunk_bytes: 1024,
                bugs,
                seed,
            };
            let mut recovered = Recovered::default();
            recovered.log.members = members.clone();
            Raft::new(config, recovered, 0)
        };
        Lab {
            nodes: (0..NODES).map(&mut node).collect(),
            now_ms: 0,
        }
    }

    fn sent(&mut self, node: usize) -> Vec<Message> {
        let actions = self.nodes[node].take_actions();
        self.nodes[node].persisted();
        [actions.early, actions.messages].concat()
    }

    /// Carries what `node` sends to `others`, one entry to a message, and the answers back, until
    /// nothing more is sent.
    fn carry(&mut self, node: usize, others: &[usize]) {
        loop {
            let messages = self.sent(node);
            if messages.is_empty() {
                return;
            }
            for mut message in messages {
                let Some(&to) = others.iter().find(|other| name(**other) == message.to) else {
                    continue;
                };
                if let Body::Append { entries, .. } = &mut message.body {
                    entries.truncate(1);
                }
                self.nodes[to].receive(message);
                for answer in self.sent(to) {
                    self.nodes[node].receive(answer);
                }
            }
        }
    }

    /// Lets a node become leader by the votes of these others, who hear from nobody else.
    fn elect(&mut self, node: usize, voters: &[usize]) {
        for _ in 0..6 {
            self.now_ms += 2_000;
            for &voter in voters {
                self.nodes[voter].tick(self.now_ms);
                self.sent(voter);
            }
            self.nodes[node].tick(self.now_ms);
            self.carry(node, voters);
            if self.nodes[node].role() == Role::Leader {
                return;
            }
        }
        panic!(
            "{} is not elected in term {}",
            name(node),
            self.nodes[node].term()
        );
    }

    /// One message from the leader to each of these, and their answers.
    fn replicate(&mut self, leader: usize, to: &[usize]) {
        self.nodes[leader].flush();
        self.carry(leader, to);
    }
}

/// Whether an entry that was committed is replaced.
fn committed_entry_is_replaced(bugs: Bugs) -> bool {
    let mut lab = Lab::new(bugs);
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
    for _ in 0..10 {
        lab.now_ms += 50;
        let now_ms = lab.now_ms;
        lab.nodes[4].tick(now_ms);
        lab.replicate(4, &[2, 3]);
    }
    assert!(lab.nodes[4].commit() >= 2);
    let (one, other) = (&lab.nodes[0], &lab.nodes[4]);
    one.commit() >= 2 && one.log().get(2) != other.log().get(2)
}

#[test]
fn an_entry_of_an_earlier_term_is_not_committed_by_counting() {
    assert!(!committed_entry_is_replaced(Bugs::default()));
    assert!(committed_entry_is_replaced(Bugs::from_iter([
        Bug::CommitOldTerm
    ])));
}
