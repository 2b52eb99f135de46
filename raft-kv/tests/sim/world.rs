//! The cluster, its network, its clients, and what befalls them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};

use raft_kv::raft::{Chance, Config, MemberChange, Members, Message, Name};
use raft_kv::replica::{Answer, Call, Replica};
use raft_kv::{Bug, Bugs};

use crate::clients::{self, Client, KEYS, Operation};
use crate::disk::Disk;
use crate::invariants::{self, Invariants};

/// All times are in microseconds.
const MS: u64 = 1_000;
const TICK: u64 = 10 * MS;
const TROUBLE_ENDS: u64 = 8_000 * MS;
const CLIENTS_END: u64 = 9_000 * MS;
const END: u64 = 16_000 * MS;
const NODES: usize = 5;
const CLIENTS: u64 = 5;
const ATTEMPTS_MAX: u32 = 12;

#[derive(Debug, Default, Clone, Copy)]
pub struct Stats {
    pub acknowledged: u64,
    pub retried: u64,
    pub leaders: u64,
    pub crashes: u64,
    pub pauses: u64,
    pub cuts: u64,
    pub installs: u64,
    pub changes: u64,
}

impl std::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Stats) {
        self.acknowledged += other.acknowledged;
        self.retried += other.retried;
        self.leaders += other.leaders;
        self.crashes += other.crashes;
        self.pauses += other.pauses;
        self.cuts += other.cuts;
        self.installs += other.installs;
        self.changes += other.changes;
    }
}

#[derive(Debug)]
enum Event {
    Tick(usize),
    Deliver(Message),
    Act(usize),
    TimeOut(usize, u64),
    Trouble,
    Restart(usize),
    Resume(usize),
    Heal,
    ChangeMembers,
    Compare,
}

struct Node {
    name: Name,
    replica: Option<Replica>,
    disk: Disk,
    paused: bool,
    /// What arrives while paused.
    inbox: Vec<Message>,
}

pub struct World {
    chance: Chance,
    bugs: Bugs,
    now: u64,
    sequence: u64,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    by_sequence: BTreeMap<u64, Event>,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    history: Vec<Operation>,
    tokens: u64,
    cut: BTreeSet<(Name, Name)>,
    /// Of a thousand messages, while there is trouble.
    lost: u64,
    doubled: u64,
    late: u64,
    /// Of ten thousand batches of writes.
    crashes_while_writing: u64,
    snapshot_entries: u64,
    changes_members: bool,
    invariants: Invariants,
    stats: Stats,
}

fn address(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, number as u8))
}

impl World {
    pub fn new(seed: u64, bugs: Bugs) -> World {
        let mut chance = Chance::new(seed);
        let all: Members = (1..=NODES)
            .map(|number| (format!("n{number}").into(), address(number)))
            .collect();
        let node = |number: usize| {
            let name: Name = format!("n{number}").into();
            let members = all.get(&name).map(|_| all.clone()).unwrap_or_default();
            let disk = Disk::new(&members, bugs.has(Bug::SkipFsync));
            Node {
                name,
                replica: None,
                disk,
                paused: false,
                inbox: Vec::new(),
            }
        };
        let nodes = (1..=NODES + 1).map(node).collect();

        let mut world = World {
            bugs,
            now: 0,
            sequence: 0,
            events: BinaryHeap::new(),
            by_sequence: BTreeMap::new(),
            nodes,
            clients: (0..CLIENTS).map(Client::new).collect(),
            history: Vec::new(),
            tokens: 0,
            cut: BTreeSet::new(),
            lost: [0, 5, 50][chance.below(3) as usize],
            doubled: [0, 5, 50][chance.below(3) as usize],
            late: [0, 5, 50][chance.below(3) as usize],
            crashes_while_writing: [0, 5, 20, 150][chance.below(4) as usize],
            snapshot_entries: [10, 40, 10_000][chance.below(3) as usize],
            changes_members: chance.below(2) == 0,
            invariants: Invariants::default(),
            stats: Stats::default(),
            chance,
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        for index in 0..self.nodes.len() {
            self.start(index);
            let first = self.chance.below(TICK);
            self.schedule(first, Event::Tick(index));
        }
        for client in 0..self.clients.len() {
            self.schedule(500 * MS, Event::Act(client));
        }
        self.schedule(1_000 * MS, Event::Trouble);
        self.schedule(1_000 * MS, Event::Compare);
        if self.changes_members {
            self.schedule(1_500 * MS, Event::ChangeMembers);
        }
    }

    /// Runs to the end. An error is a property that does not hold.
    pub fn run(mut self) -> Result<Stats, String> {
        while let Some(Reverse((at, sequence))) = self.events.pop() {
            if at > END {
                break;
            }
            self.now = at;
            let event = self.by_sequence.remove(&sequence);
            if let Some(event) = event {
                self.happen(event)?;
            }
        }
        self.compare()?;
        self.check_recovery()?;
        clients::check_history(&self.history)?;
        let acknowledged = self
            .history
            .iter()
            .filter(|done| done.is_acknowledged())
            .count();
        self.stats.acknowledged = acknowledged as u64;
        self.stats.leaders = self.invariants.leaders();
        Ok(self.stats)
    }

    fn schedule(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + delay, self.sequence)));
        self.by_sequence.insert(self.sequence, event);
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Tick(index) => {
                self.schedule(TICK, Event::Tick(index));
                self.step(index, |_| {})?;
            }
            Event::Deliver(message) => self.deliver(message)?,
            Event::Act(client) => self.act(client)?,
            Event::TimeOut(client, token) => {
                if self.clients[client].token == Some(token) {
                    self.try_again(client, None);
                }
            }
            Event::Trouble => self.trouble()?,
            Event::Restart(index) => self.start(index),
            Event::Resume(index) => self.resume(index)?,
            Event::Heal => self.cut.clear(),
            Event::ChangeMembers => self.change_members()?,
            Event::Compare => {
                self.schedule(500 * MS, Event::Compare);
                self.compare()?;
            }
        }
        Ok(())
    }

    fn start(&mut self, index: usize) {
        let (seed, chunk_bytes) = (self.chance.next_u64(), 64 + self.chance.below(512) as usize);
        let (bugs, now_ms) = (self.bugs, self.now / MS);
        let node = &mut self.nodes[index];
        if node.replica.is_some() {
            return;
        }
        let name = node.name.clone();
        let config = Config {
            name,
            heartbeat_ms: 50,
            election_ms: 300,
            chunk_bytes,
            bugs,
            seed,
        };
        let replica = Replica::new(config, node.disk.read(), self.snapshot_entries, now_ms);
        node.replica = Some(replica.expect("a snapshot written by a replica holds its state"));
    }

    fn crash(&mut self, index: usize, within: u64) {
        let node = &mut self.nodes[index];
        if node.replica.take().is_none() {
            return;
        }
        // Nothing that was synced may be lost with the power.
        node.disk.lose_power();
        node.inbox.clear();
        node.paused = false;
        self.stats.crashes += 1;
        let delay = 10 * MS + self.chance.below(within);
        self.schedule(delay, Event::Restart(index));
    }

    /// Gives a node an input and does what it says, unless it dies over it.
    fn step(&mut self, index: usize, input: impl FnOnce(&mut Replica)) -> Result<(), String> {
        let now_ms = self.now / MS;
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.as_mut().filter(|_| !node.paused) else {
            return Ok(());
        };
        replica.tick(now_ms);
        input(replica);
        while let Some(replica) = self.nodes[index].replica.as_mut() {
            let output = replica.output().map_err(|error| error.to_string())?;
            if output.is_empty() {
                break;
            }
            let name = self.nodes[index].name.clone();
            for entry in &output.applied {
                self.invariants.check_applied(&name, entry)?;
            }
            let installs = output
                .actions
                .notes
                .iter()
                .filter(|note| note.contains("installs"));
            self.stats.installs += installs.count() as u64;
            self.send_all(output.actions.early);
            if !output.actions.writes.is_empty() && self.dies_now() {
                self.crash(index, 1_000 * MS);
                break;
            }
            self.nodes[index].disk.write(output.actions.writes);
            if self.dies_now() {
                self.crash(index, 1_000 * MS);
                break;
            }
            self.send_all(output.actions.messages);
            for (token, answer) in output.answers {
                self.answer(token, answer);
            }
            if let Some(replica) = &mut self.nodes[index].replica {
                replica.persisted();
                self.invariants.check_role(replica.raft())?;
            }
        }
        Ok(())
    }

    fn dies_now(&mut self) -> bool {
        self.now < TROUBLE_ENDS && self.chance.below(10_000) < self.crashes_while_writing
    }

    fn send_all(&mut self, messages: Vec<Message>) {
        for message in messages {
            let trouble = self.now < TROUBLE_ENDS;
            let link = (message.from.clone(), message.to.clone());
            if self.cut.contains(&link) || (trouble && self.chance.below(1000) < self.lost) {
                continue;
            }
            if trouble && self.chance.below(1000) < self.doubled {
                let delay = self.delay();
                self.schedule(delay, Event::Deliver(message.clone()));
            }
            let delay = self.delay();
            self.schedule(delay, Event::Deliver(message));
        }
    }

    fn delay(&mut self) -> u64 {
        let late = self.now < TROUBLE_ENDS && self.chance.below(1000) < self.late;
        200 + self.chance.below(if late { 400 * MS } else { 3 * MS })
    }

    fn deliver(&mut self, message: Message) -> Result<(), String> {
        let Some(index) = self.nodes.iter().position(|node| node.name == message.to) else {
            return Ok(());
        };
        if self.nodes[index].paused {
            self.nodes[index].inbox.push(message);
            return Ok(());
        }
        self.step(index, |replica| replica.receive(message))
    }

    fn resume(&mut self, index: usize) -> Result<(), String> {
        self.nodes[index].paused = false;
        let inbox = std::mem::take(&mut self.nodes[index].inbox);
        self.step(index, |replica| {
            inbox
                .into_iter()
                .for_each(|message| replica.receive(message))
        })
    }

    /// A client begins, or tries again.
    fn act(&mut self, index: usize) -> Result<(), String> {
        if self.clients[index].operation.is_none() {
            if self.now < CLIENTS_END {
                // Now and then to another node, which may think that it leads.
                if self.chance.below(8) == 0 {
                    self.clients[index].target = self.chance.below(NODES as u64) as usize;
                }
                self.clients[index].next_operation(&mut self.chance, self.now);
            } else if self.finals_wanted(index) {
                self.clients[index].read(index as u64, self.now);
            } else {
                return Ok(());
            }
        }
        self.tokens += 1;
        let token = self.tokens;
        let client = &mut self.clients[index];
        client.token = Some(token);
        let target = client.target;
        let Some(operation) = &client.operation else {
            return Ok(());
        };
        let call = operation.call.clone();
        self.schedule(400 * MS, Event::TimeOut(index, token));
        self.step(target, |replica| replica.call(token, call))
    }

    /// Every key is read once more, by one client each, when all is over.
    fn finals_wanted(&self, client: usize) -> bool {
        (client as u64) < KEYS && self.now < END - 1_000 * MS
    }

    fn answer(&mut self, token: u64, answer: Answer) {
        let Some(index) = self
            .clients
            .iter()
            .position(|client| client.token == Some(token))
        else {
            return;
        };
        match answer {
            Answer::NotLeader(leader) => self.try_again(index, leader.map(|(name, _)| name)),
            Answer::Unknown => self.try_again(index, None),
            answer => self.complete(index, Some(answer)),
        }
    }

    /// The same request under the same number, here or elsewhere, a bounded number of times.
    fn try_again(&mut self, index: usize, leader: Option<Name>) {
        let elsewhere = self.chance.below(self.nodes.len() as u64) as usize;
        let named = leader.and_then(|name| self.nodes.iter().position(|node| node.name == name));
        let finals = self.now >= CLIENTS_END;
        let client = &mut self.clients[index];
        client.token = None;
        client.target = named.unwrap_or(elsewhere);
        client.attempts += 1;
        self.stats.retried += 1;
        match self.clients[index].attempts > ATTEMPTS_MAX && !finals {
            true => self.complete(index, None),
            false => {
                let delay = MS + self.chance.below(50 * MS);
                self.schedule(delay, Event::Act(index));
            }
        }
    }

    fn complete(&mut self, index: usize, answer: Option<Answer>) {
        self.history
            .extend(self.clients[index].complete(answer, self.now));
        let pause = match self.now < CLIENTS_END {
            true => self.chance.below(20 * MS),
            false => 1_000 * MS,
        };
        self.schedule(1 + pause, Event::Act(index));
    }

    fn trouble(&mut self) -> Result<(), String> {
        if self.now >= TROUBLE_ENDS {
            self.cut.clear();
            for index in 0..self.nodes.len() {
                self.resume(index)?;
            }
            return Ok(());
        }
        let next = 100 * MS + self.chance.below(1_200 * MS);
        self.schedule(next, Event::Trouble);
        let lasts = 100 * MS + self.chance.below(1_500 * MS);
        let victim = self.victim();
        match self.chance.below(8) {
            0 | 1 => self.crash(victim, lasts),
            2 => {
                for index in 0..self.nodes.len() {
                    if self.chance.below(3) > 0 {
                        self.crash(index, 300 * MS);
                    }
                }
            }
            3 | 4 => {
                self.nodes[victim].paused = true;
                self.stats.pauses += 1;
                self.schedule(lasts, Event::Resume(victim));
            }
            _ => {
                self.cut_off(victim);
                self.schedule(lasts, Event::Heal);
            }
        }
        Ok(())
    }

    /// A leader as often as not.
    fn victim(&mut self) -> usize {
        let any = self.chance.below(self.nodes.len() as u64) as usize;
        let leads = |node: &Node| {
            let role = node.replica.as_ref().map(|replica| replica.raft().role());
            role == Some(raft_kv::raft::Role::Leader)
        };
        match self.chance.below(2) {
            0 => self.nodes.iter().position(leads).unwrap_or(any),
            _ => any,
        }
    }

    fn cut_off(&mut self, victim: usize) {
        self.stats.cuts += 1;
        let kind = self.chance.below(4);
        let halves = self.chance.next_u64();
        let names: Vec<Name> = self.nodes.iter().map(|node| node.name.clone()).collect();
        self.cut.clear();
        for (i, from) in names.iter().enumerate() {
            for (j, to) in names.iter().enumerate() {
                let apart = match kind {
                    0 => i == victim || j == victim,
                    1 => i == victim,
                    2 => (halves >> i) & 1 != (halves >> j) & 1,
                    // Each link by itself, in each direction by itself.
                    _ => (halves >> (i * 7 + j)) & 1 == 0,
                };
                if apart && i != j {
                    self.cut.insert((from.clone(), to.clone()));
                }
            }
        }
    }

    /// Asks whoever leads to add or remove any node.
    fn change_members(&mut self) -> Result<(), String> {
        if self.now >= TROUBLE_ENDS {
            return Ok(());
        }
        let next = 50 * MS + self.chance.below(1_000 * MS);
        self.schedule(next, Event::ChangeMembers);
        let number = self.chance.below(self.nodes.len() as u64) as usize;
        let name = self.nodes[number].name.clone();
        let change = match self.chance.below(2) {
            0 => MemberChange::Add(name, address(number + 1)),
            _ => MemberChange::Remove(name),
        };
        for index in 0..self.nodes.len() {
            let mut members = 0;
            if let Some(replica) = &self.nodes[index].replica {
                members = replica.raft().members().len();
            }
            // At least three stay, or the loss of one node would be the loss of a majority.
            if members > 3 || matches!(change, MemberChange::Add(..)) {
                self.stats.changes += 1;
                self.tokens += 1;
                let (token, change) = (self.tokens, change.clone());
                self.step(index, |replica| {
                    replica.call(token, Call::ChangeMembers(change))
                })?;
            }
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), String> {
        let replicas: Vec<&Replica> = self
            .nodes
            .iter()
            .filter_map(|node| node.replica.as_ref())
            .collect();
        for (place, one) in replicas.iter().enumerate() {
            for other in &replicas[place + 1..] {
                invariants::check_match(one.raft().log(), other.raft().log())?;
                let same_point = one.raft().applied() == other.raft().applied();
                if same_point && one.kv() != other.kv() {
                    return Err(format!(
                        "{} and {} have applied the same entries and differ",
                        one.raft().name(),
                        other.raft().name()
                    ));
                }
            }
        }
        Ok(())
    }

    /// After the trouble every key could be read, and the members have the same log.
    fn check_recovery(&self) -> Result<(), String> {
        if let Some(client) = self
            .clients
            .iter()
            .find(|client| client.operation.is_some())
        {
            return Err(format!(
                "no recovery: still waiting for {:?}",
                client.operation
            ));
        }
        let replicas = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        let most = replicas
            .clone()
            .max_by_key(|replica| replica.raft().applied());
        let Some(most) = most else {
            return Err("no recovery: no node runs".into());
        };
        for replica in replicas {
            let raft = replica.raft();
            let member = most.raft().members().contains_key(raft.name());
            if member && raft.log().last() != most.raft().log().last() {
                return Err(format!("no recovery: the log of {} is behind", raft.name()));
            }
        }
        Ok(())
    }
}
