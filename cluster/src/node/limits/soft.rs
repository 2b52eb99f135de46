//! Soft limits (prlimit(2)) of a node's processes: of memory and of file descriptors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use faults::LimitShown;
use histories::Value;
use nix::errno::Errno;
use nix::unistd::Pid;

use super::{Limited, number};

/// Processes that are started while others are limited are limited in the next round.
const ROUNDS_MAX: u32 = 10;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SoftLimit {
    /// RLIMIT_DATA: private writable memory (`VmData`), in KiB.
    Data,
    /// RLIMIT_NOFILE: one more than the highest descriptor that can be opened.
    Files,
}

/// A soft limit on each process of a node.
#[derive(Debug)]
pub(super) struct Soft {
    limit: SoftLimit,
    amount: u64,
    /// The limit each process had before.
    before: BTreeMap<Pid, u64>,
    /// How often the node had ended by itself when it was limited.
    ends: u64,
}

impl Soft {
    /// Limits every process there is to this amount besides what it has.
    pub fn impose(limit: SoftLimit, node: &Limited<'_>, amount: u64) -> io::Result<Self> {
        let mut soft = Soft {
            limit,
            amount,
            before: BTreeMap::new(),
            ends: node.ends,
        };
        for _ in 0..ROUNDS_MAX {
            let mut is_new = false;
            for process in node.processes()? {
                if soft.before.contains_key(&process.pid) {
                    continue;
                }
                // One that is ending has no descriptors to list, and needs no limit.
                if let Some(old) = soft.limit.lower(process.pid, amount)? {
                    is_new = true;
                    soft.before.insert(process.pid, old);
                }
            }
            if !is_new {
                break;
            }
        }
        Ok(soft)
    }

    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// The limits read back, and whether a process is at its limit or the node has ended.
    pub fn shown(&self, node: &Limited<'_>) -> io::Result<LimitShown> {
        let mut is_at_limit = false;
        let mut processes = Vec::new();
        for process in node.processes()? {
            if !self.before.contains_key(&process.pid) {
                continue;
            }
            let (Some(stands), Some(has)) = (
                soft_limit(process.pid, self.limit)?,
                self.limit.use_of(process.pid),
            ) else {
                continue;
            };
            is_at_limit |= has.next > stands;
            let [limit_name, use_name] = self.limit.names();
            processes.push(Value::Map(vec![
                ("pid".into(), i64::from(process.pid.as_raw()).into()),
                (limit_name.into(), number(self.limit.in_unit(stands))),
                (use_name.into(), number(self.limit.in_unit(has.used))),
            ]));
        }
        let ended = node.ends > self.ends;
        let evidence = vec![
            ("by".into(), "rlimit".into()),
            ("processes".into(), Value::List(processes)),
            ("ended".into(), ended.into()),
        ];
        Ok(LimitShown {
            evidence: Value::Map(evidence),
            was_reached: is_at_limit || ended,
            is_reached: is_at_limit,
        })
    }

    /// Gives every process its old limit back; those started meanwhile, which inherited the limit,
    /// that of the first.
    pub fn lift(self, node: &Limited<'_>) -> io::Result<()> {
        let first = self.before.values().next().copied();
        let mut seen: Vec<Pid> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let all = node.processes()?;
            let new: Vec<Pid> = all
                .iter()
                .map(|process| process.pid)
                .filter(|pid| !seen.contains(pid))
                .collect();
            if new.is_empty() || self.before.is_empty() {
                break;
            }
            // Unless one of those that were limited is left, what there is was started since.
            let is_old_life = all
                .iter()
                .any(|process| self.before.contains_key(&process.pid));
            for pid in new {
                seen.push(pid);
                let old = self.before.get(&pid).copied();
                if let Some(soft) = old.or(first.filter(|_| is_old_life)) {
                    set_soft_limit(pid, self.limit, soft)?;
                }
            }
        }
        Ok(())
    }
}

/// What a process has of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Use {
    used: u64,
    /// The least that its limit must be for it to get some more.
    next: u64,
}

impl SoftLimit {
    fn number(self) -> libc::__rlimit_resource_t {
        match self {
            SoftLimit::Data => libc::RLIMIT_DATA,
            SoftLimit::Files => libc::RLIMIT_NOFILE,
        }
    }

    /// What evidence calls the limit and what is used.
    fn names(self) -> [&'static str; 2] {
        match self {
            SoftLimit::Data => ["limit_kib", "data_kib"],
            SoftLimit::Files => ["limit", "open"],
        }
    }

    fn in_unit(self, amount: u64) -> u64 {
        match self {
            SoftLimit::Data => amount / 1024,
            SoftLimit::Files => amount,
        }
    }

    fn use_of(self, pid: Pid) -> Option<Use> {
        match self {
            SoftLimit::Data => {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
                let used = data_bytes(&status)?;
                // At least a page.
                Some(Use {
                    used,
                    next: used + 4096,
                })
            }
            SoftLimit::Files => {
                let open = descriptors(pid)?;
                Some(Use {
                    used: open.len() as u64,
                    next: nth_free(&open, 0) + 1,
                })
            }
        }
    }

    /// Lowers a process's limit so that it can get `spare` more; the limit before.
    fn lower(self, pid: Pid, spare: u64) -> io::Result<Option<u64>> {
        let Some(old) = soft_limit(pid, self)? else {
            return Ok(None);
        };
        let mut lowest = old;
        for _ in 0..ROUNDS_MAX {
            let Some(wanted) = self.wanted(pid, spare) else {
                return Ok(None);
            };
            // What was given back while the limit was set is not to be had again.
            if wanted >= lowest {
                break;
            }
            lowest = wanted;
            if !set_soft_limit(pid, self, lowest)? {
                return Ok(None);
            }
        }
        Ok(Some(old))
    }

    /// The limit by which a process can get `spare` more than it has now.
    fn wanted(self, pid: Pid, spare: u64) -> Option<u64> {
        match self {
            SoftLimit::Data => self
                .use_of(pid)
                .map(|has| has.used.saturating_add(spare.saturating_mul(1024))),
            SoftLimit::Files => descriptors(pid).map(|open| nth_free(&open, spare)),
        }
    }
}

/// The lowest descriptor that is free when this many lower ones have been taken.
fn nth_free(open: &BTreeSet<u64>, spare: u64) -> u64 {
    let mut free = (0..).filter(|descriptor| !open.contains(descriptor));
    let spare = usize::try_from(spare).unwrap_or(usize::MAX);
    free.nth(spare).unwrap_or(u64::MAX)
}

/// The open descriptors of a process; `None` when it is ending.
fn descriptors(pid: Pid) -> Option<BTreeSet<u64>> {
    let listed = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let open: BTreeSet<u64> = numbers.collect();
    (!open.is_empty()).then_some(open)
}

/// `VmData` from /proc/PID/status (proc_pid_status(5)), in bytes: what RLIMIT_DATA counts.
fn data_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmData:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The soft limit of a process; `None` when it is gone.
fn soft_limit(pid: Pid, limit: SoftLimit) -> io::Result<Option<u64>> {
    Ok(prlimit(pid, limit, None)?.map(|found| found.rlim_cur))
}

/// Sets the soft limit of a process; false when it is gone.
fn set_soft_limit(pid: Pid, limit: SoftLimit, soft: u64) -> io::Result<bool> {
    let Some(now) = prlimit(pid, limit, None)? else {
        return Ok(false);
    };
    let new = libc::rlimit {
        rlim_cur: soft.min(now.rlim_max),
        ..now
    };
    Ok(prlimit(pid, limit, Some(new))?.is_some())
}

/// prlimit(2): the limit before; `None` when the process is gone.
fn prlimit(
    pid: Pid,
    limit: SoftLimit,
    new: Option<libc::rlimit>,
) -> io::Result<Option<libc::rlimit>> {
    let mut old = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or points to a limit that outlives the call, `old` to one that is ours
    // to write.
    let done = unsafe { libc::prlimit(pid.as_raw(), limit.number(), new, &raw mut old) };
    match Errno::result(done) {
        Ok(_) => Ok(Some(old)),
        Err(Errno::ESRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_descriptors_are_counted_from_the_lowest() {
        for (open, spare, expected) in [
            (&[][..], 0, 0),
            (&[0, 1, 2], 0, 3),
            (&[0, 1, 2], 2, 5),
            (&[2, 0, 9], 0, 1),
            (&[2, 0, 9], 1, 3),
            (&[2, 0, 4], 2, 5),
        ] {
            let open = open.iter().copied().collect();
            assert_eq!(
                nth_free(&open, spare),
                expected,
                "{open:?} and {spare} more"
            );
        }
    }

    #[test]
    fn data_is_found_in_a_status() {
        let status = "Name:\tx\nVmData:\t     320 kB\nVmStk:\t 132 kB\n";
        assert_eq!(data_bytes(status), Some(320 * 1024));
        assert_eq!(data_bytes("Name:\tVmData\n"), None);
    }
}
