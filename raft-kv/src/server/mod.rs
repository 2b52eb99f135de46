//! A node as a process: the replica with its disk, its network and its clients around it, all on
//! one thread.
//!
//! Inputs that are waiting are taken together, and what they cause is written to disk by one sync
//! (group commit), before messages and answers that depend on it go out.

mod api;
mod http;

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::bugs::Bugs;
use crate::raft::{Config, Members, Message, Name, Reads, Role, TICK_MS, Time};
use crate::replica::{Answer, BadState, Call, Output, Replica};
use crate::storage::{Storage, StorageError};
use crate::transport::{self, Tcp, Transport, Udp};

/// How many inputs are taken together.
const BATCH_INPUTS_MAX: usize = 1024;
/// How many calls may wait to be taken up.
const CALLS_QUEUED_MAX: usize = 4096;
/// How many calls may wait for their answer.
const CALLS_WAITING_MAX: usize = 16 * 1024;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub node: Name,
    /// The addresses of all nodes, this one included.
    pub cluster: Members,
    /// Begin without being a member, until added to the cluster.
    pub join: bool,
    /// The port for clients.
    pub client_port: u16,
    /// The port for the other nodes.
    pub peer_port: u16,
    /// The data folder.
    pub data: PathBuf,
    /// The bugs that are on.
    pub bugs: Bugs,
    /// How often a leader shows itself.
    pub heartbeat_ms: u64,
    /// The shortest election timeout; the longest is twice that.
    pub election_ms: u64,
    /// A snapshot is taken after so many entries.
    pub snapshot_entries: u64,
    /// What there is between the nodes.
    pub transport: transport::Kind,
    /// What a leader does before it answers a read.
    pub reads: Reads,
}

/// Why a node cannot run, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The node's own address is not known.
    #[error("node {node} is not in the cluster ({known}) (hint: name it in --cluster)")]
    NotInCluster {
        /// The node.
        node: Name,
        /// The nodes that are.
        known: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {whom}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// For clients or nodes.
        whom: &'static str,
        /// Why not.
        cause: io::Error,
    },
    /// The runtime cannot be started.
    #[error("cannot start the event loop: {0}")]
    Runtime(io::Error),
    /// The disk fails.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The stored state cannot be read.
    #[error(transparent)]
    State(#[from] BadState),
}

/// A call and where its answer goes.
type Waiting = (Call, oneshot::Sender<Answer>);

/// A node as its tasks share it; they run on one thread.
struct Node {
    settings: Settings,
    replica: RefCell<Replica>,
    calls: mpsc::Sender<Waiting>,
}

/// Runs a node until it fails. `report` gets the lines for its log.
///
/// # Errors
/// When the node cannot start, or its disk fails.
pub fn serve(
    settings: Settings,
    report: impl FnMut(&str) + 'static,
) -> Result<Infallible, ServerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServerError::Runtime)?;
    tokio::task::LocalSet::new().block_on(&runtime, start(settings, report))
}

async fn start(
    settings: Settings,
    report: impl FnMut(&str) + 'static,
) -> Result<Infallible, ServerError> {
    let own = own_address(&settings)?;
    let peers_address = SocketAddr::new(own, settings.peer_port);
    let clients_address = SocketAddr::new(own, settings.client_port);
    let for_peers = listen(peers_address, "other nodes").await?;
    let for_clients = listen(clients_address, "clients").await?;
    let members = if settings.join {
        Members::new()
    } else {
        settings.cluster.clone()
    };
    let (storage, recovered) = Storage::open(&settings.data, &members, settings.bugs)?;
    let config = Config {
        name: settings.node.clone(),
        heartbeat_ms: settings.heartbeat_ms,
        election_ms: settings.election_ms,
        message_bytes: settings.transport.message_bytes(),
        reads: settings.reads,
        bugs: settings.bugs,
        seed: entropy(),
    };
    let started = Instant::now();
    let replica = Replica::new(config, recovered, settings.snapshot_entries, now(started))?;
    let (transport, arrivals) = connect(settings.transport, for_peers, peers_address).await?;
    let (calls, called) = mpsc::channel(CALLS_QUEUED_MAX);
    let node = Rc::new(Node {
        settings,
        replica: RefCell::new(replica),
        calls,
    });
    tokio::task::spawn_local(http::accept(for_clients, Rc::clone(&node)));
    let driver = Driver {
        node,
        storage,
        transport,
        report,
        started,
        waiting: HashMap::new(),
        next_token: 0,
    };
    driver.run(arrivals, called).await
}

fn own_address(settings: &Settings) -> Result<IpAddr, ServerError> {
    settings
        .cluster
        .get(&settings.node)
        .map(|member| member.address)
        .ok_or_else(|| ServerError::NotInCluster {
            node: settings.node.clone(),
            known: settings
                .cluster
                .keys()
                .map(AsRef::as_ref)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

async fn listen(address: SocketAddr, whom: &'static str) -> Result<TcpListener, ServerError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|cause| ServerError::Listen {
        address,
        whom,
        cause,
    })
}

/// The transport, and what arrives by it.
async fn connect(
    kind: transport::Kind,
    listener: TcpListener,
    address: SocketAddr,
) -> Result<(Box<dyn Transport>, mpsc::Receiver<Message>), ServerError> {
    Ok(match kind {
        transport::Kind::Tcp => {
            let (tcp, arrivals) = Tcp::new(listener, address);
            (Box::new(tcp), arrivals)
        }
        transport::Kind::Udp => {
            let whom = "other nodes";
            let socket = UdpSocket::bind(address).await;
            let socket = socket.map_err(|cause| ServerError::Listen {
                address,
                whom,
                cause,
            })?;
            let (udp, arrivals) = Udp::new(socket, listener, address);
            (Box::new(udp), arrivals)
        }
    })
}

/// What the node's clocks show.
fn now(started: Instant) -> Time {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Time {
        ms: ms(started.elapsed()),
        wall_ms: wall.map_or(0, ms),
    }
}

/// A seed unlike that of other nodes: the standard library seeds its hash maps from the system.
fn entropy() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// The loop that feeds the replica and does what it says.
struct Driver<R> {
    node: Rc<Node>,
    storage: Storage,
    transport: Box<dyn Transport>,
    report: R,
    started: Instant,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    next_token: u64,
}

enum Input {
    Message(Message),
    Call(Waiting),
    Time,
}

impl<R: FnMut(&str)> Driver<R> {
    async fn run(
        mut self,
        mut arrivals: mpsc::Receiver<Message>,
        mut called: mpsc::Receiver<Waiting>,
    ) -> Result<Infallible, ServerError> {
        let mut ticks = tokio::time::interval(Duration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.log("started");
        loop {
            let first = tokio::select! {
                Some(message) = arrivals.recv() => Input::Message(message),
                Some(call) = called.recv() => Input::Call(call),
                _ = ticks.tick() => Input::Time,
            };
            // Tasks that are ready too may add to the batch.
            tokio::task::yield_now().await;
            // Read after whatever is in the batch had arrived: a lease that lasts now lasted then.
            let now = now(self.started);
            self.node.replica.borrow_mut().tick(now);
            self.take(first);
            for _ in 0..BATCH_INPUTS_MAX {
                if let Ok(message) = arrivals.try_recv() {
                    self.take(Input::Message(message));
                } else if let Ok(call) = called.try_recv() {
                    self.take(Input::Call(call));
                } else {
                    break;
                }
            }
            self.carry_out()?;
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Message(message) => self.node.replica.borrow_mut().receive(message),
            Input::Call((_, answer)) if self.waiting.len() >= CALLS_WAITING_MAX => {
                // Nothing was done, and nothing will be.
                drop(answer.send(Answer::NotLeader(None)));
            }
            Input::Call((call, answer)) => {
                self.next_token += 1;
                self.waiting.insert(self.next_token, answer);
                self.node.replica.borrow_mut().call(self.next_token, call);
            }
            Input::Time => {}
        }
    }

    /// Does what the replica wants done, until it wants nothing more.
    fn carry_out(&mut self) -> Result<(), ServerError> {
        loop {
            let output = self.node.replica.borrow_mut().output()?;
            if output.is_empty() {
                return Ok(());
            }
            let Output {
                actions,
                answers,
                applied: _,
            } = output;
            self.send(actions.early);
            self.storage.write(actions.writes)?;
            self.send(actions.messages);
            for (token, answer) in answers {
                if let Some(waiting) = self.waiting.remove(&token) {
                    // The client may be gone.
                    drop(waiting.send(answer));
                }
            }
            for note in actions.notes {
                self.log(&note);
            }
            self.node.replica.borrow_mut().persisted();
        }
    }

    fn send(&mut self, messages: Vec<Message>) {
        let replica = self.node.replica.borrow();
        let Settings {
            cluster, peer_port, ..
        } = &self.node.settings;
        for message in messages {
            let members = replica.raft().members();
            let address = members
                .get(&message.to)
                .or_else(|| cluster.get(&message.to));
            if let Some(member) = address {
                self.transport
                    .send(SocketAddr::new(member.address, *peer_port), message);
            }
        }
    }

    fn log(&mut self, line: &str) {
        let line = {
            let replica = self.node.replica.borrow();
            let raft = replica.raft();
            let (node, term) = (&self.node.settings.node, raft.term());
            format!(
                "{:>8} ms  {node} {} term {term}: {line}",
                now(self.started).ms,
                role(raft.role())
            )
        };
        (self.report)(&line);
    }
}

/// The role's name in the status and the log.
fn role(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate | Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}
