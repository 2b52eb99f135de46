//! CPU time: a cgroup's quota, or a governor that stops a node's processes when they have had their
//! part and lets them go on when they are due some more.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use faults::LimitShown;
use histories::Value;
use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;

use super::cgroup::{Controller, Group};
use super::{Gate, Limited, elapsed_ms, number};
use crate::node::processes::Scope;
use crate::watched::Watched;

/// Between two looks of a governor at what has been used.
const STEP: Duration = Duration::from_millis(2);

/// What was not used for so long is not saved up.
const SAVING: Duration = Duration::from_millis(20);

/// Between two looks for new processes.
const SEARCH: Duration = Duration::from_millis(50);

/// A node that has just been started is looked for at every step, for so long.
const SEARCH_AT_START: Duration = Duration::from_millis(500);

/// A part of a processor for a node, from one process to the next.
#[derive(Debug)]
pub(crate) struct CpuLimit {
    percent: u64,
    group: Option<Group>,
    since: Instant,
    counts: Arc<Counts>,
    /// How often the group had been held up before.
    throttled_before: u64,
}

/// What governors count.
#[derive(Debug, Default)]
struct Counts {
    used_ns: AtomicU64,
    stops: AtomicU64,
}

impl CpuLimit {
    /// Limits the processes there are by a group, this one or a new one, where that can be.
    pub fn new(node: &Limited<'_>, percent: u64, group: Option<Group>) -> io::Result<Self> {
        let group = group.or_else(|| Group::make(Controller::Cpu, node.token, node.name).ok());
        let group = group.and_then(|group| {
            let limited = group
                .limit_cpu(percent)
                .and_then(|()| group.add_all(|| node.processes()));
            match limited {
                Ok(()) => Some(group),
                Err(_) => {
                    // The other way is left; what cannot be removed now is swept at the end.
                    let _ = group.remove();
                    None
                }
            }
        });
        let throttled_before = group.as_ref().map_or(Ok(0), Group::throttled)?;
        Ok(CpuLimit {
            percent,
            group,
            since: Instant::now(),
            counts: Arc::default(),
            throttled_before,
        })
    }

    pub fn percent(&self) -> u64 {
        self.percent
    }

    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    pub fn into_group(self) -> Option<Group> {
        self.group
    }

    /// Makes what this command starts a member of the group.
    pub fn attach(&self, command: &mut Command) -> io::Result<()> {
        self.group
            .as_ref()
            .map_or(Ok(()), |group| group.attach(command))
    }

    /// What there is to say at the beginning.
    pub fn announcement(&self) -> Value {
        Value::Map(vec![
            ("by".into(), self.by().into()),
            ("percent".into(), number(self.percent)),
        ])
    }

    /// What has been used since the beginning, and how often the node was held up.
    pub fn shown(&self) -> LimitShown {
        let throttled = match &self.group {
            Some(group) => group
                .throttled()
                .map_or(0, |now| now.saturating_sub(self.throttled_before)),
            None => self.counts.stops.load(Ordering::Relaxed),
        };
        let used_ms = self.counts.used_ns.load(Ordering::Relaxed) / 1_000_000;
        LimitShown {
            evidence: Value::Map(vec![
                ("by".into(), self.by().into()),
                ("percent".into(), number(self.percent)),
                ("cpu_ms".into(), number(used_ms)),
                ("wall_ms".into(), number(elapsed_ms(self.since))),
                ("times_held_up".into(), number(throttled)),
            ]),
            was_reached: throttled > 0,
            is_reached: false,
        }
    }

    fn by(&self) -> &'static str {
        self.group.as_ref().map_or("signals", Group::by)
    }

    /// Governs one life of the node: counts what it uses and, where there is no group, keeps it to
    /// its part.
    pub fn govern(&self, init: Watched, scope: Scope, gate: Arc<Gate>) -> io::Result<Governor> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut governing = Governing {
            percent: self.percent,
            members: self.group.as_ref().map(Group::members).transpose()?,
            counts: Arc::clone(&self.counts),
            scope,
            gate,
            known: BTreeMap::new(),
            balance_ns: 0,
        };
        // What they used before is not counted.
        governing.find(true);
        let over = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("governor".into())
            .spawn(move || governing.run(&over, &init))?;
        Ok(Governor {
            is_over,
            thread: Some(thread),
        })
    }
}

/// A thread that governs one life of a node. Dropping it lets the processes go on, but for a pause.
#[derive(Debug)]
pub(crate) struct Governor {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Governor {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so, and the node's end undoes what it did.
            let _ = thread.join();
        }
    }
}

struct Governing {
    percent: u64,
    /// Where the group, if there is one, is told of its processes.
    members: Option<File>,
    counts: Arc<Counts>,
    scope: Scope,
    gate: Arc<Gate>,
    /// The processes, with the CPU time each had used when last looked at.
    known: BTreeMap<Pid, Duration>,
    /// What may be used now, or if negative, has been used too much: nanoseconds of CPU time.
    balance_ns: i64,
}

impl Governing {
    fn run(mut self, is_over: &AtomicBool, init: &Watched) {
        let begin = Instant::now();
        let (mut looked, mut searched) = (begin, begin);
        while !is_over.load(Ordering::Relaxed) && init.status().is_none() {
            thread::sleep(STEP);
            let is_starting = self.known.is_empty() && begin.elapsed() < SEARCH_AT_START;
            if is_starting || searched.elapsed() >= SEARCH {
                searched = Instant::now();
                self.find(false);
            }
            let used = self.use_since_last();
            let passed = looked.elapsed();
            looked = Instant::now();
            self.settle(passed, used);
        }
        // Not a life that is over: pids are used again.
        if init.status().is_none() {
            self.signal(false);
        }
    }

    /// Finds new processes. What those have used that were `there_before` the limit is their own.
    fn find(&mut self, there_before: bool) {
        // What cannot be seen now is looked for again soon.
        for process in self.scope.processes().unwrap_or_default() {
            let Entry::Vacant(new) = self.known.entry(process.pid) else {
                continue;
            };
            let used = || cpu_time(process.pid).filter(|_| there_before);
            new.insert(used().unwrap_or_default());
            if let Some(mut members) = self.members.as_ref() {
                // Whoever started it was in the group, unless the node was just being started when
                // the limit came. One that has ended needs none.
                let _ = members.write_all(process.pid.to_string().as_bytes());
            }
        }
    }

    fn use_since_last(&mut self) -> Duration {
        let mut used = Duration::ZERO;
        self.known.retain(|pid, before| {
            // Without a clock it has ended.
            let Some(now) = cpu_time(*pid) else {
                return false;
            };
            used += now.saturating_sub(*before);
            *before = now;
            true
        });
        let used_ns = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        self.counts.used_ns.fetch_add(used_ns, Ordering::Relaxed);
        used
    }

    fn settle(&mut self, passed: Duration, used: Duration) {
        let part = |time: Duration| {
            let part = time.as_nanos() * u128::from(self.percent) / 100;
            i64::try_from(part).unwrap_or(i64::MAX)
        };
        let used_ns = i64::try_from(used.as_nanos()).unwrap_or(i64::MAX);
        self.balance_ns = (self.balance_ns.saturating_add(part(passed)))
            .min(part(SAVING))
            .saturating_sub(used_ns);
        if self.members.is_none() && self.signal(self.balance_ns < 0) && self.balance_ns < 0 {
            self.counts.stops.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Stops the processes or lets them go on; tells whether that was a change.
    fn signal(&self, hold: bool) -> bool {
        let signal = if hold {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        self.gate.govern(hold, || {
            for pid in self.known.keys() {
                // One that has ended needs none.
                let _ = kill(*pid, signal);
            }
        })
    }
}

/// The CPU time that all threads of a process have used.
fn cpu_time(pid: Pid) -> Option<Duration> {
    let now = ClockId::pid_cpu_clock_id(pid).ok()?.now().ok()?;
    Some(Duration::from(now))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::watched::Watched;

    /// So long may a limit take to show.
    const LIMIT: Duration = Duration::from_secs(30);

    /// By a group where one can be made, else by signals; and by signals.
    #[test]
    fn what_a_node_starts_after_its_limit_came_is_held_up_too() {
        let token = format!("{}-test", std::process::id());
        for token in [Some(token.as_str()), None] {
            let mut command = Command::new("sh");
            command
                .args(["-c", "read go; while :; do :; done & wait"])
                .stdin(Stdio::piped());
            let start = move || {
                let mut child = command.spawn()?;
                let stdin = child.stdin.take();
                Ok((child, stdin))
            };
            let (init, stdin) = Watched::spawn("node".into(), start, |_| {}).unwrap();
            let scope = Scope::Descendants { init: init.pid() };
            let node = Limited {
                name: "n1",
                token,
                scope: Some(&scope),
                ends: 0,
            };
            let limit = CpuLimit::new(&node, 5, None).unwrap();
            let governor = limit
                .govern(init.clone(), scope.clone(), Arc::default())
                .unwrap();
            stdin.unwrap().write_all(b"go\n").unwrap();
            let begin = Instant::now();
            while !limit.shown().was_reached && begin.elapsed() < LIMIT {
                thread::sleep(STEP);
            }
            let shown = limit.shown();
            drop(governor);
            for process in scope.processes().unwrap() {
                kill(process.pid, Signal::SIGKILL).unwrap();
            }
            init.signal(Signal::SIGKILL).unwrap();
            if let Some(group) = limit.into_group() {
                group.remove().unwrap();
            }
            assert!(shown.was_reached, "{}", shown.evidence);
        }
    }
}
