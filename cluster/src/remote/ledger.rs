//! The ledger of undos on a host: what an agent may leave behind is written down before there is any
//! of it, so that somebody else can undo it when the agent is gone.
//!
//! It is a file in the agent's folder, a JSON line for each undo. Whoever applies it holds its lock,
//! as the agent does while it lives; applied, it is gone with the folder, so that nothing is undone
//! twice.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use super::wire::Healed;
use crate::network::bridge::Nft;

/// How the folder of every agent begins.
pub(super) const PREFIX: &str = "whitewater-";

/// The variable by which the processes of an agent's node are known, whatever becomes of them. Its
/// value is the agent's token.
pub(super) const TOKEN: &str = "WHITEWATER_AGENT";

const FILE: &str = "ledger.jsonl";

/// How long the init of a node may take to end everything below it.
const INIT_LIMIT: Duration = Duration::from_secs(5);

/// How long processes that were killed may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Between two looks at them.
const LOOK: Duration = Duration::from_millis(5);

/// The age from which a folder without a ledger is taken for one whose agent never came.
const ORPHAN_AGE: Duration = Duration::from_secs(600);

/// An undo, or who it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Note {
    /// Not an undo: the agent, and from where it is controlled.
    Agent { pid: i32, from: String },
    /// End the process of a node's init, if it is still the one that began then (in the kernel's
    /// ticks), and with it what is below it.
    Init { pid: i32, began: u64 },
    /// End every process that has this token in its environment, stopped or not.
    Processes { token: String },
    /// Remove this table of nf_tables.
    Table { name: String },
}

/// A ledger that is being written, and locked.
#[derive(Debug)]
pub(super) struct Ledger {
    file: Flock<File>,
    folder: PathBuf,
}

impl Ledger {
    /// Begins the ledger of the agent in this folder.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create_new(true)
            .open(folder.join(FILE))?;
        let file = lock(file)?;
        Ok(Self {
            file,
            folder: folder.to_owned(),
        })
    }

    /// Writes an undo down, so that even a machine that loses its power knows it.
    pub fn note(&mut self, note: &Note) -> io::Result<()> {
        let mut line = serde_json::to_vec(note)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()
    }

    /// Applies it, and removes the folder.
    pub fn apply(self) -> Healed {
        let healed = apply(&self.folder);
        drop(self.file);
        healed
    }
}

fn lock(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error.into())
}

/// Applies the ledger in this folder as soon as nobody holds it, if it is still there.
pub(super) fn apply_when_free(folder: &Path) {
    if let Ok(file) = File::open(folder.join(FILE))
        && let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusive)
        && folder.join(FILE).exists()
    {
        // Nobody is there to be told; `heal` would find what is left.
        apply(folder);
    }
}

/// Applies the ledgers of all agents of ours that are gone, in the folder in which they are; all
/// but the one in `own`.
pub(super) fn heal_all(area: &Path, own: &Path) -> io::Result<Vec<Healed>> {
    let mut all = Vec::new();
    let mut folders: Vec<PathBuf> = fs::read_dir(area)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path != own && is_ours(path))
        .collect();
    folders.sort();
    for folder in folders {
        let told = |problems| Healed {
            folder: folder.display().to_string(),
            done: Vec::new(),
            problems,
        };
        match File::open(folder.join(FILE)).and_then(lock) {
            Ok(_lock) => all.push(apply(&folder)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let whose = whose(&folder).unwrap_or_default();
                all.push(told(vec![format!(
                    "left alone: a run is under way here{whose} (hint: an agent that loses its \
                     controller ends by itself within a minute)"
                )]));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if age(&folder).is_some_and(|age| age > ORPHAN_AGE) {
                    let mut healed = told(Vec::new());
                    remove(&folder, &mut healed);
                    all.push(healed);
                }
            }
            Err(error) => all.push(told(vec![format!("failed to read its ledger: {error}")])),
        }
    }
    Ok(all)
}

fn is_ours(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    let found = fs::symlink_metadata(folder);
    name.is_some_and(|name| name.starts_with(PREFIX))
        && found.is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
        && (folder.join(FILE).exists() || folder.join("whitewater").exists())
}

fn age(folder: &Path) -> Option<Duration> {
    let changed = fs::metadata(folder).ok()?.modified().ok()?;
    SystemTime::now().duration_since(changed).ok()
}

/// Who holds a ledger, in words.
fn whose(folder: &Path) -> Option<String> {
    let note = read(folder).ok()?.into_iter().next()?;
    match note {
        Note::Agent { pid, from } => Some(format!(" (process {pid}, controlled from {from})")),
        _ => None,
    }
}

/// The notes. A last one that is torn was never acted upon.
fn read(folder: &Path) -> io::Result<Vec<Note>> {
    let file = BufReader::new(File::open(folder.join(FILE))?);
    let notes = file.lines().map_while(Result::ok);
    Ok(notes
        .filter_map(|line| serde_json::from_str(&line).ok())
        .collect())
}

/// Does what the notes say, the latest first, and removes the folder if all could be done.
fn apply(folder: &Path) -> Healed {
    let mut healed = Healed {
        folder: folder.display().to_string(),
        ..Healed::default()
    };
    match read(folder) {
        Ok(notes) => {
            for note in notes.iter().rev() {
                undo(note, &mut healed);
            }
        }
        Err(error) => healed
            .problems
            .push(format!("failed to read its ledger: {error}")),
    }
    if healed.problems.is_empty() {
        remove(folder, &mut healed);
    }
    healed
}

fn remove(folder: &Path, healed: &mut Healed) {
    match fs::remove_dir_all(folder) {
        Ok(()) => healed
            .done
            .push(format!("removed the folder {}", folder.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let folder = folder.display();
            healed
                .problems
                .push(format!("failed to remove the folder {folder}: {error}"));
        }
    }
}

fn undo(note: &Note, healed: &mut Healed) {
    let outcome = match note {
        Note::Agent { .. } => Ok(None),
        Note::Init { pid, began } => end_init(Pid::from_raw(*pid), *began),
        Note::Processes { token } => end_processes(token),
        Note::Table { name } => remove_table(name),
    };
    match outcome {
        Ok(done) => healed.done.extend(done),
        Err(problem) => healed.problems.push(problem),
    }
}

/// When a process began, in the kernel's ticks since the machine's start (proc_pid_stat(5)).
pub(super) fn began(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    // The state, the third field, comes first here; the beginning is the 22nd.
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

fn is_running(pid: Pid) -> bool {
    crate::node::is_alive(pid)
}

/// Asks the init of a node to end everything below it, as when its agent dies.
fn end_init(pid: Pid, then: u64) -> Result<Option<String>, String> {
    if began(pid) != Some(then) || !is_running(pid) {
        return Ok(None);
    }
    send(pid, Signal::SIGHUP)?;
    let begin = Instant::now();
    while is_running(pid) && began(pid) == Some(then) {
        if begin.elapsed() > INIT_LIMIT {
            send(pid, Signal::SIGKILL)?;
            break;
        }
        thread::sleep(LOOK);
    }
    Ok(Some(format!("ended the node with its init, process {pid}")))
}

fn send(pid: Pid, signal: Signal) -> Result<(), String> {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(format!("failed to end process {pid}: {error}")),
    }
}

/// Ends whatever has the token in its environment, until there is none.
fn end_processes(token: &str) -> Result<Option<String>, String> {
    let begin = Instant::now();
    let mut ended: Vec<Pid> = Vec::new();
    loop {
        let there = processes_of(token);
        if there.is_empty() {
            break;
        }
        if begin.elapsed() > END_LIMIT {
            let there: Vec<String> = there.iter().map(Pid::to_string).collect();
            let which = there.join(", ");
            return Err(format!("processes {which} are still there after SIGKILL"));
        }
        for pid in there {
            send(pid, Signal::SIGKILL)?;
            if !ended.contains(&pid) {
                ended.push(pid);
            }
        }
        thread::sleep(LOOK);
    }
    let pids: Vec<String> = ended.iter().map(Pid::to_string).collect();
    Ok((!pids.is_empty()).then(|| format!("ended the processes {}", pids.join(", "))))
}

/// The processes that have this token in their environment and have not ended.
fn processes_of(token: &str) -> Vec<Pid> {
    let wanted = format!("{TOKEN}={token}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_it = |pid: &Pid| {
        let mut bytes = Vec::new();
        // One of somebody else's cannot be read, and is none of ours.
        let read = File::open(format!("/proc/{pid}/environ"))
            .and_then(|mut file| file.read_to_end(&mut bytes));
        read.is_ok()
            && bytes
                .split(|byte| *byte == 0)
                .any(|pair| pair == wanted.as_bytes())
    };
    pids.map(Pid::from_raw)
        .filter(|pid| is_running(*pid) && has_it(pid))
        .collect()
}

/// Removes a table of the packet filter, if it is there.
fn remove_table(name: &str) -> Result<Option<String>, String> {
    let nft = Nft::find().map_err(|unavailable| unavailable.to_string())?;
    let run = |args: &[&str]| {
        let mut command = nft.command();
        let output = command.args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("failed to run nft: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default().to_owned();
        Err(format!(
            "failed to remove the table {name}: nft said: {said}"
        ))
    };
    let wanted = format!("table {name}");
    if !run(&["list", "tables"])?.lines().any(|line| line == wanted) {
        return Ok(None);
    }
    let words: Vec<&str> = ["delete", "table"]
        .into_iter()
        .chain(name.split(' '))
        .collect();
    run(&words)?;
    Ok(Some(format!("removed the table {name} of nf_tables")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(token: &str) -> std::process::Child {
        let mut command = std::process::Command::new("sleep");
        command.arg("1000").env(TOKEN, token).spawn().unwrap()
    }

    #[test]
    fn what_was_noted_is_undone_once_and_no_more() {
        let area = tempfile::tempdir().unwrap();
        let folder = area.path().join("whitewater-x");
        fs::create_dir(&folder).unwrap();
        let token = format!("of-a-test-{}", std::process::id());
        let mut ledger = Ledger::create(&folder).unwrap();
        let from = "127.0.0.1".to_owned();
        ledger.note(&Note::Agent { pid: 1, from }).unwrap();
        let processes = Note::Processes {
            token: token.clone(),
        };
        ledger.note(&processes).unwrap();
        let (mut noted, mut other) = (child(&token), child("another"));
        let pid = Pid::from_raw(noted.id().cast_signed());
        send(pid, Signal::SIGSTOP).unwrap();

        let held = heal_all(area.path(), Path::new("")).unwrap();
        assert!(held[0].problems[0].contains("under way"), "{held:?}");
        assert!(is_running(pid));

        drop(ledger);
        // The last line was torn.
        let mut file = OpenOptions::new()
            .append(true)
            .open(folder.join(FILE))
            .unwrap();
        file.write_all(b"{\"table\":{\"na").unwrap();
        let healed = heal_all(area.path(), Path::new("")).unwrap();
        assert_eq!(healed[0].problems, [""; 0]);
        assert_eq!(healed[0].done[0], format!("ended the processes {pid}"));
        assert!(!folder.exists() && !is_running(pid));
        noted.wait().unwrap();
        assert!(other.try_wait().unwrap().is_none(), "of no run of ours");
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(heal_all(area.path(), Path::new("")).unwrap(), []);
    }

    #[test]
    fn a_pid_that_is_somebody_elses_by_now_is_left_alone() {
        let mut sleep = child("nobody");
        let pid = Pid::from_raw(sleep.id().cast_signed());
        let began = began(pid).unwrap();
        assert_eq!(end_init(pid, began + 1), Ok(None));
        assert!(is_running(pid));
        assert!(end_init(pid, began).unwrap().is_some());
        sleep.wait().unwrap();
    }

    #[test]
    fn a_folder_of_others_is_no_agents() {
        let area = tempfile::tempdir().unwrap();
        let folder = area.path().join("whitewater-plans");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("precious"), "x").unwrap();
        assert_eq!(heal_all(area.path(), Path::new("")).unwrap(), []);
        assert!(folder.join("precious").exists());
    }
}
