//! All processes of a node: found, stopped, let go on, ended, as /proc shows them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use histories::Value;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::mode::Mode;

/// How long all processes of a node may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// After how long a process that hangs in the kernel counts as stopped.
const HANG_LIMIT: Duration = Duration::from_secs(1);

/// Between two looks at processes that are not stopped yet.
const STOP_POLL: Duration = Duration::from_micros(500);

/// What makes a process one of the node's.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// It is in the PID namespace of this init.
    PidNamespace { init: Pid, namespace: PathBuf },
    /// It descends from this init, which adopts orphans (PR_SET_CHILD_SUBREAPER).
    Descendants { init: Pid },
}

/// One process and its state as the kernel reports it: `R`, `S`, `T`…
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub pid: Pid,
    pub state: char,
}

impl Scope {
    /// Everything below a node's init.
    pub fn below(init: Pid, mode: Mode) -> io::Result<Self> {
        Ok(match mode {
            Mode::Plain => Scope::Descendants { init },
            Mode::Sandbox => Scope::PidNamespace {
                init,
                namespace: fs::read_link(format!("/proc/{init}/ns/pid"))?,
            },
        })
    }

    /// The node's processes, without its init.
    pub fn processes(&self) -> io::Result<Vec<Process>> {
        let all = all_processes()?;
        let mut members: Vec<Process> = match self {
            Scope::PidNamespace { init, namespace } => all
                .iter()
                .filter(|(process, _)| process.pid != *init && is_in(process.pid, namespace))
                .map(|(process, _)| *process)
                .collect(),
            Scope::Descendants { init } => descendants(*init, &all),
        };
        members.sort_unstable();
        Ok(members)
    }

    /// Stops every process by SIGSTOP, those included that are started meanwhile, and returns them
    /// all as they then are. One that has ended and is merely not reaped yet is left out.
    pub fn stop_all(&self) -> io::Result<Vec<Process>> {
        let begin = Instant::now();
        let mut signalled: Vec<Pid> = Vec::new();
        loop {
            let mut processes = self.processes()?;
            processes.retain(|process| !process.has_ended());
            let mut is_new = false;
            for process in &processes {
                if !signalled.contains(&process.pid) {
                    is_new = true;
                    signalled.push(process.pid);
                    send(process.pid, Signal::SIGSTOP)?;
                }
            }
            let elapsed = begin.elapsed();
            let going = processes
                .iter()
                .find(|process| !process.is_stopped(elapsed));
            if !is_new && going.is_none() {
                return Ok(processes);
            }
            if elapsed > STOP_LIMIT {
                let which = going.map_or("new ones".into(), |p| format!("{} {}", p.pid, p.state));
                let why = format!("processes go on for {STOP_LIMIT:?} after SIGSTOP: {which}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            if !is_new {
                thread::sleep(STOP_POLL);
            }
        }
    }

    /// Lets every process go on by SIGCONT and returns them.
    pub fn resume_all(&self) -> io::Result<Vec<Process>> {
        for process in self.processes()? {
            send(process.pid, Signal::SIGCONT)?;
        }
        self.processes()
    }

    /// Sends SIGKILL to every process but the init, those included that are started meanwhile.
    /// When it returns, none will ever run again; none need be gone.
    pub fn doom_all(&self) -> io::Result<()> {
        let begin = Instant::now();
        let mut doomed: Vec<Pid> = Vec::new();
        loop {
            let known = doomed.len();
            for process in self.processes()? {
                if !process.has_ended() && !doomed.contains(&process.pid) {
                    send(process.pid, Signal::SIGKILL)?;
                    doomed.push(process.pid);
                }
            }
            if doomed.len() == known {
                return Ok(());
            }
            if begin.elapsed() > STOP_LIMIT {
                let why = format!("it starts new processes for {STOP_LIMIT:?} after SIGKILL");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
    }

    /// Ends every process but the init by SIGKILL. They are stopped first, so that none can start
    /// another in the meantime.
    pub fn kill_all(&self) -> io::Result<()> {
        // One that will not stop is ended all the same.
        let _ = self.stop_all();
        for process in self.processes()? {
            send(process.pid, Signal::SIGKILL)?;
        }
        Ok(())
    }
}

impl Process {
    /// Whether it does nothing any more, this long after SIGSTOP: it is stopped, or traced. One that
    /// hangs in the kernel (`D`) is mostly waiting for a disk and stops right after; but it may
    /// also wait until another process, now stopped, goes on (vfork(2)).
    fn is_stopped(self, after: Duration) -> bool {
        matches!(self.state, 'T' | 't') || self.state == 'D' && after > HANG_LIMIT
    }

    /// Whether it has ended and merely waits to be reaped.
    fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Whether this process exists and is not merely waiting to be reaped.
pub(crate) fn is_alive(pid: Pid) -> bool {
    process(pid).is_some_and(|(process, _)| !process.has_ended())
}

/// Sends a signal to a process that may be gone by now, which is no error.
fn send(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Every process of this PID namespace with its parent's pid.
fn all_processes() -> io::Result<Vec<(Process, Pid)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            // One that has ended since the folder was listed is left out.
            all.extend(process(Pid::from_raw(pid)));
        }
    }
    Ok(all)
}

fn process(pid: Pid) -> Option<(Process, Pid)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, parent) = parse_stat(&stat)?;
    Some((Process { pid, state }, parent))
}

/// State and parent from /proc/PID/stat (proc_pid_stat(5)). The program's name before them is in
/// parentheses and may itself contain any character.
fn parse_stat(stat: &str) -> Option<(char, Pid)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, Pid::from_raw(parent)))
}

fn is_in(pid: Pid, namespace: &PathBuf) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|link| link == *namespace)
}

fn descendants(init: Pid, all: &[(Process, Pid)]) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![init];
    while let Some(parent) = parents.pop() {
        for (process, _) in all.iter().filter(|(_, of)| *of == parent) {
            // The listing is not of one moment, so it could even contain a circle.
            if process.pid != init && found.iter().all(|known| known.pid != process.pid) {
                found.push(*process);
                parents.push(process.pid);
            }
        }
    }
    found
}

/// Evidence about processes, for a history.
pub(crate) fn evidence(processes: &[Process]) -> Value {
    let of = |process: &Process| {
        Value::Map(vec![
            ("pid".into(), i64::from(process.pid.as_raw()).into()),
            ("state".into(), Value::from(&*process.state.to_string())),
        ])
    };
    Value::List(processes.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_parent_are_found_behind_any_program_name() {
        let rows = [
            ("17 (cat) S 4 17 17 0", Some(('S', 4))),
            ("17 (a) T 9 (b) R 12 1", Some(('R', 12))),
            ("17 (x y)) T 1 1", Some(('T', 1))),
            ("17 (cat) S", None),
            ("17 (cat", None),
            ("", None),
        ];
        for (stat, expected) in rows {
            let expected = expected.map(|(state, parent)| (state, Pid::from_raw(parent)));
            assert_eq!(parse_stat(stat), expected, "{stat}");
        }
    }

    #[test]
    fn descendants_are_those_of_the_init_only() {
        let rows = [(2, 1), (3, 1), (4, 3), (5, 4), (6, 2), (3, 5)];
        let all: Vec<_> = rows
            .map(|(pid, parent)| {
                let pid = Pid::from_raw(pid);
                (Process { pid, state: 'S' }, Pid::from_raw(parent))
            })
            .into();
        let pids = |init| {
            let mut pids: Vec<i32> = descendants(Pid::from_raw(init), &all)
                .iter()
                .map(|process| process.pid.as_raw())
                .collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(1), [2, 3, 4, 5, 6]);
        assert_eq!(pids(3), [4, 5]);
        assert_eq!(pids(6), [0_i32; 0]);
    }
}
