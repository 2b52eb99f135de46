//! A few nodes that hear from each other only what a test lets through, step by step.

use std::net::{IpAddr, Ipv4Addr};

use raft_kv::Bugs;
use raft_kv::raft::{
    Body, Chance, Config, Member, MemberChange, Members, Message, Name, Payload, Raft, Reads,
    Recovered, Role, TICK_MS, Time,
};

pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HEARTBEAT_MS: u64 = 50;
const ELECTION_TICKS_MAX: u64 = 500;

pub struct Lab {
    pub nodes: Vec<Raft>,
    pub now_ms: u64,
    /// Answers come twice.
    pub doubles: bool,
}

pub fn name(node: usize) -> Name {
    format!("s{}", node + 1).into()
}

/// So many members with a vote, and so many learners behind them.
pub fn members(voters: usize, learners: usize) -> Members {
    let member = |node| {
        let learner = node >= voters;
        let address = ADDRESS;
        (name(node), Member { address, learner })
    };
    (0..voters + learners).map(member).collect()
}

impl Lab {
    /// So many nodes, of which some may be no members yet.
    pub fn new(nodes: usize, members: &Members, reads: Reads, bugs: Bugs) -> Lab {
        let mut chance = Chance::new(8);
        let mut node = |number| {
            let (name, seed) = (name(number), chance.next_u64());
            let mut recovered = Recovered::default();
            if members.contains_key(&name) {
                recovered.log.members = members.clone();
            }
            let config = Config {
                name,
                heartbeat_ms: HEARTBEAT_MS,
                election_ms: 300,
                message_bytes: 1024,
                reads,
                bugs,
                seed,
            };
            Raft::new(config, recovered, Time::default())
        };
        Lab {
            nodes: (0..nodes).map(&mut node).collect(),
            now_ms: 0,
            doubles: false,
        }
    }

    pub fn tick(&mut self, node: usize) {
        let (ms, wall_ms) = (self.now_ms, self.now_ms);
        self.nodes[node].tick(Time { ms, wall_ms });
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
                    if self.doubles {
                        self.nodes[node].receive(answer.clone());
                    }
                    self.nodes[node].receive(answer);
                }
            }
        }
    }

    /// Lets a node become leader by the votes of these others, who hear from nobody else.
    pub fn elect(&mut self, node: usize, voters: &[usize]) {
        assert!(
            self.is_elected(node, voters),
            "{} is not elected",
            name(node)
        );
    }

    /// Whether a node becomes leader by the votes of these others, who hear from nobody else.
    pub fn is_elected(&mut self, node: usize, voters: &[usize]) -> bool {
        for _ in 0..ELECTION_TICKS_MAX {
            self.now_ms += TICK_MS;
            for &voter in voters {
                self.tick(voter);
                self.sent(voter);
            }
            self.tick(node);
            self.carry(node, voters);
            if self.nodes[node].role() == Role::Leader {
                return true;
            }
        }
        false
    }

    /// One message from the leader to each of these, and their answers.
    pub fn replicate(&mut self, leader: usize, to: &[usize]) {
        self.nodes[leader].flush();
        self.carry(leader, to);
    }

    /// The leader's heartbeats reach only these, for a while.
    pub fn reach(&mut self, leader: usize, to: &[usize], heartbeats: u64) {
        for _ in 0..heartbeats * HEARTBEAT_MS / TICK_MS {
            self.now_ms += TICK_MS;
            for &node in to {
                self.tick(node);
            }
            self.tick(leader);
            self.replicate(leader, to);
        }
    }

    /// Whether the leader takes up this change.
    pub fn change(&mut self, leader: usize, change: MemberChange) -> bool {
        self.nodes[leader].propose_change(change).is_ok()
    }

    pub fn propose(&mut self, leader: usize) {
        self.nodes[leader].propose(Payload::Noop).unwrap();
    }

    /// Whether two nodes take different entries for committed in one place.
    pub fn differ_below_commit(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.nodes[one], &self.nodes[other]);
        let committed = 1..=one.commit().min(other.commit());
        committed
            .into_iter()
            .any(|index| one.log().get(index) != other.log().get(index))
    }
}
