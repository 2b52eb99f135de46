//! What the tests have in common: the real binary with a limit on its time, stores to be thrown
//! away, and a look at what is left behind.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_whitewater");

/// Nothing that is waited for takes nearly as long, unless it never comes.
pub const LIMIT: Duration = Duration::from_secs(180);

/// A run with one kill, one pause and one partition, none while another is in force: what is dead
/// already cannot be paused, and a fault without effect leaves a verdict open.
pub const ONE_OF_EACH: [&str; 10] = [
    "--nodes",
    "3",
    "--time",
    "5s",
    "--seed",
    "34",
    "--fault-interval",
    "900ms",
    "--fault-duration",
    "300ms",
];

/// How often something waited for is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Only one cluster at a time: several would slow each other down beyond their limits, and in plain
/// mode all have the same addresses.
pub fn cluster_lock() -> MutexGuard<'static, ()> {
    static CLUSTER: Mutex<()> = Mutex::new(());
    CLUSTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder to keep runs in, removed with everything when dropped.
pub fn store() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the binary to its end.
#[track_caller]
pub fn whitewater(args: &[&str]) -> Output {
    Running::start(command(args)).finish()
}

/// The binary with these arguments, not yet started.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args);
    command
}

/// `run` with a store, and whatever else.
#[track_caller]
pub fn run_in(store: &Path, args: &[&str]) -> Output {
    whitewater(&[&["run", "--store", text(store)], args].concat())
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
    command: String,
}

impl Output {
    /// Requires an exit code, and that nothing panicked.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        let panicked = self.stdout.contains("panicked") || self.stderr.contains("panicked");
        assert!(!panicked, "{self}");
        self
    }

    /// Requires that each of these was said, on whichever stream.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            let said = self.stdout.contains(text) || self.stderr.contains(text);
            assert!(said, "nothing says {text:?}: {self}");
        }
        self
    }

    /// The one JSON document that standard output is.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not one JSON document: {error}: {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Output {
            status,
            stdout,
            stderr,
            command,
        } = self;
        write!(
            f,
            "{command}\n{status}\n--- stdout\n{stdout}--- stderr\n{stderr}---"
        )
    }
}

/// A command under way, in a process group of its own. Dropped, it is killed.
pub struct Running {
    child: Child,
    command: String,
    stdout: Stream,
    stderr: Stream,
    deadline: Instant,
}

impl Running {
    /// Starts a command.
    #[track_caller]
    pub fn start(mut command: Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let command = format!("{command:?}");
        let mut child = child.unwrap_or_else(|error| panic!("{command}: {error}"));
        Running {
            stdout: Stream::of(child.stdout.take().unwrap()),
            stderr: Stream::of(child.stderr.take().unwrap()),
            child,
            command,
            deadline: Instant::now() + LIMIT,
        }
    }

    /// The process, which leads its group.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal).unwrap();
    }

    /// Sends a signal to the process group, as a terminal does on Ctrl-C.
    pub fn signal_group(&self, signal: Signal) {
        signal::killpg(self.pid(), signal).unwrap();
    }

    /// Waits until something is said on standard error.
    #[track_caller]
    pub fn await_said(&mut self, text: &str) {
        while !self.stderr.so_far().contains(text) {
            let ended = self.child.try_wait().unwrap();
            let in_vain = ended.is_some() || Instant::now() > self.deadline;
            // What was said just before the end is still on its way.
            if in_vain && !self.stderr.is_open_for(LOOK) && !self.stderr.so_far().contains(text) {
                let said = self.stderr.so_far();
                panic!("{}: never said {text:?}, but:\n{said}", self.command);
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > self.deadline {
                let said = (self.stdout.so_far(), self.stderr.so_far());
                panic!("{} did not end: {said:#?}", self.command);
            }
            thread::sleep(LOOK);
        };
        Output {
            status,
            stdout: self.stdout.read_to_end(),
            stderr: self.stderr.read_to_end(),
            command: std::mem::take(&mut self.command),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most often it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process writes, read as it comes so that it is never held up.
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let sink = bytes.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Stream {
            bytes,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Whether more may come, after a moment.
    fn is_open_for(&self, moment: Duration) -> bool {
        thread::sleep(moment);
        self.reader
            .as_ref()
            .is_some_and(|reader| !reader.is_finished())
    }

    /// Everything, once every process that holds the other end has let go of it.
    fn read_to_end(&mut self) -> String {
        eventually("the end of the output", || {
            !self.is_open_for(Duration::ZERO)
        });
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

/// Waits until something is true.
#[track_caller]
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_true() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// Says why a test is not made here. Where everything must be tested, that is a failure.
#[track_caller]
pub fn skip(why: &str) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("CI").is_none(), "{name}: {why}");
    eprintln!("skipped {name}: {why}");
}

/// Whether there is this program; else says what is skipped, and fails where everything must be there.
pub fn there_is(program: &str, arg: &str) -> bool {
    let there = Command::new(program).arg(arg).output().is_ok();
    if !there {
        skip(&format!("there is no {program}"));
    }
    there
}

/// Whether runs are sandboxed on this machine; says so where they are not.
#[track_caller]
pub fn has_namespaces() -> bool {
    // Asked of the binary: a test cannot serve as a stage of a sandbox itself.
    let output = Command::new(BINARY)
        .args(["doctor", "--json"])
        .output()
        .unwrap();
    let abilities: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sandbox = &abilities[0];
    assert_eq!(sandbox["name"], "sandbox");
    let available = sandbox["available"] == true;
    if !available {
        skip(&format!("no sandbox here: {}", sandbox["cause"]));
    }
    available
}

/// An ordinary user with a binary and a folder of their own.
pub struct User {
    folder: TempDir,
    /// The user to become; none for the one who runs the tests.
    id: Option<u32>,
}

/// Any number that is no user's here, and not root's.
const SOME_USER: u32 = 54_321;

impl User {
    /// An ordinary user: a made-up one when root runs the tests.
    pub fn new() -> Self {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
        let id = is_root.then_some(SOME_USER);
        if id.is_some() {
            // The build's own folder may be closed to others.
            fs::copy(BINARY, folder.path().join("whitewater")).unwrap();
            let open = fs::Permissions::from_mode(0o755);
            fs::set_permissions(folder.path(), open).unwrap();
            chown(folder.path(), id, id).unwrap();
        }
        User { folder, id }
    }

    /// Where the user may write.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with these arguments, as this user, in their folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let copy = self.folder().join("whitewater");
        let binary = if self.id.is_some() {
            copy.as_os_str()
        } else {
            OsStr::new(BINARY)
        };
        let mut command = Command::new(binary);
        command.args(args).current_dir(self.folder());
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
        command
    }
}

/// The run folders of a store, in order.
pub fn runs(store: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(store) else {
        return Vec::new();
    };
    let mut runs: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("plan.toml").is_file())
        .collect();
    runs.sort();
    runs
}

/// The one run folder of a store.
#[track_caller]
pub fn only_run(store: &Path) -> PathBuf {
    let runs = runs(store);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

/// Every process whose command line has this path in it, as `pid command line`.
pub fn processes_with(path: &Path) -> Vec<(i32, String)> {
    let pids = fs::read_dir("/proc").unwrap();
    pids.filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(text(path)).then_some((pid, line))
    })
    .collect()
}

/// Requires that no process of the runs in this store lives on.
#[track_caller]
pub fn assert_nothing_left(store: &Path) {
    eventually("no process of the run is left", || {
        processes_with(store).is_empty()
    });
}

/// The network interfaces that this process sees, in order.
pub fn interfaces() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names = table.lines().filter_map(|line| line.split_once(':'));
    let mut names: Vec<String> = names.map(|(name, _)| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// The mounts that this process sees.
pub fn mounts() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap();
    table.lines().map(str::to_owned).collect()
}

/// A JSON file.
#[track_caller]
pub fn read_json(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"))
}
