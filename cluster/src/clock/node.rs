//! The clocks of all processes of a node: brought to what they are to be, and kept there.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use faults::{Clock, Distortion};
use histories::Value;
use nix::unistd::Pid;

use super::error::ClockError;
use super::process::{change, is_current};
use super::reading::{Mappings, Reading};
use super::standing::Standing;
use crate::node::uptime::Uptime;

/// So many times we look for processes that were started while we changed others.
const PASSES_MAX: u32 = 20;

/// How many failures and changes of later processes are kept for the evidence.
const KEPT_MAX: usize = 100;

/// The clocks of a node's processes.
#[derive(Debug, Default)]
pub(crate) struct NodeClocks {
    standing: Standing,
    mappings: Mappings,
    /// The processes whose clocks are as they are to be, or cannot be changed, each with what tells
    /// whether it still runs the same program.
    current: BTreeMap<Pid, Program>,
    /// The processes changed since the evidence was last asked for.
    since: Vec<Reading>,
    /// Why others were not.
    missed: BTreeMap<Pid, String>,
}

/// What tells a run of a program from every other under the same pid: when the process started, and
/// where its stack begins, which is random and drawn anew by execve(2).
type Program = (String, String);

/// What became of a change.
pub(crate) struct Changed {
    /// What shows it.
    pub evidence: Value,
    /// Why it failed on some of the processes.
    pub problems: Vec<String>,
}

impl NodeClocks {
    /// Whether there is nothing to keep.
    pub fn is_true(&self) -> bool {
        self.standing.is_true()
    }

    /// What the node's processes are shown of elapsed time, where that is true.
    pub fn uptime(&self) -> Uptime {
        self.standing.uptime()
    }

    /// It changes at the node's next start.
    pub fn set_uptime(&mut self, uptime: Uptime) {
        self.standing.set_uptime(uptime);
    }

    /// The node starts anew: no process of before is left.
    pub fn forget_processes(&mut self) {
        self.mappings.clear();
        self.current.clear();
    }

    /// From now on a clock is distorted in these ways, in every process that `processes` lists.
    pub fn set(
        &mut self,
        clock: Clock,
        distortions: &[(u64, Distortion)],
        processes: impl Fn() -> io::Result<Vec<Pid>>,
    ) -> io::Result<Changed> {
        self.standing.set(clock, distortions);
        self.current.clear();
        let since = std::mem::take(&mut self.since);
        let missed = std::mem::take(&mut self.missed);
        let (readings, problems) = self.bring(clock, processes)?;
        // Without any process it comes into force all the same: it is there for the next one.
        self.standing.begin();
        let list = |readings: &[Reading]| Value::List(readings.iter().map(evidence).collect());
        let mut evidence = vec![("processes".into(), list(&readings))];
        if !since.is_empty() {
            evidence.push(("started_since".into(), list(&since)));
        }
        if !missed.is_empty() {
            let missed = missed.values().map(|why| Value::from(&**why));
            evidence.push(("missed".into(), Value::List(missed.collect())));
        }
        Ok(Changed {
            evidence: Value::Map(evidence),
            problems: problems.into_values().collect(),
        })
    }

    /// Does the same to the processes that were started since, or run another program since.
    pub fn keep(&mut self, processes: impl Fn() -> io::Result<Vec<Pid>>) -> io::Result<()> {
        let (readings, problems) = self.bring(Clock::Realtime, processes)?;
        self.since.extend(readings);
        self.since.truncate(KEPT_MAX);
        if self.missed.len() < KEPT_MAX {
            self.missed.extend(problems);
        }
        Ok(())
    }

    /// Why processes started since were not changed.
    pub fn missed(&self) -> Vec<String> {
        self.missed.values().cloned().collect()
    }

    /// Changes every process whose clocks are not as they are to be, until there is none.
    fn bring(
        &mut self,
        read: Clock,
        processes: impl Fn() -> io::Result<Vec<Pid>>,
    ) -> io::Result<(Vec<Reading>, BTreeMap<Pid, String>)> {
        let (mut readings, mut problems) = (Vec::new(), BTreeMap::new());
        for _ in 0..PASSES_MAX {
            let listed = processes()?;
            self.current.retain(|pid, _| listed.contains(pid));
            let mut pending = Vec::new();
            for pid in listed {
                let Some(program) = program_of(pid) else {
                    continue;
                };
                if self.current.get(&pid) == Some(&program) {
                    continue;
                }
                // It is done, or is found not to be. One that fails is not tried again, and held
                // again, until the next change.
                match is_current(pid, &self.standing) {
                    Ok(false) => pending.push((pid, program)),
                    Ok(true) => drop(self.current.insert(pid, program)),
                    Err(ClockError::Ended(_)) => {}
                    Err(error) => {
                        problems.insert(pid, error.to_string());
                        self.current.insert(pid, program);
                    }
                }
            }
            if pending.is_empty() {
                break;
            }
            let pids: Vec<Pid> = pending.iter().map(|(pid, _)| *pid).collect();
            for members in sharing_memory(&pids) {
                match change(&members, &mut self.standing, read, &mut self.mappings) {
                    Ok(reading) => readings.extend(reading),
                    Err(ClockError::Ended(_)) => {}
                    Err(error) => {
                        problems.insert(members[0], error.to_string());
                        let failed = pending.iter().filter(|(pid, _)| members.contains(pid));
                        self.current.extend(failed.cloned());
                    }
                }
            }
        }
        Ok((readings, problems))
    }
}

fn evidence(reading: &Reading) -> Value {
    let us = |ns: i64| Value::Int(ns / 1000);
    let within_ns = reading.before.within_ns.max(reading.after.within_ns);
    let held_us = i64::try_from(reading.held.as_micros()).unwrap_or(i64::MAX);
    Value::Map(vec![
        ("pid".into(), i64::from(reading.pid.as_raw()).into()),
        ("before_us".into(), us(reading.before.offset_ns)),
        ("after_us".into(), us(reading.after.offset_ns)),
        ("within_us".into(), Value::Int(within_ns / 1000 + 1)),
        ("held_us".into(), held_us.into()),
    ])
}

/// What a process runs; `None` when it has ended.
fn program_of(pid: Pid) -> Option<Program> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): the name in parentheses is the second field, the state the third.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).map(|text| (*text).to_owned());
    if matches!(&*field(3)?, "Z" | "X") {
        return None;
    }
    Some((field(22)?, field(28)?))
}

/// The processes in groups of those that share their memory (vfork(2), clone(2) with CLONE_VM).
/// They must be stopped together.
fn sharing_memory(pids: &[Pid]) -> Vec<Vec<Pid>> {
    let mut groups: Vec<Vec<Pid>> = Vec::new();
    for pid in pids {
        match groups.iter_mut().find(|group| share_memory(group[0], *pid)) {
            Some(group) => group.push(*pid),
            None => groups.push(vec![*pid]),
        }
    }
    groups
}

fn share_memory(one: Pid, other: Pid) -> bool {
    const KCMP_VM: libc::c_int = 1;
    let (one, other) = (one.as_raw(), other.as_raw());
    // SAFETY: kcmp(2) takes numbers only and changes nothing.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) };
    // Where it cannot tell (a kernel without it, a process that ended) they are taken apart.
    order == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_shares_its_memory_with_itself_only() {
        let (own, parent) = (nix::unistd::getpid(), nix::unistd::getppid());
        assert!(share_memory(own, own));
        assert_eq!(
            sharing_memory(&[own, parent, own]),
            [vec![own, own], vec![parent]]
        );
    }

    #[test]
    fn a_program_is_told_by_start_and_stack() {
        let own = program_of(nix::unistd::getpid()).unwrap();
        assert_eq!(program_of(nix::unistd::getpid()), Some(own.clone()));
        assert!(own.1.parse::<u64>().unwrap() > 0, "{own:?}");
        assert_eq!(program_of(Pid::from_raw(i32::MAX)), None);
    }
}
