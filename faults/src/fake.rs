//! A cluster in memory, for tests: it keeps the state a real one would have, and records calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use histories::Value;

use crate::{
    Boots, Clock, Clocks, Commands, DiskRule, Disks, Distortion, LimitShown, Limits, Link,
    Membership, Name, Network, NetworkAbility, Part, Resource, Rule, RuleCounts, Spot, Target,
    TargetError, Unavailable,
};

/// A shared log: what the cluster was told and what the ledger noted, in one order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn push(&self, line: String) {
        self.0
            .lock()
            .expect("no test panics while it holds the log")
            .push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .expect("no test panics while it holds the log")
            .clone()
    }

    /// What was written to the log as a ledger.
    pub fn ledger_text(&self) -> String {
        let lines = self.lines();
        lines
            .iter()
            .filter(|line| line.starts_with('{'))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = self
            .0
            .lock()
            .expect("no test panics while it holds the log");
        for (i, part) in text.split('\n').enumerate() {
            match lines.last_mut() {
                Some(last) if i == 0 && last.starts_with('{') && !last.ends_with('}') => {
                    last.push_str(part);
                }
                _ if !part.is_empty() => lines.push(part.to_owned()),
                _ => {}
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeState {
    Running,
    Stopped,
    Dead,
}

#[derive(Debug)]
struct State {
    nodes: BTreeMap<Name, (NodeState, i64)>,
    pid_last: i64,
    clocks: BTreeMap<(Name, Clock), Vec<(u64, Distortion)>>,
    rules: Vec<Rule>,
    counts: BTreeMap<u64, RuleCounts>,
    /// What the next power failure takes.
    unsynced_bytes: i64,
    /// The rules of disks, by node and fault, with how often each changed something.
    disk_rules: BTreeMap<(Name, u64), i64>,
    parts: BTreeMap<Name, Part>,
    /// The amount that stands, and whether it was reached since it was set.
    limits: BTreeMap<(Resource, Name), (u64, bool)>,
    /// Calls left before every call fails; `None` for never.
    calls_left: Option<usize>,
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct Fake {
    names: Vec<Name>,
    state: Mutex<State>,
    has_network: bool,
    pub log: Log,
}

impl Fake {
    /// Nodes n1, n2, … all running, all links whole.
    pub fn new(nodes: usize) -> Self {
        let names: Vec<Name> = (1..=nodes).map(|i| format!("n{i}").into()).collect();
        let running = |(i, name): (usize, &Name)| (name.clone(), (NodeState::Running, i as i64));
        let state = State {
            nodes: names.iter().enumerate().map(running).collect(),
            pid_last: nodes as i64,
            clocks: BTreeMap::new(),
            rules: Vec::new(),
            counts: BTreeMap::new(),
            unsynced_bytes: 0,
            disk_rules: BTreeMap::new(),
            parts: names
                .iter()
                .map(|name| (name.clone(), Part::Voter))
                .collect(),
            limits: BTreeMap::new(),
            calls_left: None,
        };
        Fake {
            names,
            state: Mutex::new(state),
            has_network: true,
            log: Log::default(),
        }
    }

    pub fn without_network(nodes: usize) -> Self {
        Fake {
            has_network: false,
            ..Fake::new(nodes)
        }
    }

    /// From now on so many calls succeed and all after them fail; `None` for all succeed.
    pub fn fail_after(&self, calls: Option<usize>) {
        self.lock().calls_left = calls;
    }

    /// Every node sends one packet to every other.
    pub fn traffic(&self) {
        let mut state = self.lock();
        for rule in state.rules.clone() {
            let counts = state.counts.entry(rule.fault).or_default();
            counts.packets += rule.links.len() as u64;
            counts.affected += rule.links.len() as u64;
            counts.overtaken += rule.links.len() as u64;
        }
    }

    /// Every node writes something and does not sync it; so every rule of a disk changes something.
    pub fn write(&self) {
        let mut state = self.lock();
        state.unsynced_bytes += 8;
        state.disk_rules.values_mut().for_each(|hits| *hits += 1);
    }

    pub fn state_of(&self, node: &str) -> NodeState {
        self.lock().nodes[node].0
    }

    pub fn part_of(&self, node: &str) -> Part {
        self.lock().parts[node]
    }

    pub fn cuts(&self) -> Vec<Link> {
        let state = self.lock();
        let links: BTreeSet<&Link> = state.rules.iter().flat_map(|rule| &rule.links).collect();
        links.into_iter().cloned().collect()
    }

    /// This node has used what it may; of memory and descriptors so that it ends.
    pub fn use_up(&self, node: &str, resource: Resource) {
        let mut state = self.lock();
        if let Some((_, was_reached)) = state.limits.get_mut(&(resource, node.into())) {
            *was_reached = true;
            if resource != Resource::CpuPercent {
                state.nodes.get_mut(node).expect("a known node").0 = NodeState::Dead;
            }
        }
    }

    pub fn limit_of(&self, node: &str, resource: Resource) -> Option<u64> {
        let state = self.lock();
        let limit = state.limits.get(&(resource, node.into()));
        limit.map(|(amount, _)| *amount)
    }

    /// Every node running without limits, none stopped, no link cut.
    pub fn is_whole(&self) -> bool {
        let state = self.lock();
        state.rules.is_empty()
            && state.clocks.values().all(Vec::is_empty)
            && state.disk_rules.is_empty()
            && state.limits.is_empty()
            && state
                .nodes
                .values()
                .all(|(node, _)| *node == NodeState::Running)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no test panics while it holds the state")
    }

    fn call(&self, what: String) -> Result<MutexGuard<'_, State>, TargetError> {
        let mut state = self.lock();
        if state.calls_left == Some(0) {
            return Err(TargetError(format!("cannot {what}")));
        }
        state.calls_left = state.calls_left.map(|left| left - 1);
        self.log.push(what);
        Ok(state)
    }
}

impl Commands for Fake {
    fn names(&self) -> Vec<String> {
        vec!["compact".to_owned(), "defrag".to_owned()]
    }

    fn run(&self, node: &str, command: &str) -> Result<Value, TargetError> {
        self.call(format!("{command} {node}")).map(|_| Value::Nil)
    }
}

impl Membership for Fake {
    fn change(
        &self,
        node: &str,
        part: Part,
        _leader: Option<&str>,
        _wait_ms: u64,
    ) -> Result<Value, TargetError> {
        let mut state = self.call(format!("make {node} {part:?}"))?;
        state.parts.insert(node.into(), part);
        let names = |wanted: &[Part]| {
            let parts = state.parts.iter().filter(|(_, part)| wanted.contains(part));
            Value::List(parts.map(|(name, _)| Value::Text(name.clone())).collect())
        };
        Ok(Value::Map(vec![
            ("members".into(), names(&[Part::Voter, Part::Learner])),
            ("learners".into(), names(&[Part::Learner])),
        ]))
    }
}

impl Target for Fake {
    fn nodes(&self) -> Vec<Name> {
        self.names.clone()
    }

    fn kill(&self, node: &str) -> Result<Value, TargetError> {
        let mut state = self.call(format!("kill {node}"))?;
        let (process, pid) = state.nodes.get_mut(node).expect("faults name known nodes");
        let was = std::mem::replace(process, NodeState::Dead);
        let gone = if was == NodeState::Dead {
            vec![]
        } else {
            vec![Value::Int(*pid)]
        };
        Ok(Value::Map(vec![("gone".into(), Value::List(gone))]))
    }

    fn terminate(&self, node: &str, grace_ms: u64) -> Result<Value, TargetError> {
        let is_running = self.state_of(node) == NodeState::Running;
        self.log.push(format!("terminate {node} within {grace_ms}"));
        let Value::Map(mut gone) = self.kill(node)? else {
            unreachable!("a kill gives a map")
        };
        let by = if is_running { "SIGTERM" } else { "SIGKILL" };
        gone.push(("by".into(), by.into()));
        Ok(Value::Map(gone))
    }

    fn start(&self, node: &str) -> Result<Value, TargetError> {
        let mut state = self.call(format!("start {node}"))?;
        state.pid_last += 1;
        let new_pid = state.pid_last;
        let (process, pid) = state.nodes.get_mut(node).expect("faults name known nodes");
        if *process == NodeState::Dead {
            (*process, *pid) = (NodeState::Running, new_pid);
        }
        Ok(Value::Int(*pid))
    }

    fn pause(&self, node: &str) -> Result<Value, TargetError> {
        let mut state = self.call(format!("pause {node}"))?;
        let (process, pid) = state.nodes.get_mut(node).expect("faults name known nodes");
        if *process == NodeState::Dead {
            return Err(TargetError(format!("cannot pause {node}: it does not run")));
        }
        *process = NodeState::Stopped;
        let found = vec![
            ("pid".into(), Value::Int(*pid)),
            ("state".into(), "T".into()),
        ];
        Ok(Value::List(vec![Value::Map(found)]))
    }

    fn resume(&self, node: &str) -> Result<Value, TargetError> {
        let mut state = self.call(format!("resume {node}"))?;
        let (process, _) = state.nodes.get_mut(node).expect("faults name known nodes");
        if *process == NodeState::Stopped {
            *process = NodeState::Running;
        }
        Ok(Value::Nil)
    }

    fn disks(&self) -> Result<&dyn Disks, Unavailable> {
        Ok(self)
    }

    fn commands(&self) -> Result<&dyn Commands, Unavailable> {
        Ok(self)
    }

    fn membership(&self) -> Result<&dyn Membership, Unavailable> {
        Ok(self)
    }

    fn network(&self) -> Result<&dyn Network, Unavailable> {
        if self.has_network {
            return Ok(self);
        }
        let (cause, remedy) = ("no network namespaces".to_owned(), "allow them".to_owned());
        Err(Unavailable { cause, remedy })
    }

    fn clocks(&self) -> Result<&dyn Clocks, Unavailable> {
        Ok(self)
    }

    fn boots(&self) -> Result<&dyn Boots, Unavailable> {
        Ok(self)
    }

    fn limits(&self) -> Result<&dyn Limits, Unavailable> {
        Ok(self)
    }
}

impl Boots for Fake {
    /// It takes 2 ms.
    fn start_booted(&self, node: &str, uptime_ms: u64) -> Result<Value, TargetError> {
        let was_dead = self.state_of(node) == NodeState::Dead;
        let pid = self.start(node)?;
        self.log.push(format!("{node} is up for {uptime_ms} ms"));
        let mut evidence = vec![("init".into(), pid)];
        if was_dead {
            let shown_ms = uptime_ms.cast_signed() + 1;
            evidence.push(("uptime_ms".into(), shown_ms.into()));
            evidence.push(("passed_ms".into(), 2.into()));
        }
        Ok(Value::Map(evidence))
    }
}

impl Clocks for Fake {
    fn set_distortions(
        &self,
        node: &str,
        clock: Clock,
        distortions: &[(u64, Distortion)],
    ) -> Result<Value, TargetError> {
        let numbers: Vec<u64> = distortions.iter().map(|(id, _)| *id).collect();
        let mut state = self.call(format!("clock {clock} {node} {numbers:?}"))?;
        let (process, pid) = state.nodes[node];
        let offset_us = |distortions: &[(u64, Distortion)]| -> i64 {
            let of = |(_, distortion): &(u64, Distortion)| match distortion {
                Distortion::Offset { ms } => ms * 1000,
                Distortion::Strobe { offset_ms, .. } => offset_ms * 1000,
                // As if each had gone on for a second.
                Distortion::Drift { ppm } => *ppm,
                Distortion::Freeze => -1_000_000,
            };
            distortions.iter().map(of).sum()
        };
        let key = (Name::from(node), clock);
        let before = state.clocks.insert(key, distortions.to_vec());
        let before_us = offset_us(&before.unwrap_or_default());
        let read = Value::Map(vec![
            ("pid".into(), pid.into()),
            ("before_us".into(), before_us.into()),
            ("after_us".into(), offset_us(distortions).into()),
            ("within_us".into(), 1.into()),
        ]);
        let is_there = process != NodeState::Dead;
        let processes = if is_there { vec![read] } else { vec![] };
        Ok(Value::Map(vec![(
            "processes".into(),
            Value::List(processes),
        )]))
    }
}

impl Disks for Fake {
    fn arm_power_loss(&self, node: &str) -> Result<(), TargetError> {
        self.call(format!("arm {node}")).map(drop)
    }

    fn lose_power(&self, node: &str, wait_ms: u64) -> Result<Value, TargetError> {
        let mut state = self.call(format!("cut the power of {node} within {wait_ms} ms"))?;
        let (process, _) = state.nodes.get_mut(node).expect("faults name known nodes");
        *process = NodeState::Dead;
        let lost = std::mem::take(&mut state.unsynced_bytes);
        Ok(Value::Map(vec![("lost_bytes".into(), lost.into())]))
    }

    fn impose(&self, node: &str, fault: u64, rule: &DiskRule) -> Result<Value, TargetError> {
        let mut state = self.call(format!("impose {fault} on {node}: {rule:?}"))?;
        state.disk_rules.insert((node.into(), fault), 0);
        Ok(Value::Nil)
    }

    fn lift(&self, node: &str, fault: u64) -> Result<Value, TargetError> {
        let mut state = self.call(format!("lift {fault} from {node}"))?;
        let hits = state.disk_rules.remove(&(node.into(), fault)).unwrap_or(0);
        Ok(Value::Map(vec![("hits".into(), hits.into())]))
    }

    fn damage(&self, node: &str, path: &str, spots: &[Spot]) -> Result<Value, TargetError> {
        let state = self.call(format!("damage {path} of {node}: {spots:?}"))?;
        let done = spots.iter().filter(|_| state.unsynced_bytes > 0);
        Ok(Value::List(done.map(|_| path.into()).collect()))
    }
}

impl Limits for Fake {
    /// Of descriptors, none to spare is reached at once.
    fn limit(
        &self,
        node: &str,
        resource: Resource,
        amount: Option<u64>,
    ) -> Result<LimitShown, TargetError> {
        let mut state = self.call(format!("limit {node} {resource:?} {amount:?}"))?;
        let place = (resource, node.into());
        let before = state.limits.remove(&place);
        let is_reached = resource == Resource::SpareFiles && amount == Some(0);
        if let Some(amount) = amount {
            state.limits.insert(place, (amount, is_reached));
        }
        Ok(LimitShown {
            evidence: amount.map_or(Value::Nil, |amount| Value::Int(amount.cast_signed())),
            was_reached: before.is_some_and(|(_, was_reached)| was_reached),
            is_reached,
        })
    }
}

impl Network for Fake {
    fn can(&self, _: NetworkAbility) -> Result<(), Unavailable> {
        Ok(())
    }

    fn set_rules(&self, rules: &[Rule]) -> Result<(), TargetError> {
        let links: BTreeSet<&Link> = rules.iter().flat_map(|rule| &rule.links).collect();
        let mut state = self.call(format!("cut {}", links.len()))?;
        state.rules = rules.to_vec();
        Ok(())
    }

    fn counts(&self, fault: u64) -> RuleCounts {
        self.lock().counts.get(&fault).copied().unwrap_or_default()
    }

    fn reset_connections(&self, node: &str, _: &[Name], _: &[u16]) -> Result<Value, TargetError> {
        drop(self.call(format!("reset {node}"))?);
        Ok(Value::Map(vec![("reset".into(), 1.into())]))
    }
}
