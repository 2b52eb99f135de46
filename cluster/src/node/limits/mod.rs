//! What the processes of a node may use: a part of a processor, memory, file descriptors.
//!
//! CPU and memory are limited by a cgroup where this machine lets us make one, v2 or v1. Elsewhere
//! a thread of ours lets the node run for its part of the time (SIGSTOP and SIGCONT), and memory is
//! limited by RLIMIT_DATA, as descriptors always are by RLIMIT_NOFILE: soft limits, which everybody
//! may lower for processes of their own and raise again.

use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use faults::{LimitShown, Resource};
use histories::Value;

use super::processes::{Process, Scope};
use cgroup::{Controller, Group};
use cpu::CpuLimit;
use soft::{Soft, SoftLimit};

pub(crate) mod cgroup;
mod cpu;
mod gate;
pub(crate) mod janitor;
mod soft;

pub(super) use cpu::Governor;
pub(super) use gate::Gate;

/// The limits that stand on a node, from one process to the next.
#[derive(Debug, Default)]
pub(super) struct NodeLimits {
    /// How cgroups are named; none are made without.
    token: Option<Arc<str>>,
    cpu: Option<CpuLimit>,
    memory: Option<MemoryLimit>,
    files: Option<Soft>,
}

/// How the memory of a node's processes is limited.
#[derive(Debug)]
struct MemoryLimit {
    headroom_kib: u64,
    by: MemoryBy,
    /// How often the node had ended by itself when it was limited.
    ends: u64,
}

#[derive(Debug)]
enum MemoryBy {
    Group(Group),
    Soft(Soft),
}

/// A node as its limits see it.
pub(super) struct Limited<'a> {
    pub name: &'a str,
    /// How cgroups are named; none are made without.
    pub token: Option<&'a str>,
    /// Its processes, while it runs.
    pub scope: Option<&'a Scope>,
    /// How often it has ended by itself.
    pub ends: u64,
}

impl Limited<'_> {
    fn processes(&self) -> io::Result<Vec<Process>> {
        self.scope.map_or(Ok(Vec::new()), Scope::processes)
    }

    /// The same for another limit than the one of this group: where its processes must not leave
    /// that group, they are not put into another one.
    fn but_for(&self, group: Option<&Group>) -> Self {
        let must_stay = group.is_some_and(Group::is_exclusive);
        Limited {
            token: self.token.filter(|_| !must_stay),
            ..*self
        }
    }
}

impl NodeLimits {
    /// None yet.
    pub fn new(token: Option<Arc<str>>) -> Self {
        NodeLimits {
            token,
            ..NodeLimits::default()
        }
    }

    /// Lets what this command starts be limited from its first instruction on.
    pub fn attach(&self, command: &mut Command) -> io::Result<()> {
        match &self.cpu {
            Some(cpu) => cpu.attach(command),
            None => Ok(()),
        }
    }

    /// The limit of CPU time that stands, if any: what a new life needs a governor for.
    pub fn cpu(&self) -> Option<&CpuLimit> {
        self.cpu.as_ref()
    }

    fn limit_cpu(&mut self, node: &Limited<'_>, percent: Option<u64>) -> io::Result<LimitShown> {
        if self.cpu.as_ref().map(CpuLimit::percent) == percent {
            return Ok(self
                .cpu
                .as_ref()
                .map_or_else(LimitShown::default, CpuLimit::shown));
        }
        let mut shown = self
            .cpu
            .as_ref()
            .map_or_else(LimitShown::default, CpuLimit::shown);
        let group = self.cpu.take().and_then(CpuLimit::into_group);
        match percent {
            Some(percent) => {
                let node = &node.but_for(self.memory.as_ref().and_then(MemoryLimit::group));
                let limit = CpuLimit::new(node, percent, group)?;
                if shown.evidence == Value::Nil {
                    shown.evidence = limit.announcement();
                }
                self.cpu = Some(limit);
            }
            None => {
                if let Some(group) = group {
                    group.remove()?;
                }
            }
        }
        Ok(shown)
    }

    /// Of the processes there are and those that will descend from them.
    fn limit_memory(
        &mut self,
        node: &Limited<'_>,
        headroom_kib: Option<u64>,
    ) -> io::Result<LimitShown> {
        let before = self.memory.as_ref();
        let mut shown =
            before.map_or_else(|| Ok(LimitShown::default()), |memory| memory.shown(node))?;
        if before.map(|memory| memory.headroom_kib) == headroom_kib {
            return Ok(shown);
        }
        if let Some(memory) = self.memory.take() {
            memory.lift(node)?;
        }
        if let Some(headroom_kib) = headroom_kib {
            let node = &node.but_for(self.cpu.as_ref().and_then(CpuLimit::group));
            let memory = MemoryLimit::impose(node, headroom_kib)?;
            let now = memory.shown(node)?;
            self.memory = Some(memory);
            shown.is_reached = now.was_reached;
            shown.evidence = now.evidence;
        }
        Ok(shown)
    }

    /// Of the processes there are and those that will descend from them.
    fn limit_files(&mut self, node: &Limited<'_>, spare: Option<u64>) -> io::Result<LimitShown> {
        let before = self.files.as_ref();
        let mut shown =
            before.map_or_else(|| Ok(LimitShown::default()), |files| files.shown(node))?;
        if before.map(Soft::amount) == spare {
            return Ok(shown);
        }
        if let Some(files) = self.files.take() {
            files.lift(node)?;
        }
        if let Some(spare) = spare {
            let files = Soft::impose(SoftLimit::Files, node, spare)?;
            let now = files.shown(node)?;
            self.files = Some(files);
            shown.is_reached = now.was_reached;
            shown.evidence = now.evidence;
        }
        Ok(shown)
    }

    /// Limits a resource from now on. For CPU time the old governor must be gone; a new one is to be
    /// started.
    pub fn limit(
        &mut self,
        node: Limited<'_>,
        resource: Resource,
        amount: Option<u64>,
    ) -> io::Result<LimitShown> {
        let token = self.token.clone();
        let node = &Limited {
            token: token.as_deref(),
            ..node
        };
        match resource {
            Resource::CpuPercent => self.limit_cpu(node, amount),
            Resource::SpareMemoryKib => self.limit_memory(node, amount),
            Resource::SpareFiles => self.limit_files(node, amount),
        }
    }
}

impl MemoryLimit {
    fn impose(node: &Limited<'_>, headroom_kib: u64) -> io::Result<Self> {
        let by = match memory_group(node, headroom_kib) {
            Some(group) => MemoryBy::Group(group),
            None => MemoryBy::Soft(Soft::impose(SoftLimit::Data, node, headroom_kib)?),
        };
        Ok(MemoryLimit {
            headroom_kib,
            by,
            ends: node.ends,
        })
    }

    fn shown(&self, node: &Limited<'_>) -> io::Result<LimitShown> {
        match &self.by {
            MemoryBy::Soft(soft) => soft.shown(node),
            MemoryBy::Group(group) => {
                let (refused, killed) = group.memory_events()?;
                let ended = node.ends > self.ends;
                Ok(LimitShown {
                    evidence: Value::Map(vec![
                        ("by".into(), group.by().into()),
                        ("limit_kib".into(), number(self.headroom_kib)),
                        ("times_reached".into(), number(refused)),
                        ("oom_kills".into(), number(killed)),
                        ("ended".into(), ended.into()),
                    ]),
                    was_reached: refused > 0 || killed > 0 || ended,
                    is_reached: false,
                })
            }
        }
    }

    fn group(&self) -> Option<&Group> {
        match &self.by {
            MemoryBy::Group(group) => Some(group),
            MemoryBy::Soft(_) => None,
        }
    }

    fn lift(self, node: &Limited<'_>) -> io::Result<()> {
        match self.by {
            MemoryBy::Group(group) => group.remove(),
            MemoryBy::Soft(soft) => soft.lift(node),
        }
    }
}

/// A group with the node's processes in it. What they have already stays charged where it is, so
/// that the limit is of what they get from now on (with cgroups v1 and v2 alike).
fn memory_group(node: &Limited<'_>, headroom_kib: u64) -> Option<Group> {
    let group = Group::make(Controller::Memory, node.token, node.name).ok()?;
    let limited = group
        .limit_memory(headroom_kib)
        .and_then(|()| group.add_all(|| node.processes()));
    match limited {
        Ok(()) => Some(group),
        Err(_) => {
            // The other way is left; what cannot be removed now is swept at the end.
            let _ = group.remove();
            None
        }
    }
}

/// A number as evidence has it.
fn number(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
