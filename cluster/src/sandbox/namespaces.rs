//! Leaving the shared namespaces, with or without root.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid};

use crate::error::{For, SystemCall};

/// What a sandbox has of its own. The PID namespace begins with the next child.
const SANDBOX: CloneFlags = CloneFlags::CLONE_NEWPID
    .union(CloneFlags::CLONE_NEWNS)
    .union(CloneFlags::CLONE_NEWNET)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS);

/// Puts this process, which must have one thread only, into all namespaces of a sandbox.
pub(crate) fn unshare_all() -> Result<(), SystemCall> {
    unshare_as_root(
        SANDBOX,
        "create PID, mount, network, IPC and UTS namespaces",
    )
}

/// Puts this process into new namespaces, as root there.
///
/// As root a user namespace is not needed, and without one node processes keep root's abilities.
/// In a container, root is often root in name only; then a user namespace is tried after all.
pub(crate) fn unshare_as_root(flags: CloneFlags, action: &str) -> Result<(), SystemCall> {
    if geteuid().is_root() && unshare(flags).is_ok() {
        return Ok(());
    }
    unshare_user()?;
    unshare(flags).call(action)
}

/// Puts this process into a new user namespace in which it is root.
pub(crate) fn unshare_user() -> Result<(), SystemCall> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).call("create a user namespace")?;
    map_ids(uid, gid).call("become root in the new user namespace")
}

fn map_ids(uid: Uid, gid: Gid) -> io::Result<()> {
    // A group can be mapped without privilege only once setgroups is given up (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Makes what this process mounts from now on invisible outside of its mount namespace.
pub(crate) fn make_mounts_private() -> Result<(), SystemCall> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).call("make the mounts private")
}

/// Mounts a /proc that shows this process's own PID namespace.
pub(crate) fn mount_proc() -> Result<(), SystemCall> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).call("mount a fresh /proc")
}
