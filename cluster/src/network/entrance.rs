//! The way into a network namespace.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::error::{For, SystemCall};

/// The way into one host of the network. In plain mode there is one network only, and entering it
/// does nothing.
#[derive(Debug, Clone)]
pub struct Entrance(Option<Arc<OwnedFd>>);

impl Entrance {
    pub(crate) fn to(namespace: Arc<OwnedFd>) -> Self {
        Self(Some(namespace))
    }

    /// To where the calling thread is already.
    pub fn plain() -> Self {
        Self(None)
    }

    /// Moves the calling *thread* to this host for good: every socket it makes from now on, and
    /// every thread it starts, is there. A socket keeps the host on which it was made.
    ///
    /// Call it at the top of a thread of your own (such as one with a current-thread runtime),
    /// never on a worker that serves others too.
    pub fn enter(&self) -> Result<(), SystemCall> {
        match &self.0 {
            Some(namespace) => {
                setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).call("enter a network namespace")
            }
            None => Ok(()),
        }
    }

    /// Runs `work` on a thread of its own on this host, and waits for it.
    ///
    /// # Panics
    ///
    /// Goes on with the panic of `work`, if it panics.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, SystemCall> {
        thread::scope(|scope| {
            let worker = thread::Builder::new()
                .name("host".into())
                .spawn_scoped(scope, || {
                    self.enter()?;
                    Ok(work())
                })
                .call("start a thread")?;
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}
