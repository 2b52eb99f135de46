//! What the tests have in common.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, process, thread};

use cluster::{
    Addresses, Cluster, ClusterError, ClusterSpec, Mode, NetworkSpec, NodeCommand, NodeExit,
    NodeSpec, Readiness,
};

/// A test and its name.
pub type Test = (&'static str, fn());

/// This binary.
pub const OWN: &str = "/proc/self/exe";

/// Where the nodes of the tests listen.
pub const PORT: u16 = 7000;

/// Nothing that is waited for takes nearly as long, unless it never comes.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Does nothing until killed.
pub fn park() -> ! {
    loop {
        thread::park();
    }
}

/// Waits until something is true.
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_true() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A cluster whose nodes all run one of the test programs, and what became of it.
pub struct Started {
    pub cluster: Result<Cluster, ClusterError>,
    pub exits: Receiver<NodeExit>,
    pub folder: tempfile::TempDir,
}

impl Started {
    /// Nodes that all run one of the test programs.
    pub fn new(mode: Mode, nodes: &[&str], program: &[&str], readiness: &Readiness) -> Self {
        let command = |address: Ipv4Addr| {
            let args = program.iter().map(|arg| match *arg {
                "ADDRESS" => address.to_string().into(),
                arg => arg.into(),
            });
            let args = ["program".into()].into_iter().chain(args);
            NodeCommand::own(args.collect::<Vec<OsString>>())
        };
        Self::with(mode, nodes, command, readiness, LIMIT)
    }

    /// Nodes of a sandbox that echo on TCP, on a network of this kind.
    pub fn on(network: NetworkSpec, nodes: &[&str]) -> Self {
        let port = PORT.to_string();
        let command = |address: Ipv4Addr| {
            let address = address.to_string();
            NodeCommand::own(args(&["program", "echo", &address, &port]))
        };
        let readiness = Readiness::TcpPort(PORT);
        Self::start(
            Mode::Sandbox,
            nodes,
            command,
            &readiness,
            LIMIT,
            network,
            false,
        )
    }

    /// Nodes that all run one of the test programs, with disks that can fail.
    pub fn on_disks(mode: Mode, nodes: &[&str], program: &[&str], readiness: &Readiness) -> Self {
        let args = ["program"].into_iter().chain(program.iter().copied());
        let args: Vec<OsString> = args.map(OsString::from).collect();
        let command = |_| NodeCommand::own(args.clone());
        let network = NetworkSpec::default();
        Self::start(mode, nodes, command, readiness, LIMIT, network, true)
    }

    /// Nodes that run any command, ready within a limit.
    pub fn with(
        mode: Mode,
        nodes: &[&str],
        command: impl Fn(Ipv4Addr) -> NodeCommand,
        readiness: &Readiness,
        limit: Duration,
    ) -> Self {
        let network = NetworkSpec::default();
        Self::start(mode, nodes, command, readiness, limit, network, false)
    }

    #[allow(clippy::too_many_arguments)]
    fn start(
        mode: Mode,
        nodes: &[&str],
        command: impl Fn(Ipv4Addr) -> NodeCommand,
        readiness: &Readiness,
        limit: Duration,
        network: NetworkSpec,
        disk_faults: bool,
    ) -> Self {
        let addresses = match mode {
            Mode::Sandbox => Addresses::plan(mode, nodes),
            // Tests may run at the same time as others.
            Mode::Plain => {
                let pid = process::id().to_le_bytes();
                Addresses::plan_in(mode, [127, 1 + pid[1] % 250, pid[0]], nodes)
            }
        };
        let addresses = addresses.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (sender, exits) = channel();
        let sender = Mutex::new(sender);
        let node = |(name, address): (&faults::Name, Ipv4Addr)| {
            let mut command = command(address);
            command.env.push(("GREETING".into(), "hello".into()));
            NodeSpec {
                name: name.clone(),
                commands: vec![command],
                prepare: Vec::new(),
                data_dir: folder.path().join(&**name).join("data"),
                log_dir: folder.path().join(&**name),
                readiness: readiness.clone(),
            }
        };
        let cluster = Cluster::start(ClusterSpec {
            nodes: addresses.nodes().map(node).collect(),
            addresses,
            network,
            disk_faults,
            one_by_one: false,
            ready_limit_ms: limit.as_millis() as u64,
            // A test that does not care may have gone on.
            on_exit: Arc::new(move |exit| drop(sender.lock().unwrap().send(exit))),
        });
        Self {
            cluster,
            exits,
            folder,
        }
    }

    /// Nodes that echo on TCP.
    pub fn echo(mode: Mode, nodes: &[&str]) -> Self {
        let port = PORT.to_string();
        Self::new(
            mode,
            nodes,
            &["echo", "ADDRESS", &port],
            &Readiness::TcpPort(PORT),
        )
    }

    pub fn cluster(&self) -> &Cluster {
        self.cluster
            .as_ref()
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The error of a cluster that did not start.
    pub fn error(&self) -> String {
        self.cluster.as_ref().err().unwrap().to_string()
    }

    pub fn log(&self, node: &str, stream: &str) -> PathBuf {
        self.folder.path().join(node).join(format!("{stream}.log"))
    }

    pub fn output(&self, node: &str) -> String {
        fs::read_to_string(self.log(node, "stdout")).unwrap()
    }
}

/// The network interfaces that this process sees, in order.
pub fn interfaces() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names = text.lines().filter_map(|line| line.split_once(':'));
    let mut names: Vec<String> = names.map(|(name, _)| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// A process identified for good: pids are used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub pid: i32,
    pub parent: i32,
    pub state: String,
    pub start_time: String,
}

impl Seen {
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            parent: fields[1].parse().ok()?,
            state: fields[0].to_owned(),
            start_time: fields[19].to_owned(),
        })
    }

    /// Whether this very process is still there.
    pub fn is_there(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.start_time == self.start_time && now.state != "Z")
    }
}

/// Every process that this one can see.
pub fn all_processes() -> Vec<Seen> {
    let names = fs::read_dir("/proc").unwrap();
    let pids = names.filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Seen::of).collect()
}

/// A process and everything below it.
pub fn tree_of(root: i32) -> Vec<Seen> {
    let all = all_processes();
    let mut tree: Vec<Seen> = all
        .iter()
        .filter(|seen| seen.pid == root)
        .cloned()
        .collect();
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at].pid;
        tree.extend(all.iter().filter(|seen| seen.parent == parent).cloned());
        at += 1;
    }
    tree
}

/// The states that evidence gives for pids.
pub fn states(evidence: &histories::Value) -> Vec<(i64, String)> {
    let of = |entry: &histories::Value| {
        let pid = entry.get("pid").unwrap().as_int().unwrap();
        (
            pid,
            entry.get("state").unwrap().as_text().unwrap().to_owned(),
        )
    };
    evidence.as_list().unwrap().iter().map(of).collect()
}

/// The pids that evidence of a kill says are gone.
pub fn gone(evidence: &histories::Value) -> Vec<i64> {
    let pids = evidence.get("gone").unwrap().as_list().unwrap();
    pids.iter().map(|pid| pid.as_int().unwrap()).collect()
}

/// Length of a file.
pub fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// The exit code of a part that panics unless all is well.
pub fn succeed(part: impl FnOnce()) -> ExitCode {
    part();
    ExitCode::SUCCESS
}

/// Arguments for this binary.
pub fn args(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}

/// A command that runs this binary.
pub fn own_command(args: &[&str]) -> process::Command {
    let mut command = process::Command::new(env::current_exe().unwrap());
    command.args(args);
    command
}

/// The cgroups there are of a run that this process makes.
pub fn cgroups(maker: u32) -> Vec<PathBuf> {
    let begin = format!("whitewater-{maker}-");
    let mut found = Vec::new();
    let mut folders = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder
                && entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(begin.as_bytes())
            {
                found.push(entry.path());
            } else if is_folder && depth < 8 {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

/// Whether this is the process that removes cgroups when all others are gone.
pub fn is_janitor(seen: &Seen) -> bool {
    let line = fs::read(format!("/proc/{}/cmdline", seen.pid)).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|arg| arg == b"janitor")
}
