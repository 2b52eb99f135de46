//! Control groups, v2 or v1 (cgroups(7)), made for one limit of one node and removed with it.
//!
//! In v2 a group has only the controllers that its parent gives to its children
//! (`cgroup.subtree_control`), and a parent that gives some has no processes itself, unless it is
//! the root. Where a parent could give a controller and does not, we let it, and take it back with
//! our last group in it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::super::processes::Process;
use crate::error::SystemCall;

/// The environment variable by which the controller in a sandbox is told how its groups are named,
/// so that whoever is outside can remove what a controller that was killed has left.
pub(crate) const TOKEN: &str = "WHITEWATER_CGROUPS";

/// How every group of ours begins.
const PREFIX: &str = "whitewater-";

/// How a group's name ends whose parent gives its children the controller only because of us: what
/// is to be undone is written down before it is done, for whoever removes the group.
const GIVEN: &str = "-given";

/// What a group may give, and what it gives, to its children (v2).
const CAN_GIVE: &str = "cgroup.controllers";
const GIVES: &str = "cgroup.subtree_control";

/// Processes that are started while others are moved are moved in the next round.
const ROUNDS_MAX: u32 = 10;

/// How long a group may take to be empty.
const REMOVE_LIMIT: Duration = Duration::from_secs(2);

/// Between two attempts to remove a group.
const REMOVE_POLL: Duration = Duration::from_millis(5);

/// The shortest time for which a quota can be given, in microseconds (kernel: 1 ms).
const QUOTA_US_MIN: u64 = 1_000;

/// The time after which a quota is given anew, unless it would be less than can be given.
const PERIOD_US: u64 = 20_000;

/// What limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Cpu,
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// A group of ours.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    /// Where its processes come from and go back to.
    home: PathBuf,
    version: Version,
}

/// A group in which one of ours may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parent {
    version: Version,
    folder: PathBuf,
    /// The group that we are in, of the same hierarchy.
    home: PathBuf,
}

impl Controller {
    pub const ALL: [Controller; 2] = [Controller::Cpu, Controller::Memory];

    fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Memory => "memory",
        }
    }

    /// The file by which it limits.
    fn limit_file(self, version: Version) -> &'static str {
        match (self, version) {
            (Controller::Cpu, Version::V1) => "cpu.cfs_quota_us",
            (Controller::Cpu, Version::V2) => "cpu.max",
            (Controller::Memory, Version::V1) => "memory.limit_in_bytes",
            (Controller::Memory, Version::V2) => "memory.max",
        }
    }
}

impl Group {
    /// Makes a group for a node, below ours or a group above ours, under a name that begins with the
    /// token of whoever will remove it if we cannot.
    ///
    /// # Errors
    /// No group can be made that limits: why the last attempt failed.
    pub fn make(controller: Controller, token: Option<&str>, node: &str) -> io::Result<Self> {
        let token = token.ok_or_else(|| {
            io::Error::other("there is nobody to remove the cgroups of a controller that is killed")
        })?;
        let name = format!("{PREFIX}{token}-{node}-{}", controller.name());
        let mut outcome = Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "no cgroup file system has the controller {}",
                controller.name()
            ),
        ));
        for parent in parents(controller)? {
            outcome = Self::make_in(controller, parent, &name);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn make_in(controller: Controller, parent: Parent, name: &str) -> io::Result<Self> {
        // Processes can only be moved below groups to which they can be moved (cgroups(7)).
        OpenOptions::new()
            .write(true)
            .open(parent.folder.join("cgroup.procs"))?;
        let gives = parent.gives(controller)?;
        let is_given_by_us = !gives || has_given(&parent.folder, controller, None);
        let name = match is_given_by_us {
            true => format!("{name}{GIVEN}"),
            false => name.to_owned(),
        };
        let group = Group {
            folder: parent.folder.join(name),
            home: parent.home,
            version: parent.version,
        };
        fs::create_dir(&group.folder)?;
        let give = || match gives {
            true => Ok(()),
            false => write(
                &parent.folder.join(GIVES),
                &format!("+{}", controller.name()),
            ),
        };
        let limit_file = group.folder.join(controller.limit_file(group.version));
        match give().and_then(|()| OpenOptions::new().write(true).open(limit_file)) {
            Ok(_) => Ok(group),
            Err(error) => {
                group.remove()?;
                Err(error)
            }
        }
    }

    /// Whether it is of the new kind, of which a process is in one only, whatever that limits.
    pub fn is_exclusive(&self) -> bool {
        self.version == Version::V2
    }

    /// How it is called in evidence.
    pub fn by(&self) -> &'static str {
        match self.version {
            Version::V1 => "cgroup-v1",
            Version::V2 => "cgroup-v2",
        }
    }

    /// Gives its processes so many percent of one processor.
    pub fn limit_cpu(&self, percent: u64) -> io::Result<()> {
        let percent = percent.max(1);
        let period_us = PERIOD_US.max(QUOTA_US_MIN * 100 / percent);
        let quota_us = period_us * percent / 100;
        match self.version {
            Version::V1 => {
                self.write("cpu.cfs_period_us", &period_us.to_string())?;
                self.write("cpu.cfs_quota_us", &quota_us.to_string())
            }
            Version::V2 => self.write("cpu.max", &format!("{quota_us} {period_us}")),
        }
    }

    /// How often its processes were held up because they had used their part.
    pub fn throttled(&self) -> io::Result<u64> {
        Ok(field(&self.read("cpu.stat")?, "nr_throttled"))
    }

    /// Lets its processes have so much memory besides what they had before they were its.
    pub fn limit_memory(&self, limit_kib: u64) -> io::Result<()> {
        let bytes = limit_kib.saturating_mul(1024).to_string();
        self.write(Controller::Memory.limit_file(self.version), &bytes)
    }

    /// How often memory ran into the limit, and how many processes the kernel ended for it.
    pub fn memory_events(&self) -> io::Result<(u64, u64)> {
        match self.version {
            Version::V1 => {
                let reached = self.read("memory.failcnt")?;
                let killed = field(&self.read("memory.oom_control")?, "oom_kill");
                Ok((reached.trim().parse().unwrap_or(0), killed))
            }
            Version::V2 => {
                let events = self.read("memory.events")?;
                Ok((field(&events, "max"), field(&events, "oom_kill")))
            }
        }
    }

    /// Moves every process that `processes` finds, those included that are started meanwhile.
    pub fn add_all(&self, processes: impl Fn() -> io::Result<Vec<Process>>) -> io::Result<()> {
        move_all(&self.folder, || {
            let found = processes()?;
            Ok(found.iter().map(|process| process.pid.as_raw()).collect())
        })
    }

    /// Makes what this command starts a member from its first instruction on.
    pub fn attach(&self, command: &mut Command) -> io::Result<()> {
        let members = self.members()?;
        let join = move || (&members).write_all(b"0");
        // SAFETY: between fork and exec the closure makes one system call (write) on a descriptor
        // that it owns, which is async-signal-safe; it allocates nothing and takes no lock.
        unsafe { command.pre_exec(join) };
        Ok(())
    }

    /// Who is written here is a member, and what that starts.
    pub fn members(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.folder.join("cgroup.procs"))
    }

    /// Moves its processes back to the group that they came from and removes it.
    pub fn remove(self) -> io::Result<()> {
        let members = || {
            let listed = self.read("cgroup.procs")?;
            Ok(listed.lines().filter_map(|pid| pid.parse().ok()).collect())
        };
        let deadline = Instant::now() + REMOVE_LIMIT;
        loop {
            move_all(&self.home, members)?;
            match remove_empty(&self.folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    if Instant::now() > deadline {
                        return Err(error);
                    }
                    thread::sleep(REMOVE_POLL);
                }
                _ => return Ok(()),
            }
        }
    }

    fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.folder.join(file))
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        write(&self.folder.join(file), value)
    }
}

/// Makes and removes a group for each controller.
///
/// # Errors
/// What cannot be limited so, and why.
pub(crate) fn try_all() -> Result<(), SystemCall> {
    for controller in Controller::ALL {
        let about = |error: io::Error| {
            let action = format!("limit {} by a cgroup", controller.name());
            let errno = error.raw_os_error();
            SystemCall::new(action, errno.map_or(Errno::ENOENT, Errno::from_raw))
        };
        let token = std::process::id().to_string();
        let group = Group::make(controller, Some(&token), "trial").map_err(about)?;
        group.remove().map_err(about)?;
    }
    Ok(())
}

/// Whether it looks as if a group could be made here.
pub(crate) fn is_likely() -> bool {
    let likely = |controller| {
        let mut parents = parents(controller).unwrap_or_default().into_iter();
        parents.any(|parent| {
            let members = parent.folder.join("cgroup.procs");
            OpenOptions::new().write(true).open(members).is_ok()
        })
    };
    Controller::ALL.into_iter().any(likely)
}

/// Removes the groups that a controller with this token has left. Tells whether there were any.
pub(crate) fn sweep(token: &str) -> bool {
    let begin = OsString::from(format!("{PREFIX}{token}-"));
    let mut found = false;
    for controller in Controller::ALL {
        for parent in parents(controller).unwrap_or_default() {
            for group in groups_in(&parent.folder) {
                let name = group.file_name().unwrap_or_default();
                if name
                    .as_encoded_bytes()
                    .starts_with(begin.as_encoded_bytes())
                {
                    found = true;
                    // Not before it is empty.
                    let _ = remove_empty(&group);
                }
            }
        }
    }
    found
}

/// Groups of ours, of any run, in a group.
fn groups_in(parent: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
        })
        .map(|entry| entry.path())
}

/// Whether a group gives this controller to its children because of us, as the names of those say;
/// of any but this one.
fn has_given(parent: &Path, controller: Controller, but: Option<&Path>) -> bool {
    groups_in(parent).any(|group| {
        let is_other = but.is_none_or(|but| but != group);
        is_other && given_to(&group) == Some(controller)
    })
}

/// The controller that a group of ours has only because we let its parent give it.
fn given_to(group: &Path) -> Option<Controller> {
    let name = group.file_name()?.to_str()?.strip_suffix(GIVEN)?;
    let of_name = |controller: &Controller| name.ends_with(&format!("-{}", controller.name()));
    Controller::ALL.into_iter().find(of_name)
}

/// Removes a group of ours, and lets its parent give what it gave before, if this was the last one.
fn remove_empty(group: &Path) -> io::Result<()> {
    if let (Some(controller), Some(parent)) = (given_to(group), group.parent())
        && !has_given(parent, controller, Some(group))
        && lists(parent, GIVES, controller)?
    {
        // Before the name is gone that asks for it.
        write(&parent.join(GIVES), &format!("-{}", controller.name()))?;
    }
    fs::remove_dir(group)
}

impl Parent {
    /// Whether groups in it have this controller; an error where they cannot.
    fn gives(&self, controller: Controller) -> io::Result<bool> {
        if self.version == Version::V1 {
            return Ok(true);
        }
        // Where processes are, controllers of threads (cpu) can be given, too, but to nobody who
        // could have processes then. The root, which alone has no type, is free.
        let is_root = !self.folder.join("cgroup.type").exists();
        if !is_root && !fs::read(self.folder.join("cgroup.procs"))?.is_empty() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        if lists(&self.folder, GIVES, controller)? {
            return Ok(true);
        }
        match lists(&self.folder, CAN_GIVE, controller)? {
            true => Ok(false),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Whether a file of a group names this controller.
fn lists(group: &Path, file: &str, controller: Controller) -> io::Result<bool> {
    let listed = fs::read_to_string(group.join(file))?;
    Ok(listed
        .split_whitespace()
        .any(|name| name == controller.name()))
}

/// The groups in which one for this controller may be made, the nearest to ours first.
fn parents(controller: Controller) -> io::Result<Vec<Parent>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    Ok(parents_in(controller, &mounts, &groups))
}

fn parents_in(controller: Controller, mounts: &str, groups: &str) -> Vec<Parent> {
    let own_group = |version| {
        groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let is_it = match version {
                Version::V1 => controllers.split(',').any(|name| name == controller.name()),
                Version::V2 => controllers.is_empty(),
            };
            is_it.then_some(path)
        })
    };
    let mut parents = Vec::new();
    for mount in mounts.lines().filter_map(parse_mount) {
        let version = match mount.kind {
            "cgroup2" => Version::V2,
            "cgroup" if mount.has(controller.name()) => Version::V1,
            _ => continue,
        };
        let Some(own) = own_group(version) else {
            continue;
        };
        // A mount may show a part only.
        let below = own.strip_prefix(mount.root.trim_end_matches('/'));
        let below = below.unwrap_or_default().trim_start_matches('/');
        // By its components, for to join nothing would leave a slash at the end.
        let own: PathBuf = Path::new(mount.point).join(below).components().collect();
        let up = own
            .ancestors()
            .take_while(|folder| folder.starts_with(mount.point));
        parents.extend(up.map(|folder| Parent {
            version,
            folder: folder.to_owned(),
            home: own.clone(),
        }));
    }
    // The new before the old, wherever the table has it.
    parents.sort_by_key(|parent| parent.version == Version::V1);
    parents
}

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl Mount<'_> {
    fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|has| has == option)
    }
}

fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (kind, _source, options) = (after.next()?, after.next()?, after.next()?);
    Some(Mount {
        root,
        point,
        kind,
        options,
    })
}

/// Moves all processes that `pids` lists into a group, until it lists no new ones.
fn move_all(group: &Path, pids: impl Fn() -> io::Result<Vec<i32>>) -> io::Result<()> {
    let members = group.join("cgroup.procs");
    let mut moved: Vec<i32> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let mut new = pids()?;
        new.retain(|pid| !moved.contains(pid));
        if new.is_empty() {
            break;
        }
        for pid in new {
            match write(&members, &pid.to_string()) {
                // It has ended.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                outcome => outcome?,
            }
            moved.push(pid);
        }
    }
    Ok(())
}

/// One write, as the files of cgroups want it.
fn write(path: &Path, value: &str) -> io::Result<()> {
    File::options()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}

/// The number that stands behind a name in a table; 0 where there is none.
fn field(table: &str, name: &str) -> u64 {
    let of_line = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    table.lines().find_map(of_line).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_around_ours_are_found_where_they_are_mounted() {
        let v1 = "32 31 0:29 / /c/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct";
        let v2 = "30 23 0:26 / /c/unified rw shared:4 - cgroup2 cgroup2 rw";
        let part = "30 23 0:26 /box /c rw - cgroup2 cgroup2 rw";
        let rows = [
            (v1, "3:cpu,cpuacct:/a\n", "V1 /c/cpu/a, V1 /c/cpu"),
            (v1, "3:memory:/a\n0::/b\n", ""),
            (
                &format!("{v1}\n{v2}"),
                "3:cpu:/\n0::/a/b\n",
                "V2 /c/unified/a/b, V2 /c/unified/a, V2 /c/unified, V1 /c/cpu",
            ),
            (part, "0::/box/in\n", "V2 /c/in, V2 /c"),
            ("31 23 0:28 / /c rw - tmpfs tmpfs rw,cpu", "0::/\n", ""),
            ("", "", ""),
        ];
        for (mounts, groups, expected) in rows {
            let found: Vec<String> = parents_in(Controller::Cpu, mounts, groups)
                .iter()
                .map(|parent| format!("{:?} {}", parent.version, parent.folder.display()))
                .collect();
            assert_eq!(found.join(", "), expected, "{mounts}");
        }
    }

    #[test]
    fn what_was_given_for_a_group_is_known_by_its_name() {
        let rows = [
            ("whitewater-7-1-n1-cpu-given", Some(Controller::Cpu)),
            ("whitewater-7-1-n1-memory-given", Some(Controller::Memory)),
            ("whitewater-7-1-n1-cpu", None),
            ("whitewater-7-1-cpu-memory", None),
        ];
        for (name, expected) in rows {
            assert_eq!(given_to(&Path::new("/c").join(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_parent_gives_until_the_last_group_that_asked_for_it_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path();
        // As the kernel lists them, but nothing else of it: what a group has is its own affair.
        let gives = || fs::read_to_string(parent.join(GIVES)).unwrap();
        fs::write(parent.join(GIVES), "cpu memory\n").unwrap();
        let groups = ["a-n1-cpu-given", "b-n1-cpu-given", "b-n2-memory"]
            .map(|name| parent.join(format!("{PREFIX}{name}")));
        for group in &groups {
            fs::create_dir(group).unwrap();
        }
        remove_empty(&groups[2]).unwrap();
        remove_empty(&groups[0]).unwrap();
        assert_eq!(gives(), "cpu memory\n");
        remove_empty(&groups[1]).unwrap();
        assert!(gives().starts_with("-cpu"), "{}", gives());
        assert!(groups.iter().all(|group| !group.exists()));
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let table = "nr_periods 7\nnr_throttled 3\nnr_throttled_ever 9\n";
        assert_eq!(field(table, "nr_throttled"), 3);
        assert_eq!(field(table, "nr"), 0);
    }
}
