//! The cluster, its network, its clients, and what befalls them.

mod checks;
mod requests;
mod trouble;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr};

use raft_kv::Bugs;
use raft_kv::raft::{Chance, Config, Members, Message, Name, Reads, Time, Write};
use raft_kv::replica::Replica;
use raft_kv::storage::{Storage, StorageError};

use crate::clients::{self, Client, Operation};
use crate::disk::Disk;
use crate::invariants::Invariants;

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
    pub jumps: u64,
    pub broken_disks: u64,
    pub torn: u64,
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
        self.jumps += other.jumps;
        self.broken_disks += other.broken_disks;
        self.torn += other.torn;
    }
}

/// What kind of world it is, besides what the seed says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setting {
    pub bugs: Bugs,
    /// How leaders answer reads; the seed says where this does not.
    pub reads: Option<Reads>,
    /// Bits flip on the disks of nodes that are down: of two nodes at most.
    pub flips: bool,
    /// A network so slow that candidates never hear of each other in time, and no trouble but
    /// leaders that die.
    pub slow: bool,
    /// Snapshots are taken after so many entries; the seed says where this does not.
    pub snapshot_entries: Option<u64>,
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
    RepairDisk(usize),
    ChangeMembers,
    Compare,
}

struct Node {
    name: Name,
    replica: Option<Replica>,
    storage: Option<Storage<Disk>>,
    /// The disk of a node that is down.
    disk: Option<Disk>,
    /// Its members when it begins.
    members: Members,
    /// How far its time of day is from the right one, and since when it stands still.
    ahead_ms: i64,
    frozen_ms: Option<u64>,
    /// It was damaged, and will not come back.
    flipped: bool,
    paused: bool,
    /// What arrives while paused.
    inbox: Vec<Message>,
}

pub struct World {
    chance: Chance,
    setting: Setting,
    reads: Reads,
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
    pub fn new(seed: u64, setting: Setting) -> World {
        let mut chance = Chance::new(seed);
        let all: Members = (1..=NODES)
            .map(|number| (format!("n{number}").into(), address(number).into()))
            .collect();
        let node = |number: usize| {
            let name: Name = format!("n{number}").into();
            let members = all.get(&name).map(|_| all.clone()).unwrap_or_default();
            Node {
                name,
                replica: None,
                storage: None,
                disk: Some(Disk::default()),
                members,
                ahead_ms: 0,
                frozen_ms: None,
                flipped: false,
                paused: false,
                inbox: Vec::new(),
            }
        };
        let nodes = (1..=NODES + 1).map(node).collect();

        let mut world = World {
            setting,
            reads: setting.reads.unwrap_or(match chance.below(2) {
                0 => Reads::ReadIndex,
                _ => Reads::Lease,
            }),
            now: 0,
            sequence: 0,
            events: BinaryHeap::new(),
            by_sequence: BTreeMap::new(),
            nodes,
            clients: (0..CLIENTS).map(Client::new).collect(),
            history: Vec::new(),
            tokens: 0,
            cut: BTreeSet::new(),
            lost: [0, 5, 50, 150][chance.below(4) as usize],
            doubled: [0, 5, 50, 150][chance.below(4) as usize],
            late: [0, 5, 50, 150][chance.below(4) as usize],
            crashes_while_writing: [0, 5, 20, 150][chance.below(4) as usize],
            snapshot_entries: [10, 40, 10_000][chance.below(3) as usize],
            changes_members: chance.below(2) == 0,
            invariants: Invariants::default(),
            stats: Stats::default(),
            chance,
        };
        if let Some(entries) = setting.snapshot_entries {
            world.snapshot_entries = entries;
        }
        // Two of five nodes may stay down: the others must be enough.
        world.changes_members &= !setting.flips;
        if setting.slow {
            (world.lost, world.doubled, world.late) = (0, 0, 0);
            (world.crashes_while_writing, world.changes_members) = (0, false);
        }
        world
    }

    fn prepare(&mut self) -> Result<(), String> {
        for index in 0..self.nodes.len() {
            self.start(index)?;
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
        Ok(())
    }

    /// Runs to the end. An error is a property that does not hold.
    pub fn run(mut self) -> Result<Stats, String> {
        self.prepare()?;
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
            Event::Restart(index) => self.start(index)?,
            Event::Resume(index) => self.resume(index)?,
            Event::Heal => self.cut.clear(),
            Event::RepairDisk(index) => {
                if let Some(storage) = &mut self.nodes[index].storage {
                    storage.files().sync_fails = false;
                }
            }
            Event::ChangeMembers => self.change_members()?,
            Event::Compare => {
                self.schedule(500 * MS, Event::Compare);
                self.compare()?;
            }
        }
        Ok(())
    }

    fn start(&mut self, index: usize) -> Result<(), String> {
        let (seed, message_bytes) = (self.chance.next_u64(), 64 + self.chance.below(512) as usize);
        let (bugs, time) = (self.setting.bugs, self.time(index));
        let node = &mut self.nodes[index];
        let Some(mut disk) = node.disk.take() else {
            return Ok(());
        };
        disk.sync_fails = false;
        let (storage, recovered) = match Storage::on(disk, &node.members, bugs) {
            Ok(opened) => opened,
            // It stays down, as it should.
            Err(StorageError::Damaged { .. }) if node.flipped => return Ok(()),
            Err(error) => return Err(format!("{} does not start: {error}", node.name)),
        };
        let config = Config {
            name: node.name.clone(),
            heartbeat_ms: 50,
            election_ms: 300,
            message_bytes,
            reads: self.reads,
            bugs,
            seed,
        };
        let replica = Replica::new(config, recovered, self.snapshot_entries, time);
        node.replica = Some(replica.map_err(|error| format!("{}: {error}", node.name))?);
        node.storage = Some(storage);
        Ok(())
    }

    fn time(&self, index: usize) -> Time {
        /// Some day in 2020.
        const BEGIN_MS: u64 = 1_600_000_000_000;
        let node = &self.nodes[index];
        let ms = self.now / MS;
        let wall_ms = BEGIN_MS + node.frozen_ms.unwrap_or(ms);
        Time {
            ms,
            wall_ms: wall_ms.saturating_add_signed(node.ahead_ms),
        }
    }

    /// The node ends by itself, and is started again: nothing that it can read is lost by that.
    fn end(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(storage) = node.storage.take() else {
            return;
        };
        node.replica = None;
        node.inbox.clear();
        node.disk = Some(storage.into_files());
        let delay = 10 * MS + self.chance.below(300 * MS);
        self.schedule(delay, Event::Restart(index));
    }

    /// The node dies, and the power with it.
    fn crash(&mut self, index: usize, within: u64) {
        let node = &mut self.nodes[index];
        let Some(storage) = node.storage.take() else {
            return;
        };
        node.replica = None;
        let mut disk = storage.into_files();
        disk.lose_power(&mut self.chance);
        node.inbox.clear();
        node.paused = false;
        let flipped = self.nodes.iter().filter(|node| node.flipped).count();
        let node = &mut self.nodes[index];
        if self.setting.flips && (node.flipped || flipped < 2) && self.chance.below(2) == 0 {
            node.flipped |= disk.flip_bit(&mut self.chance);
        }
        node.disk = Some(disk);
        self.stats.crashes += 1;
        let delay = 10 * MS + self.chance.below(within);
        self.schedule(delay, Event::Restart(index));
    }

    /// Gives a node an input and does what it says, unless it dies over it.
    fn step(&mut self, index: usize, input: impl FnOnce(&mut Replica)) -> Result<(), String> {
        let time = self.time(index);
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.as_mut().filter(|_| !node.paused) else {
            return Ok(());
        };
        replica.tick(time);
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
            if !self.write(index, output.actions.writes)? {
                // Unless it has ended already.
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

    /// Whether the node survives it. It may die before, in the middle, or after; and it does when
    /// the disk fails.
    fn write(&mut self, index: usize, writes: Vec<Write>) -> Result<bool, String> {
        let (empty, dies) = (writes.is_empty(), self.dies_now());
        let when = self.chance.below(3);
        let Some(storage) = &mut self.nodes[index].storage else {
            return Ok(false);
        };
        if dies && !empty && when == 0 {
            return Ok(false);
        }
        if dies && !empty && when == 1 {
            // Written, in part synced, and then the power is gone.
            storage.files().sync_fails = true;
            self.stats.torn += 1;
            drop(storage.write(writes));
            return Ok(false);
        }
        match storage.write(writes) {
            Ok(()) => Ok(!dies),
            Err(StorageError::Io { .. }) => {
                self.end(index);
                Ok(false)
            }
            Err(error) => Err(error.to_string()),
        }
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
        if self.setting.slow {
            return 20 * MS + self.chance.below(3 * MS);
        }
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
}
