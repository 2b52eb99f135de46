//! The switch's one thread.

use std::os::fd::AsFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::Shared;
use super::socket::OFFLOAD_HEADER_BYTES;
use crate::error::{For, SystemCall};

/// What the thread is woken for, if not for the port of this index.
const STOP: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// How many frames of one port are forwarded before the others get their turn.
const FRAMES_PER_TURN_MAX: usize = 64;

/// Larger than any frame: 64 KiB of payload and its headers.
const FRAME_BYTES_MAX: usize = 72 << 10;

/// No port has this index.
const NO_PORT: u8 = u8::MAX;

pub(super) struct Forwarder {
    shared: Arc<Shared>,
    /// The index of the port for each last byte of a hardware address.
    by_number: [u8; 256],
    epoll: Epoll,
    timer: TimerFd,
    /// What the timer is set to.
    timer_ns: Option<u64>,
    /// Kept open for as long as the thread may be woken by it.
    _stop: Arc<EventFd>,
}

impl Forwarder {
    pub fn new(shared: Arc<Shared>, stop: Arc<EventFd>) -> Result<Self, SystemCall> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).call("make an epoll")?;
        let watch = |fd: &dyn AsFd, data| {
            epoll
                .add(fd.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, data))
                .call("watch a packet socket")
        };
        let mut by_number = [NO_PORT; 256];
        for (index, socket) in (0_u8..).zip(&*shared.sockets) {
            watch(socket, u64::from(index))?;
            by_number[usize::from(socket.number)] = index;
        }
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).call("make a timer")?;
        watch(&timer, TIMER)?;
        watch(&*stop, STOP)?;
        Ok(Self {
            shared,
            by_number,
            epoll,
            timer,
            timer_ns: None,
            _stop: stop,
        })
    }

    /// Forwards frames until told to stop.
    pub fn run(mut self) {
        let mut events = [EpollEvent::empty(); 32];
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        loop {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => &events[..count],
                Err(Errno::EINTR) => continue,
                // The descriptors are ours and stay open, so nothing else can be wrong.
                Err(_) => return,
            };
            for event in ready {
                match (event.data(), usize::try_from(event.data())) {
                    (TIMER, _) => self.timer_rang(),
                    (_, Ok(port)) if port < self.shared.sockets.len() => {
                        self.serve(port, &mut buffer);
                    }
                    _ => return,
                }
            }
            self.set_timer();
        }
    }

    fn serve(&self, from: usize, buffer: &mut [u8]) {
        for _ in 0..FRAMES_PER_TURN_MAX {
            let Some(frame) = self.shared.sockets[from].receive(buffer) else {
                return;
            };
            match destination(frame) {
                Some(Destination::Everyone) => {
                    for to in (0..self.shared.sockets.len()).filter(|to| *to != from) {
                        self.shared.offer((from, to), frame);
                    }
                }
                Some(Destination::Port(number)) => {
                    let to = usize::from(self.by_number[usize::from(number)]);
                    if to < self.shared.sockets.len() && to != from {
                        self.shared.offer((from, to), frame);
                    }
                }
                None => {}
            }
        }
    }

    fn timer_rang(&mut self) {
        self.timer_ns = None;
        // Only makes it quiet; that it does not block was asked for.
        let _ = self.timer.wait();
        self.shared.release_due();
    }

    /// Sets the timer for the next packet that is held, and writes out the capture.
    fn set_timer(&mut self) {
        let (next_ns, now_ns) = self.shared.finish_turn();
        if next_ns.is_none() || next_ns == self.timer_ns {
            return;
        }
        self.timer_ns = next_ns;
        let wait_ns = next_ns.unwrap_or(now_ns).saturating_sub(now_ns).max(1);
        let wait = TimeSpec::from_duration(std::time::Duration::from_nanos(wait_ns));
        // It is ours and the time is a valid one. If it failed all the same, the next frame of any
        // port would let the packets go.
        let _ = self
            .timer
            .set(Expiration::OneShot(wait), TimerSetTimeFlags::empty());
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Destination {
    Everyone,
    Port(u8),
}

/// Whom the destination address of an Ethernet frame names; `None` for a frame without one.
fn destination(frame: &[u8]) -> Option<Destination> {
    let address = frame.get(OFFLOAD_HEADER_BYTES..OFFLOAD_HEADER_BYTES + 6)?;
    // The lowest bit of the first byte marks an address of a group (IEEE 802.3, 3.2.3).
    Some(if address[0] & 1 == 1 {
        Destination::Everyone
    } else {
        Destination::Port(address[5])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_read_behind_the_offload_header() {
        let frame = |address: [u8; 6]| [&[0xff; OFFLOAD_HEADER_BYTES][..], &address].concat();
        let rows = [
            (frame([2, 0, 0, 0, 0, 7]), Some(Destination::Port(7))),
            (frame([0xff; 6]), Some(Destination::Everyone)),
            (frame([0x33, 0x33, 0, 0, 0, 1]), Some(Destination::Everyone)),
            (frame([2, 0, 0, 0, 0, 7])[..15].to_vec(), None),
            (Vec::new(), None),
        ];
        for (frame, expected) in rows {
            assert_eq!(destination(&frame), expected, "{frame:?}");
        }
    }
}
