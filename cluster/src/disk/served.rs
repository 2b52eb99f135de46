//! One node's disk: its files, the faults in force, and the lives of the node that use it.
//!
//! A crash is in two steps. At its moment the gate closes: no request is answered any more, so that
//! nothing the node does afterwards can follow from one. Then the node's processes are killed, the
//! gate opens for them to end, and what is not durable is taken back.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use faults::{Crash, DiskRule, Spot, Unavailable};
use fuser::{Config, INodeNo, Notifier, ReplyEmpty, Session, SessionACL};
use histories::Value;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use super::adapter::Adapter;
use super::damage;
use super::files::Files;
use super::journal::Ino;
use super::loss::Loss;
use super::mount;
use super::rules::Rules;
use super::unsynced::Torn;
use crate::error::{For, SystemCall};
use crate::sandbox::namespaces::make_mounts_private;

/// Within how long a crash that has begun must be complete.
const CRASH_LIMIT: Duration = Duration::from_secs(15);

/// One node's disk. Mounted anew for each life of the node.
#[derive(Debug)]
pub(crate) struct NodeDisk {
    shared: Arc<Shared>,
}

/// What the threads that serve a disk share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Told when the node is to be killed.
    crashed: Sender<()>,
}

#[derive(Debug)]
pub(super) struct State {
    pub files: Files,
    pub rules: Rules,
    /// The number of the node's life; requests of an earlier one are refused.
    life: u64,
    /// What is happening to the node, from its moment until it is complete.
    crash: Option<Crashing>,
    /// Whether the power fails as soon as something is not durable.
    is_armed: bool,
    /// Whether requests are refused instead of held up during a crash.
    is_dying: bool,
    held: Vec<Held>,
    notifier: Option<Notifier>,
    is_closed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Crashing {
    what: Crash,
    /// By which fault, and at which file.
    by: Option<(u64, Ino)>,
}

/// An fsync that takes its time.
#[derive(Debug)]
struct Held {
    until: Instant,
    fault: u64,
    ino: Ino,
    lies: bool,
    reply: ReplyEmpty,
}

/// Whether a disk can be served and mounted by this process.
pub(crate) fn available() -> Result<(), Unavailable> {
    let made = mount::open_device().and_then(|device| mount::make(&device));
    made.map(drop).map_err(|error| Unavailable {
        cause: error.to_string(),
        remedy: crate::doctor::device_advice(mount::DEVICE),
    })
}

/// Tries it for real: a disk below a folder in `folder`, which loses what was not synced. This
/// process must be allowed to mount.
pub(crate) fn try_in(
    folder: &Path,
    in_child: impl FnOnce(&OwnedFd, &Path) -> Result<(), SystemCall>,
) -> Result<(), SystemCall> {
    let (data, kept) = (folder.join("data"), folder.join("unsynced"));
    let (crashed, _) = channel();
    let disk = NodeDisk::open(&data, &kept, crashed).call("keep files for a disk")?;
    in_child(&disk.mount()?, &data)?;
    disk.cut_power(Duration::ZERO);
    disk.settle().call("reset the disk")?;
    if data.join("kept").exists() && !data.join("lost").exists() {
        return Ok(());
    }
    Err(SystemCall::new("lose what was not synced", Errno::EIO))
}

/// Puts the disk over a folder, and uses it: what a node of the trial does. Never in the process
/// that serves the disk: killed in the middle of a request to itself, it could never end.
pub(crate) fn use_in_trial(mount: OwnedFd, place: &Path) -> Result<(), SystemCall> {
    // In a mount namespace of its own, as a node is: elsewhere the folder stays what it is.
    unshare(CloneFlags::CLONE_NEWNS).call("create a mount namespace")?;
    make_mounts_private()?;
    mount::attach(mount, place)?;
    fs::write(place.join("kept"), "x").call("write to the disk")?;
    for path in [&place.join("kept"), place] {
        let file = fs::File::open(path).and_then(|file| file.sync_all());
        file.call("sync the disk")?;
    }
    fs::write(place.join("lost"), "x").call("write to the disk")
}

impl NodeDisk {
    /// The disk below a data folder; what the folder holds is durable. `kept` is a folder beside it
    /// for what the node removes. `crashed` is told when a fault demands that the node be killed.
    pub fn open(data: &Path, kept: &Path, crashed: Sender<()>) -> io::Result<Self> {
        let state = State {
            files: Files::load(data, kept)?,
            rules: Rules::default(),
            life: 0,
            crash: None,
            is_armed: false,
            is_dying: false,
            held: Vec::new(),
            notifier: None,
            is_closed: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            crashed,
        });
        let timer = Arc::clone(&shared);
        let named = thread::Builder::new().name("slow fsync".into());
        named.spawn(move || timer.answer_held())?;
        Ok(Self { shared })
    }

    /// A mount of the disk for a new life of the node, to be put into its mount namespace, and
    /// served until that ends.
    pub fn mount(&self) -> Result<OwnedFd, SystemCall> {
        let mut state = self.shared.lock();
        state.begin_life();
        let life = state.life;
        drop(state);
        let device = mount::open_device()?;
        let mount = mount::make(&device)?;
        let adapter = Adapter::new(Arc::clone(&self.shared), life);
        let session = Session::from_fd(adapter, device, SessionACL::All, Config::default())
            .map_err(|error| SystemCall::from_io("begin to serve a FUSE file system", &error))?;
        self.shared.lock().notifier = Some(session.notifier());
        let named = thread::Builder::new().name("disk".into());
        // It ends with the mount; what it could complain of then is nobody's business.
        named
            .spawn(move || drop(session.run()))
            .map_err(|error| SystemCall::from_io("start a thread", &error))?;
        Ok(mount)
    }

    /// From the moment in which something is not durable, nothing is answered any more.
    pub fn arm_power_loss(&self) {
        let mut state = self.shared.lock();
        state.is_armed = true;
        state.fire_if_armed();
    }

    /// From this moment nothing is answered, until the node is dead: its power fails. If that was
    /// armed, waits for it to come by itself, but not longer than `limit`.
    pub fn cut_power(&self, limit: Duration) {
        let state = self.shared.lock();
        let (mut state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |state| {
                state.is_armed && state.crash.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.is_armed = false;
        let by = state.crash.and_then(|crash| crash.by);
        state.crash = Some(Crashing {
            what: Crash::PowerLoss,
            by,
        });
    }

    /// Every process of the node is about to die, whatever it is told: requests that are held up
    /// are refused now, else those processes could not end.
    pub fn let_die(&self) {
        let mut state = self.shared.lock();
        state.is_dying = true;
        for held in std::mem::take(&mut state.held) {
            held.reply.error(fuser::Errno::EIO);
        }
        self.shared.changed.notify_all();
    }

    /// The node is dead. Returns what it lost, if its power failed.
    pub fn settle(&self) -> Result<Option<Loss>, Errno> {
        let mut state = self.shared.lock();
        state.end_life();
        let crash = state.crash;
        let torn = |of: Ino, crash: Crash| match crash {
            Crash::TornWrite {
                keep_permille,
                boundary_bytes,
            } => Some((
                of,
                Torn {
                    keep_permille,
                    boundary_bytes,
                },
            )),
            Crash::Kill | Crash::PowerLoss => None,
        };
        let loss = match crash {
            None => Ok(None),
            Some(Crashing {
                what: Crash::Kill, ..
            }) => Ok(Some(Loss::default())),
            Some(Crashing { what, by }) => {
                let torn = by.and_then(|(_, ino)| torn(ino, what));
                state.files.lose_unsynced(torn).map(Some)
            }
        };
        if let (
            Some(Crashing {
                by: Some((fault, _)),
                ..
            }),
            Ok(Some(loss)),
        ) = (crash, &loss)
        {
            state.rules.crashed(fault, Value::Map(loss.evidence()));
        }
        state.crash = None;
        state.is_armed = false;
        self.shared.changed.notify_all();
        loss
    }

    /// From now on this is in force.
    pub fn impose(&self, fault: u64, rule: DiskRule) {
        let reads = matches!(&rule, DiskRule::Fail { operation, .. }
            if *operation == faults::DiskOperation::Read);
        self.shared.lock().rules.impose(fault, rule);
        if reads {
            // What the kernel remembers of files it would not ask for again.
            let files = self.shared.lock().files.tree.files();
            self.forget_content(files.into_iter().map(|(_, ino)| ino));
        }
    }

    /// Ends a fault, after a crash that is under way, and says what it did.
    pub fn lift(&self, fault: u64) -> Result<Value, Errno> {
        let state = self.shared.lock();
        let (mut state, limit) = self
            .shared
            .changed
            .wait_timeout_while(state, CRASH_LIMIT, |state| state.crash.is_some())
            .unwrap_or_else(PoisonError::into_inner);
        if limit.timed_out() {
            return Err(Errno::ETIMEDOUT);
        }
        let now = Instant::now();
        for held in state.held.iter_mut().filter(|held| held.fault == fault) {
            held.until = now;
        }
        self.shared.changed.notify_all();
        Ok(state.rules.lift(fault))
    }

    /// Damages files that match, and says which and where.
    pub fn damage(&self, path: &str, spots: &[Spot]) -> Result<Value, Errno> {
        let (done, files) = damage::inflict(&self.shared.lock().files, path, spots)?;
        self.forget_content(files.into_iter());
        Ok(done)
    }

    /// Lets the kernel forget what is in these files. Not to be called with the state locked: the
    /// kernel may have to ask for something first.
    fn forget_content(&self, files: impl Iterator<Item = Ino>) {
        let notifier = self.shared.lock().notifier.clone();
        if let Some(notifier) = notifier {
            for ino in files {
                // It may not know the file, or the node may be gone.
                let _ = notifier.inval_inode(INodeNo(ino), 0, 0);
            }
        }
    }
}

impl Drop for NodeDisk {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        state.files.close();
        self.shared.changed.notify_all();
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A request that panicked may have left a change half noted; the next one can only go on
        // with what there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at the gate, then gives what a request of this life acts on.
    pub(super) fn enter(&self, life: u64) -> Result<MutexGuard<'_, State>, Errno> {
        let mut state = self.lock();
        if state.life == life && state.fire_if_armed() {
            self.changed.notify_all();
        }
        let state = self
            .changed
            .wait_while(state, |state| {
                state.life == life && state.crash.is_some() && !state.is_dying
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.life == life && state.crash.is_none() {
            Ok(state)
        } else {
            Err(Errno::EIO)
        }
    }

    /// The node crashes now, by this fault at this file: closes the gate, has the node killed, and
    /// waits for the moment in which the request can be refused.
    pub(super) fn crash(
        &self,
        mut state: MutexGuard<'_, State>,
        life: u64,
        (fault, what): (u64, Crash),
        ino: Ino,
    ) -> Errno {
        state.crash = Some(Crashing {
            what,
            by: Some((fault, ino)),
        });
        drop(state);
        // When nobody listens any more, the cluster is being ended, and the node with it.
        let _ = self.crashed.send(());
        self.enter(life).err().unwrap_or(Errno::EIO)
    }

    /// Answers fsyncs that take their time, when it is over. They take effect only then.
    fn answer_held(&self) {
        let mut state = self.lock();
        while !state.is_closed {
            let now = Instant::now();
            // During a crash nobody is told anything.
            if state.crash.is_none()
                && let Some(at) = state.held.iter().position(|held| held.until <= now)
            {
                let held = state.held.swap_remove(at);
                match state.sync(held.ino, held.lies) {
                    Ok(()) => held.reply.ok(),
                    Err(error) => held.reply.error(fuser::Errno::from_i32(error as i32)),
                }
                continue;
            }
            let next = state.held.iter().map(|held| held.until).min();
            let wait = match next.filter(|_| state.crash.is_none()) {
                Some(next) => next.saturating_duration_since(now),
                None => CRASH_LIMIT,
            };
            (state, _) = self
                .changed
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Answers an fsync later.
    pub(super) fn hold(
        &self,
        mut state: MutexGuard<'_, State>,
        (delay_ms, fault): (u64, u64),
        (ino, lies): (Ino, bool),
        reply: ReplyEmpty,
    ) {
        state.held.push(Held {
            until: Instant::now() + Duration::from_millis(delay_ms),
            fault,
            ino,
            lies,
            reply,
        });
        self.changed.notify_all();
    }
}

impl State {
    /// Makes a file or folder durable, or only says so.
    pub(super) fn sync(&mut self, ino: Ino, lies: bool) -> Result<(), Errno> {
        if lies { Ok(()) } else { self.files.sync(ino) }
    }

    /// If the power is to fail as soon as something is not durable, and something is, it does.
    fn fire_if_armed(&mut self) -> bool {
        let fires = self.is_armed && self.crash.is_none() && self.files.has_unsynced();
        if fires {
            self.is_armed = false;
            self.crash = Some(Crashing {
                what: Crash::PowerLoss,
                by: None,
            });
        }
        fires
    }

    /// Whether it is still this life of the node.
    pub(super) fn is_life(&self, life: u64) -> bool {
        self.life == life
    }

    fn begin_life(&mut self) {
        self.end_life();
        self.is_dying = false;
    }

    fn end_life(&mut self) {
        self.life += 1;
        self.notifier = None;
        for held in std::mem::take(&mut self.held) {
            held.reply.error(fuser::Errno::EIO);
        }
        self.files.abandoned();
    }
}
