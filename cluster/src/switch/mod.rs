//! The packet switch: it decides for every packet of every directed link.
//!
//! One thread reads frames from a packet socket on the switch's end of each cable and writes them to
//! the cable that the destination's hardware address names. The table of links says what becomes of
//! each; it is replaced as a whole, and once that is done no packet is forwarded any more that was
//! judged by the old table.
//!
//! A bulk transfer crosses a virtual cable in frames of up to 64 KiB, unsegmented and without
//! checksums, as it would between two virtual machines: such a frame counts as one packet.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{For, SystemCall};
use forwarder::Forwarder;
use socket::PortSocket;
use table::Links;

pub use table::{LinkCounts, LinkPolicy};

mod forwarder;
mod socket;
mod table;

/// A running switch. Dropping it stops it.
#[derive(Debug)]
pub struct Switch {
    links: Arc<Links>,
    sockets: Arc<[PortSocket]>,
    missed: AtomicU64,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Starts a switch between the cables that end in this namespace, one for each port number.
    /// Every link forwards.
    pub(crate) fn start(namespace: &OwnedFd, numbers: &[u8]) -> Result<Self, SystemCall> {
        let sockets: Arc<[_]> = socket::open_all(namespace, numbers)?.into();
        let links = Arc::new(Links::new(numbers.len()));
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let stop = EventFd::from_flags(flags).call("make an event for the switch")?;
        let stop = Arc::new(stop);
        let forwarder =
            Forwarder::new(Arc::clone(&sockets), Arc::clone(&links), Arc::clone(&stop))?;
        let thread = thread::Builder::new()
            .name("switch".into())
            .spawn(move || forwarder.run())
            .call("start the switch's thread")?;
        Ok(Self {
            links,
            sockets,
            missed: AtomicU64::new(0),
            stop,
            thread: Some(thread),
        })
    }

    /// From now on drops every packet from the first to the second port of each pair, and of no
    /// other.
    pub(crate) fn set_cuts(&self, cuts: &BTreeSet<(usize, usize)>) {
        self.links.replace(|from, to| LinkPolicy {
            cut: cuts.contains(&(from, to)),
        });
    }

    /// What became of the packets from one port to another so far.
    pub(crate) fn counts(&self, from: usize, to: usize) -> LinkCounts {
        self.links.counts(from, to)
    }

    /// How many packets were lost so far because the switch did not keep up. Those of a socket that
    /// cannot be asked count from the next time.
    pub(crate) fn missed(&self) -> u64 {
        let sockets = self.sockets.iter();
        let missed: u64 = sockets.filter_map(|socket| socket.take_missed().ok()).sum();
        self.missed.fetch_add(missed, Ordering::Relaxed) + missed
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // The event is ours and its counter far from full, so this cannot fail; if it did, the
        // thread would be waited for in vain, so then it is left to itself.
        if self.stop.write(1).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}
