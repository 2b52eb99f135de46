//! The trials themselves, each run in a process of its own.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use faults::{Link, Network as _, Rule, Treatment};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{geteuid, getpid};

use crate::clock;
use crate::disk;
use crate::error::{ClusterError, For, SystemCall};
use crate::hidden::{StageError, parse_fd, stage_command};
use crate::init::pid_of;
use crate::lifeline::{inherit, inherited};
use crate::mode::Mode;
use crate::network::{Addresses, Backend, Network, NetworkSpec, connections, links};
use crate::node::limits::cgroup;
use crate::node::uptime::Uptime;
use crate::sandbox::namespaces::{make_mounts_private, mount_proc, unshare_as_root, unshare_user};

pub(super) const USER: &str = "user";
pub(super) const PROC: &str = "proc";
pub(super) const NETWORK: &str = "network";
pub(super) const SWITCH: &str = "switch";
pub(super) const CLOCK: &str = "clock";
pub(super) const BOOT: &str = "boot";
pub(super) const FUSE: &str = "fuse";
pub(super) const RESET: &str = "reset";
pub(super) const BRIDGE: &str = "bridge";
pub(super) const CGROUP: &str = "cgroup";

/// Halves of trials that need two processes.
const PROC_INSIDE: &str = "proc-inside";
const CLOCK_TARGET: &str = "clock-target";
const FUSE_INSIDE: &str = "fuse-inside";

/// How long a trial may wait for its turn on a busy machine.
const TRIAL_SLACK: Duration = Duration::from_secs(60);

/// How long a packet may be under way.
const PACKET_LIMIT: Duration = Duration::from_secs(2);

/// Between two looks at the counter of dropped packets.
const COUNTER_POLL: Duration = Duration::from_millis(1);

/// Runs the trial of this name. A failure is the cause, in words.
pub(crate) fn run(args: &[OsString]) -> Result<u8, StageError> {
    let id = args.first().and_then(|id| id.to_str()).unwrap_or_default();
    let outcome = match id {
        USER => unshare_user().map_err(ClusterError::from),
        PROC => try_proc(),
        PROC_INSIDE => try_proc_inside(),
        NETWORK => try_network(),
        SWITCH => try_network_with(Backend::Switch),
        CLOCK => return try_clock(),
        CLOCK_TARGET => wait_for_end_of_input(),
        BOOT => try_boot(),
        FUSE => try_disk(),
        FUSE_INSIDE => try_disk_inside(&args[1..]),
        RESET => try_reset(),
        BRIDGE => try_network_with(Backend::Bridge),
        CGROUP => cgroup::try_all().map_err(ClusterError::from),
        _ => return Err(StageError::usage("a trial that exists")),
    };
    let failed = |error: ClusterError| StageError {
        message: match error {
            ClusterError::Network(call) => call.to_string(),
            ClusterError::Unavailable(unavailable) => unavailable.cause,
            other => other.to_string(),
        },
        code: 1,
    };
    outcome.map(|()| 0).map_err(failed)
}

fn try_proc() -> Result<(), ClusterError> {
    let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    unshare_as_root(flags, "create PID and mount namespaces")?;
    let output = stage_command("trial")
        .call("start a trial")?
        .arg(PROC_INSIDE)
        .output()
        .call("start the first process of a PID namespace")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(SystemCall::new(said.trim(), Errno::EPERM).into())
}

fn try_proc_inside() -> Result<(), ClusterError> {
    make_mounts_private()?;
    mount_proc()?;
    let status = fs::read_link("/proc/self").call("read the fresh /proc")?;
    if getpid().as_raw() != 1 || status.as_os_str() != "1" {
        return Err(SystemCall::new("be the first in a PID namespace", Errno::EINVAL).into());
    }
    Ok(())
}

fn try_network() -> Result<(), ClusterError> {
    unshare_as_root(CloneFlags::CLONE_NEWNET, "create a network namespace")?;
    links::bring_loopback_up()
}

/// A connection of our own, ended by the kernel.
fn try_reset() -> Result<(), ClusterError> {
    unshare_as_root(CloneFlags::CLONE_NEWNET, "create a network namespace")?;
    links::bring_loopback_up()?;
    Ok(connections::try_reset()?)
}

/// Two hosts, a packet from one to the other, a cut that stops the next, and a heal.
fn try_network_with(backend: Backend) -> Result<(), ClusterError> {
    // Inside a sandbox we are root already.
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        unshare_as_root(CloneFlags::CLONE_NEWNET, "create a network namespace")?;
    }
    let spec = NetworkSpec {
        backend,
        ..NetworkSpec::default()
    };
    let addresses = Addresses::plan(Mode::Sandbox, &["one", "two"])?;
    let network = Network::build(&addresses, &spec)?;
    let bind = |name: &str| {
        let address = addresses.of(name).into_iter().zip([0]).next();
        let address = address.ok_or_else(|| ClusterError::NoSuchNode(name.into()))?;
        let host = network.entrance(name);
        let host = host.ok_or_else(|| ClusterError::NoSuchNode(name.into()))?;
        let socket = host.run(|| UdpSocket::bind(address))?;
        Ok::<_, ClusterError>(socket.call("open a socket on a host")?)
    };
    let (one, two) = (bind("one")?, bind("two")?);
    two.set_read_timeout(Some(PACKET_LIMIT))
        .call("set a time limit")?;
    let destination = two.local_addr().call("ask for a socket's address")?;
    let send = |text: &[u8]| one.send_to(text, destination).call("send a packet");
    let mut buffer = [0; 16];
    let cut = Rule {
        fault: 1,
        links: vec![Link {
            from: "one".into(),
            to: "two".into(),
        }],
        ports: Vec::new(),
        treatment: Treatment::Cut { flap_period_ms: 0 },
    };
    let set_rules = |rules: &[Rule]| {
        network
            .set_rules(rules)
            .map_err(|error| ClusterError::Names(error.to_string()))
    };

    send(b"first")?;
    two.recv(&mut buffer)
        .call("receive a packet through the switch")?;
    set_rules(std::slice::from_ref(&cut))?;
    send(b"second")?;
    let deadline = Instant::now() + PACKET_LIMIT;
    while faults::Network::counts(&network, cut.fault).affected == 0 {
        if Instant::now() > deadline {
            return Err(SystemCall::new("cut a link of the switch", Errno::ETIMEDOUT).into());
        }
        std::thread::sleep(COUNTER_POLL);
    }
    set_rules(&[])?;
    send(b"third")?;
    let length = two.recv(&mut buffer).call("receive a packet after a cut")?;
    if &buffer[..length] != b"third" {
        return Err(SystemCall::new("drop the packets of a cut link", Errno::EBADMSG).into());
    }
    Ok(())
}

/// A time namespace in which a day has passed since the machine's start.
fn try_boot() -> Result<(), ClusterError> {
    const DAY: Duration = Duration::from_secs(86_400);
    // Inside a sandbox we are root already.
    if !geteuid().is_root() {
        unshare_user()?;
    }
    let uptime = Uptime::of(DAY);
    uptime.enter()?;
    let shown = Uptime::default().now();
    if (DAY..DAY + TRIAL_SLACK).contains(&shown) {
        return Ok(());
    }
    Err(SystemCall::new("see the clocks of a time namespace", Errno::EINVAL).into())
}

/// The clock of a child, changed, read and put back.
fn try_clock() -> Result<u8, StageError> {
    let failed = |message| StageError { message, code: 1 };
    let start = |error| failed(format!("cannot start a process to be traced: {error}"));
    let mut target = stage_command("trial")
        .map_err(start)?
        .arg(CLOCK_TARGET)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let outcome = clock::attempt(pid_of(&target));
    // It ends when its input ends; killed, it ends for certain.
    let _ = target.kill();
    let _ = target.wait();
    outcome.map(|()| 0).map_err(failed)
}

fn wait_for_end_of_input() -> Result<(), ClusterError> {
    io::copy(&mut io::stdin(), &mut io::sink()).call("wait to be traced")?;
    Ok(())
}

/// A disk of ours over a folder, in a mount namespace of its own, that loses what was not synced.
fn try_disk() -> Result<(), ClusterError> {
    unshare_as_root(CloneFlags::CLONE_NEWNS, "create a mount namespace")?;
    make_mounts_private()?;
    let folder = env::temp_dir().join(format!("whitewater-trial-{}", process::id()));
    fs::create_dir(&folder).call(format_args!("make the folder {}", folder.display()))?;
    let outcome = disk::try_in(&folder, |mount, place| {
        let mut node = stage_command("trial").call("start a trial")?;
        node.arg(FUSE_INSIDE)
            .arg(mount.as_raw_fd().to_string())
            .arg(place);
        inherit(&mut node, mount);
        let output = node.output().call("start a process on the disk")?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(SystemCall::new(said.trim(), Errno::EIO))
            }
        }
    });
    // What is in it is ours and nobody else's.
    let _ = fs::remove_dir_all(&folder);
    Ok(outcome?)
}

fn try_disk_inside(args: &[OsString]) -> Result<(), ClusterError> {
    let [fd, place] = args else {
        return Err(SystemCall::new("find the disk and its place", Errno::EINVAL).into());
    };
    let fd = parse_fd(Some(fd)).map_err(|_| SystemCall::new("find the disk", Errno::EBADF))?;
    Ok(disk::use_in_trial(inherited(fd)?, Path::new(place))?)
}
