//! The agent: this program on a host, on the other end of an ssh connection, or the first process of a
//! container. It owns one node, does what it is asked on standard input, and answers on standard output.
//!
//! When its input ends, whatever the reason, or nobody has asked anything for a while, it undoes
//! everything and removes its folder. A guardian, the same program in a session of its own, does so
//! when the agent is killed.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use faults::{Clocks as _, Limits as _, Rule, Target as _, Treatment, Unavailable};
use nix::unistd::{Pid, Uid, User as Account, geteuid, setsid};
use serde::Serialize;
use serde_json::Value as Json;

use super::ledger::{self, Ledger, Note, TOKEN};
use super::wire::{
    self, Ask, Bytes, Cut, Examined, Exit, Hello, Launch, Limited, Request, Said, Tail, to_json,
};
use super::{SILENCE_LIMIT, command, docker};
use crate::cluster::{Cluster, ClusterSpec};
use crate::doctor;
use crate::error::For;
use crate::hidden::{StageError, stage_command};
use crate::network::bridge::{Bridge, Nft, Table};
use crate::network::{Addresses, Entrance, NetworkSpec, connections};
use crate::node::{NodeCommand, NodeExit, NodeSpec, Readiness, User};
use crate::programs;

/// How much of a log is sent at once.
const PIECE_BYTES_MAX: u64 = 256 << 10;

/// How many requests may be under way at once; a controller has one for each thread of its own.
const REQUESTS_MAX: usize = 64;

/// Runs the agent in this folder, which is its own.
pub(crate) fn run(args: &[OsString]) -> Result<u8, StageError> {
    let [folder] = args else {
        return Err(StageError::usage("a folder"));
    };
    let failed = |error: io::Error| StageError {
        message: format!("failed to begin as an agent: {error}"),
        code: 1,
    };
    let agent = Arc::new(Agent::begin(Path::new(folder)).map_err(failed)?);
    let guardian = guard(Path::new(folder)).map_err(failed)?;
    say(&Said::Hello(agent.hello.clone()));
    let leaving = agent.serve(&requests());
    let problems = match Arc::into_inner(agent) {
        Some(agent) => agent.end(),
        // A request is still under way; the guardian ends what it does.
        None => vec!["a request is still under way".to_owned()],
    };
    // Its work is done, or it does it now.
    drop(guardian);
    if let Some(id) = leaving {
        answer(id, Ok(problems));
    }
    Ok(0)
}

/// The guardian of the agent in this folder: waits until the agent is gone, and undoes what it left.
pub(crate) fn run_guardian(args: &[OsString]) -> Result<u8, StageError> {
    let [folder] = args else {
        return Err(StageError::usage("a folder"));
    };
    setsid().call("begin a session")?;
    // Whatever ends the waiting ends the agent.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    ledger::apply_when_free(Path::new(folder));
    Ok(0)
}

/// Starts the guardian. It goes when the end that is returned is closed.
fn guard(folder: &Path) -> io::Result<ChildStdin> {
    let mut child = stage_command("guardian")?
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let line = child.stdin.take();
    line.ok_or_else(|| io::Error::other("the guardian has no input"))
}

struct Agent {
    folder: PathBuf,
    token: String,
    hello: Hello,
    /// The port of this host by which it is controlled; a container is by none.
    ssh_port: Option<u16>,
    ledger: Mutex<Ledger>,
    /// The node's logs, known before it is there: what prepares it writes too.
    logs: OnceLock<Vec<PathBuf>>,
    /// Set by the one request that launches it.
    node: OnceLock<Launched>,
    filter: Mutex<Option<Bridge>>,
}

struct Launched {
    name: String,
    cluster: Cluster,
}

impl Agent {
    fn begin(folder: &Path) -> io::Result<Self> {
        // On a host a shell has made it, for this user only. In a container others may run the node.
        DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(folder)?;
        let mut ledger = Ledger::create(folder)?;
        // `client-address client-port server-address server-port`, as sshd tells it.
        let connection = std::env::var("SSH_CONNECTION").unwrap_or_default();
        let words: Vec<&str> = connection.split(' ').collect();
        let address = |at: usize| match words.get(at)?.parse() {
            Ok(IpAddr::V4(address)) => Some(address),
            Ok(IpAddr::V6(address)) => address.to_ipv4_mapped(),
            Err(_) => None,
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let token = name.into_owned();
        ledger.note(&Note::Agent {
            pid: std::process::id().cast_signed(),
            from: words[0].to_owned(),
        })?;
        ledger.note(&Note::Processes {
            token: token.clone(),
        })?;
        Ok(Agent {
            folder: folder.to_owned(),
            token,
            hello: Hello {
                from: address(0),
                reached: address(2),
            },
            ssh_port: match docker::is_bundled() {
                true => None,
                false => words.get(3).and_then(|port| port.parse().ok()).or(Some(22)),
            },
            ledger: Mutex::new(ledger),
            logs: OnceLock::new(),
            node: OnceLock::new(),
            filter: Mutex::default(),
        })
    }

    /// Answers requests until they end; the number of the one that asked to leave, if one did.
    fn serve(self: &Arc<Self>, requests: &Receiver<Request>) -> Option<u64> {
        let mut under_way: Vec<thread::JoinHandle<()>> = Vec::new();
        let leaving = loop {
            // Nobody asks any more, or the connection stands, and nobody may be there.
            let Ok(Request { id, ask }) = requests.recv_timeout(SILENCE_LIMIT) else {
                break None;
            };
            if matches!(ask, Ask::Leave) {
                break Some(id);
            }
            under_way.retain(|thread| !thread.is_finished());
            if under_way.len() >= REQUESTS_MAX {
                answer::<()>(id, Err("too many requests at once".to_owned()));
                continue;
            }
            let agent = Arc::clone(self);
            match thread::Builder::new()
                .name("request".into())
                .spawn(move || agent.work(id, ask))
            {
                Ok(thread) => under_way.push(thread),
                Err(error) => answer::<()>(id, Err(format!("failed to start a thread: {error}"))),
            }
        };
        for thread in under_way {
            // What a request did is undone even where it panicked.
            let _ = thread.join();
        }
        leaving
    }

    fn work(&self, id: u64, ask: Ask) {
        match ask {
            Ask::Examine => answer(id, Ok(self.examine())),
            Ask::Sources { peers } => answer(id, sources(&peers)),
            Ask::Meet => {
                let met = meet(self.token.clone());
                answer(
                    id,
                    met.map_err(|error| format!("failed to listen: {error}")),
                );
            }
            Ask::Launch(launch) => answer(id, self.launch(launch)),
            Ask::Kill => answer(id, self.on(|node, name| node.kill(name))),
            Ask::Terminate { grace_ms } => {
                answer(id, self.on(|node, name| node.terminate(name, grace_ms)));
            }
            Ask::Start => answer(id, self.start()),
            Ask::Pause => answer(id, self.on(|node, name| node.pause(name))),
            Ask::Resume => answer(id, self.on(|node, name| node.resume(name))),
            Ask::Limit { resource, amount } => answer(
                id,
                self.node().and_then(|node| {
                    let shown = node.cluster.limit(&node.name, resource, amount);
                    let shown = shown.map_err(|error| error.to_string())?;
                    Ok(Limited {
                        evidence: to_json(&shown.evidence),
                        was_reached: shown.was_reached,
                        is_reached: shown.is_reached,
                    })
                }),
            ),
            Ask::Distort { clock, distortions } => answer(
                id,
                self.on(|node, name| node.set_distortions(name, clock, &distortions)),
            ),
            Ask::Cut { cuts } => answer(id, self.cut(&cuts)),
            Ask::Counts { fault } => answer(id, Ok(self.counts(fault))),
            Ask::Reset { peers, ports } => {
                let reset = connections::reset(&peers, &ports, self.ssh_port);
                answer(id, reset.map_err(|error| error.to_string()));
            }
            Ask::Tail { from } => answer(id, self.tail(&from)),
            Ask::Run { words, limit_ms } => {
                let limit = Duration::from_millis(limit_ms);
                answer(id, command::output(&words, limit, (TOKEN, &self.token)));
            }
            Ask::Stop => answer(
                id,
                self.node()
                    .and_then(|node| node.cluster.end().map_err(|error| error.to_string())),
            ),
            Ask::Heal => {
                let area = self.folder.parent().unwrap_or(Path::new("/tmp"));
                let healed = ledger::heal_all(area, &self.folder);
                answer(
                    id,
                    healed.map_err(|error| format!("{}: {error}", area.display())),
                );
            }
            // Served by whoever gave it to us.
            Ask::Leave => {}
        }
    }

    fn node(&self) -> Result<&Launched, String> {
        self.node
            .get()
            .ok_or_else(|| "there is no node yet".to_owned())
    }

    /// Does something to the node and gives evidence of it.
    fn on(
        &self,
        act: impl FnOnce(&Cluster, &str) -> Result<histories::Value, faults::TargetError>,
    ) -> Result<Json, String> {
        let node = self.node()?;
        let evidence = act(&node.cluster, &node.name).map_err(|error| error.to_string())?;
        Ok(to_json(&evidence))
    }

    fn launch(&self, launch: Launch) -> Result<(), String> {
        let name: faults::Name = launch.name.as_str().into();
        let given = [(Arc::clone(&name), launch.address)];
        let addresses = Addresses::given(&given).map_err(|error| error.to_string())?;
        let user = launch.user.as_deref().map(user_of).transpose()?;
        furnish(&launch, user)?;
        let commands = |commands: Vec<wire::Command>| {
            let commands = commands.into_iter();
            let all = commands.map(|command| self.command(command, user));
            all.collect::<Result<Vec<_>, _>>()
        };
        let mut logs = ["stdout.log", "stderr.log"]
            .map(|name| launch.log_dir.join(name))
            .to_vec();
        logs.extend(launch.logs);
        // A second launch is refused below.
        let _ = self.logs.set(logs);
        let spec = ClusterSpec {
            addresses,
            nodes: vec![NodeSpec {
                name,
                commands: commands(launch.commands)?,
                prepare: commands(launch.prepare)?,
                data_dir: launch.data_dir,
                log_dir: launch.log_dir,
                readiness: launch.port.map_or(Readiness::Started, Readiness::TcpPort),
            }],
            network: NetworkSpec::default(),
            disk_faults: false,
            one_by_one: false,
            ready_limit_ms: launch.ready_limit_ms,
            on_exit: Arc::new(|exit: NodeExit| say(&Said::Exit(Exit::of(&exit)))),
        };
        let cluster = Cluster::start(spec).map_err(|error| error.to_string())?;
        let launched = Launched {
            name: launch.name,
            cluster,
        };
        // A second one is ended where it is dropped.
        let launched = self.node.set(launched);
        launched.map_err(|_| "there is a node already".to_owned())?;
        let init = self.on(|node, name| node.start(name))?;
        self.note_init(&wire::from_json(&init))
    }

    /// A command with its program found, and with what its processes are known by.
    fn command(&self, command: wire::Command, user: Option<User>) -> Result<NodeCommand, String> {
        let mut found = NodeCommand::own(command.args.into_iter().map(Into::into));
        let names = &command.programs;
        if !names.is_empty() {
            let mut programs = names.iter().filter_map(|name| programs::find(name));
            let program = programs.next();
            found.program =
                program.ok_or_else(|| format!("there is no program {}", names.join(" or ")))?;
        }
        let token = (TOKEN.to_owned(), self.token.clone());
        let env = command.env.into_iter().chain([token]);
        found.env = env
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        found.user = user;
        Ok(found)
    }

    fn start(&self) -> Result<Json, String> {
        let node = self.node()?;
        let evidence = node
            .cluster
            .start(&node.name)
            .map_err(|error| error.to_string())?;
        self.note_init(&evidence)?;
        Ok(to_json(&evidence))
    }

    /// What identifies the node's init is known only when it runs. Before that its token does, which
    /// was noted first of all.
    fn note_init(&self, evidence: &histories::Value) -> Result<(), String> {
        let pid = evidence.get("init").and_then(histories::Value::as_int);
        let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) else {
            return Ok(());
        };
        match ledger::began(Pid::from_raw(pid)) {
            Some(began) => self.note(&Note::Init { pid, began }),
            None => Ok(()),
        }
    }

    fn note(&self, note: &Note) -> Result<(), String> {
        let mut ledger = lock(&self.ledger);
        let noted = ledger.note(note);
        noted.map_err(|error| format!("failed to write the ledger of undos: {error}"))
    }

    fn examine(&self) -> Examined {
        let as_root = |trial: &dyn Fn() -> Result<(), Unavailable>| match geteuid().is_root() {
            true => trial(),
            false => Err(needs_root()),
        };
        Examined {
            cuts: as_root(&|| self.filter().map(drop)),
            resets: as_root(&|| {
                connections::try_reset().map_err(|error| Unavailable {
                    remedy: crate::network::reset_remedy(&error).into(),
                    cause: error.to_string(),
                })
            }),
            clocks: doctor::try_clocks(),
            groups: doctor::try_groups(),
        }
    }

    /// The filter of this host, set up at its first use.
    fn filter(&self) -> Result<MutexGuard<'_, Option<Bridge>>, Unavailable> {
        let mut filter = lock(&self.filter);
        if filter.is_some() {
            return Ok(filter);
        }
        let nft = Nft::find().map_err(|_| Unavailable {
            cause: "there is no program nft, by which links are cut".into(),
            remedy: match docker::is_bundled() {
                true => "install it here, from where containers get it (package nftables)".into(),
                false => "install it there (Debian, Ubuntu, Fedora: package nftables)".into(),
            },
        })?;
        let unavailable = |cause| Unavailable {
            cause,
            remedy: "a kernel with nf_tables, and a program nft that is as new".into(),
        };
        let table = Table::of_host(&self.token.replace('-', "_"), self.ssh_port);
        let name = table.name.clone();
        self.note(&Note::Table { name }).map_err(unavailable)?;
        let bridge = Bridge::start_in(table, nft, Entrance::plain());
        *filter = Some(bridge.map_err(|error| unavailable(error.to_string()))?);
        Ok(filter)
    }

    fn cut(&self, cuts: &[Cut]) -> Result<(), String> {
        if cuts.is_empty() && lock(&self.filter).is_none() {
            return Ok(());
        }
        let placed = |cut: &Cut| {
            let rule = Rule {
                fault: cut.fault,
                links: Vec::new(),
                ports: cut.ports.clone(),
                treatment: Treatment::Cut {
                    flap_period_ms: cut.flap_period_ms,
                },
            };
            (Arc::new(rule), cut.pairs.clone())
        };
        let placed: Vec<_> = cuts.iter().map(placed).collect();
        let filter = self
            .filter()
            .map_err(|unavailable| unavailable.to_string())?;
        let set = filter
            .as_ref()
            .map_or(Ok(()), |filter| filter.set_rules(&placed));
        set.map_err(|error| error.to_string())
    }

    fn counts(&self, fault: u64) -> u64 {
        let filter = lock(&self.filter);
        filter
            .as_ref()
            .map_or(0, |filter| filter.rule_counts(fault).affected)
    }

    fn tail(&self, from: &[u64]) -> Result<Tail, String> {
        let logs = self.logs.get().map_or(&[][..], |logs| logs);
        let piece = |(path, from): (&PathBuf, &u64)| {
            let piece = read_from(path, *from);
            piece.map_err(|error| format!("failed to read {}: {error}", path.display()))
        };
        let pieces: Result<Vec<Bytes>, String> = logs.iter().zip(from).map(piece).collect();
        Ok(Tail { pieces: pieces? })
    }

    /// Ends the node, takes back everything else, and removes the folder. Returns what went wrong.
    fn end(self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(node) = self.node.into_inner()
            && let Err(error) = node.cluster.stop()
        {
            problems.push(error.to_string());
        }
        drop(self.filter);
        let ledger = self
            .ledger
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        problems.extend(ledger.apply().problems);
        problems
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Everything behind these is replaced in one move, or appended to.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn needs_root() -> Unavailable {
    let user = Account::from_uid(geteuid()).ok().flatten();
    let user = user.map_or_else(|| geteuid().to_string(), |user| user.name);
    Unavailable {
        cause: format!("it needs root, and ssh comes in as {user}"),
        remedy: "give the host as root@HOST, or set `User root` for it in ~/.ssh/config".into(),
    }
}

/// The user of a name or number, as the node's programs are to take themselves for it: really in a
/// container, where nobody else is; on a host, whose users are others', by a user namespace.
fn user_of(user: &str) -> Result<User, String> {
    let number = user.parse().ok();
    let found = match number {
        Some(number) => Account::from_uid(Uid::from_raw(number)),
        None => Account::from_name(user),
    };
    let (number, group) = match (found, number) {
        (Ok(Some(found)), _) => (found.uid.as_raw(), found.gid.as_raw()),
        // One that has no name is a user all the same; an image may have no names at all.
        (_, Some(number)) => (number, number),
        (Ok(None), None) => return Err(format!("there is no user {user}")),
        (Err(error), None) => return Err(format!("cannot look up the user {user}: {error}")),
    };
    Ok(match docker::is_bundled() {
        true => User::Real(number, group),
        false => User::Mapped(number),
    })
}

/// Makes the node's folders and files.
fn furnish(launch: &Launch, user: Option<User>) -> Result<(), String> {
    let failed =
        |path: &Path, error: io::Error| format!("failed to write {}: {error}", path.display());
    let own = |path: &Path| match user {
        Some(User::Real(user, group)) => chown(path, Some(user), Some(group)),
        _ => Ok(()),
    };
    for folder in [&launch.folder, &launch.data_dir, &launch.log_dir] {
        let made = fs::create_dir_all(folder).and_then(|()| own(folder));
        made.map_err(|error| failed(folder, error))?;
    }
    for (path, text) in &launch.files {
        let folder = path.parent().unwrap_or(&launch.folder);
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, text))
            .and_then(|()| own(folder))
            .and_then(|()| own(path));
        written.map_err(|error| failed(path, error))?;
    }
    Ok(())
}

/// Listens on a port of its own for one connection, which gets this text.
fn meet(text: String) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = listener.local_addr()?.port();
    // Where nobody comes it ends with the agent.
    let tell = move || {
        listener
            .accept()
            .and_then(|(mut peer, _)| peer.write_all(text.as_bytes()))
    };
    thread::Builder::new().name("meeting".into()).spawn(tell)?;
    Ok(port)
}

/// From which address packets go to each of these. Nothing is sent.
fn sources(peers: &[Ipv4Addr]) -> Result<Vec<Ipv4Addr>, String> {
    let source = |peer: &Ipv4Addr| {
        super::source_towards(*peer).map_err(|error| format!("there is no way to {peer}: {error}"))
    };
    peers.iter().map(source).collect()
}

fn read_from(path: &Path, from: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => {
            file.seek(SeekFrom::Start(from))?;
            file.take(PIECE_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(Bytes(bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bytes::default()),
        Err(error) => Err(error),
    }
}

/// What comes in on standard input, until it ends.
fn requests() -> Receiver<Request> {
    let (tell, requests): (Sender<Request>, _) = channel();
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            // A line that is none of ours: what sent it cannot be trusted with a host.
            let Ok(request) = serde_json::from_str(&line) else {
                return;
            };
            if tell.send(request).is_err() {
                return;
            }
        }
    };
    // Without it there are no requests, which ends the agent.
    let _ = thread::Builder::new().name("requests".into()).spawn(read);
    requests
}

fn answer<T: Serialize>(id: u64, outcome: Result<T, String>) {
    let result = outcome.and_then(|value| {
        serde_json::to_value(value).map_err(|error| format!("failed to answer: {error}"))
    });
    say(&Said::Answer { id, result });
}

fn say(said: &Said) {
    if let Ok(mut line) = serde_json::to_vec(said) {
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        // When nobody listens any more, the input ends too.
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
}
