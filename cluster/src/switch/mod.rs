//! The packet switch: it decides for every packet of every directed link.
//!
//! One thread reads frames from a packet socket on the switch's end of each cable and writes them to
//! the cable that the destination's hardware address names. The rules of the links say what becomes
//! of each; they are replaced as a whole, and once that is done no packet is forwarded any more that
//! was judged by the old ones. A packet that is held waits in a queue with a time of its own, and
//! keeps no other waiting.
//!
//! A bulk transfer crosses a virtual cable in frames of up to 64 KiB, unsegmented and without
//! checksums, as it would between two virtual machines: such a frame counts as one packet. When
//! packets are to be treated as anything but cut, the hosts are told to cut them up themselves
//! (`links::segment_on_hosts`).

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use faults::{Rule, RuleCounts};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{For, SystemCall};
use crate::network::Placed;
use capture::{Capture, Interface};
use forwarder::Forwarder;
use link::Dropped;
use socket::PortSocket;
use table::{Output, Table};

pub use capture::CaptureSpec;
pub use rules::{Decision, LinkRule};
pub use table::LinkCounts;

mod capture;
mod chance;
mod forwarder;
mod frame;
mod link;
mod queue;
mod rules;
mod socket;
mod table;

/// A running switch. Dropping it stops it.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    seed: u64,
    missed: AtomicU64,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

/// What the switch's thread works on, and others replace and read.
#[derive(Debug)]
struct Shared {
    sockets: Box<[PortSocket]>,
    names: Box<[String]>,
    zero: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    table: Table,
    capture: Option<Capture>,
}

impl Switch {
    /// Starts a switch between the cables that end in this namespace, one for each port, given by
    /// name and number. Every link forwards. Everything is drawn from the seed.
    pub(crate) fn start(
        namespace: &OwnedFd,
        ports: &[(&str, u8)],
        seed: u64,
        capture: Option<&CaptureSpec>,
    ) -> Result<Self, SystemCall> {
        let numbers: Vec<u8> = ports.iter().map(|(_, number)| *number).collect();
        // The capture's clock and the switch's start together.
        let capture = capture.map(Capture::create).transpose()?;
        let shared = Arc::new(Shared {
            sockets: socket::open_all(namespace, &numbers)?.into(),
            names: ports.iter().map(|(name, _)| (*name).to_owned()).collect(),
            zero: Instant::now(),
            state: Mutex::new(State {
                table: Table::new(ports.len()),
                capture,
            }),
        });
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let stop = EventFd::from_flags(flags).call("make an event for the switch")?;
        let stop = Arc::new(stop);
        let forwarder = Forwarder::new(Arc::clone(&shared), Arc::clone(&stop))?;
        let thread = thread::Builder::new()
            .name("switch".into())
            .spawn(move || forwarder.run())
            .call("start the switch's thread")?;
        Ok(Self {
            shared,
            seed,
            missed: AtomicU64::new(0),
            stop,
            thread: Some(thread),
        })
    }

    /// From now on treats packets by these rules, each on these links between ports, and by no
    /// others.
    pub(crate) fn set_rules(&self, rules: &[Placed<usize>]) {
        // Sorted out before any packet has to wait for it.
        let ports = self.shared.sockets.len();
        let mut by_link: Vec<Vec<Arc<Rule>>> = vec![Vec::new(); ports * ports];
        for (rule, links) in rules {
            for (from, to) in links {
                by_link[from * ports + to].push(Arc::clone(rule));
            }
        }
        let number = |port: usize| self.shared.sockets[port].number;
        self.shared.with_output(|table, now_ns, out| {
            let fresh = |from: usize, to: usize| {
                let rules = std::mem::take(&mut by_link[from * ports + to]).into_iter();
                let fresh = |rule| LinkRule::new(rule, self.seed, number(from), number(to), now_ns);
                rules.map(fresh).collect()
            };
            table.replace(fresh, now_ns, out);
        });
    }

    /// What became of the packets from one port to another so far.
    pub(crate) fn counts(&self, from: usize, to: usize) -> LinkCounts {
        self.shared.lock().table.counts(from, to)
    }

    /// What the rules of one fault did so far.
    pub(crate) fn rule_counts(&self, fault: u64) -> RuleCounts {
        self.shared.lock().table.rule_counts(fault)
    }

    /// How many packets were lost so far because the switch did not keep up. Those of a socket that
    /// cannot be asked count from the next time.
    pub(crate) fn missed(&self) -> u64 {
        let sockets = self.shared.sockets.iter();
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

impl Shared {
    /// A panic cannot have torn what the lock guards worse than a packet lost.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the table while no packet is forwarded by anyone else.
    fn with_output<T>(&self, work: impl FnOnce(&mut Table, u64, &mut Sending) -> T) -> T {
        let mut state = self.lock();
        let State { table, capture } = &mut *state;
        // Read under the lock, so that it never goes back.
        let now_ns = self.zero.elapsed().as_nanos() as u64;
        let mut sending = Sending {
            shared: self,
            capture: capture.as_mut(),
            now_ns,
        };
        work(table, now_ns, &mut sending)
    }

    /// A frame came in at one port for another.
    fn offer(&self, link: (usize, usize), frame: &[u8]) {
        self.with_output(|table, now_ns, out| table.offer(link, frame, now_ns, out));
    }

    fn release_due(&self) {
        self.with_output(|table, now_ns, out| table.release_due(now_ns, out));
    }

    /// When the next packet is to be released, and what time it is.
    fn finish_turn(&self) -> (Option<u64>, u64) {
        self.with_output(|table, now_ns, out| {
            if let Some(capture) = &mut out.capture {
                capture.flush();
            }
            (table.next_release_ns(), now_ns)
        })
    }
}

/// Sends frames to the cables, and to the capture if there is one.
struct Sending<'a> {
    shared: &'a Shared,
    capture: Option<&'a mut Capture>,
    now_ns: u64,
}

impl Output for Sending<'_> {
    fn send(&mut self, _from: usize, to: usize, frame: &[u8]) -> bool {
        let found_room = self.shared.sockets[to].send(frame);
        if found_room && let Some(capture) = &mut self.capture {
            capture.add(Interface::Forwarded, self.now_ns, frame, "");
        }
        found_room
    }

    fn dropped(&mut self, from: usize, to: usize, frame: &[u8], why: Dropped) {
        if let Some(capture) = &mut self.capture {
            let names = &self.shared.names;
            let comment = format!("{} {} to {}", why.name(), names[from], names[to]);
            capture.add(Interface::Dropped, self.now_ns, frame, &comment);
        }
    }
}
