//! Network namespaces, made and held as file descriptors.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use crate::error::{For, SystemCall};

/// Makes a new network namespace. It exists as long as the descriptor, a process or a socket in it.
pub(crate) fn create() -> Result<OwnedFd, SystemCall> {
    // On a thread that ends right after: a thread cannot be moved back safely.
    let maker = thread::Builder::new()
        .name("namespace".into())
        .spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).call("create a network namespace")?;
            switch_ipv6_off();
            let namespace =
                File::open("/proc/thread-self/ns/net").call("open the new network namespace")?;
            Ok(OwnedFd::from(namespace))
        })
        .call("start a thread")?;
    maker
        .join()
        .unwrap_or_else(|_| Err(SystemCall::new("create a network namespace", Errno::ECHILD)))
}

/// Keeps the kernel from chatting by IPv6 on interfaces that are still to come. Where that cannot
/// be switched off, the switch floods a few more packets that nobody needs.
fn switch_ipv6_off() {
    for scope in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
}
