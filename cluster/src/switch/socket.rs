//! Packet sockets (packet(7)) on the switch's ends of the cables.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::unistd::{read, write};

use crate::error::{For, SystemCall};
use crate::network::Entrance;
use crate::network::links::switch_interface;

/// What the kernel puts before each frame and wants before each frame: how a frame larger than the
/// cable's is to be cut up, and whether its checksum is still to be computed (virtio_net.h).
pub(super) const OFFLOAD_HEADER_BYTES: usize = 10;

/// From linux/if_packet.h.
const PACKET_STATISTICS: libc::c_int = 6;
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Room for the bursts of a bulk transfer, whose frames have up to 64 KiB.
const RECEIVE_BUFFER_BYTES: libc::c_int = 16 << 20;

/// A packet socket bound to the switch's end of one cable.
#[derive(Debug)]
pub(super) struct PortSocket {
    pub number: u8,
    socket: OwnedFd,
}

/// Opens a socket for each port number, in the namespace where the cables end.
pub(super) fn open_all(namespace: &OwnedFd, numbers: &[u8]) -> Result<Vec<PortSocket>, SystemCall> {
    let namespace = Arc::new(namespace.try_clone().call("keep the switch's namespace")?);
    Entrance::to(namespace).run(|| {
        numbers
            .iter()
            .map(|number| PortSocket::open(*number))
            .collect()
    })?
}

impl PortSocket {
    fn open(number: u8) -> Result<Self, SystemCall> {
        let interface = switch_interface(number);
        let index = if_nametoindex(interface.as_str())
            .call(format_args!("find the interface {interface}"))?;
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: takes and returns plain numbers. Protocol 0: nothing arrives before it is bound.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        let socket = Errno::result(socket).call("open a packet socket")?;
        // SAFETY: the descriptor was just made and nobody else knows it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };

        set_option(&socket, libc::SOL_PACKET, PACKET_VNET_HDR, 1)
            .call("keep frames unsegmented on a packet socket")?;
        set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            .call("keep a packet socket from hearing itself")?;
        // Beyond the system's limit where the privilege is real, else up to that limit.
        let room = RECEIVE_BUFFER_BYTES;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, room)
            .or_else(|_| set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, room))
            .call("enlarge a packet socket's buffer")?;
        bind(&socket, index).call(format_args!("bind a packet socket to {interface}"))?;
        Ok(Self { number, socket })
    }

    /// The next frame with its offload header; `None` if there is none now.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        loop {
            match read(&self.socket, buffer) {
                Ok(length) => return buffer.get(..length),
                Err(Errno::EINTR) => {}
                // Nothing there, or the cable is being taken down.
                Err(_) => return None,
            }
        }
    }

    /// Sends a frame with its offload header; whether there was room for it.
    pub fn send(&self, frame: &[u8]) -> bool {
        loop {
            match write(&self.socket, frame) {
                Ok(_) => return true,
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }
}

impl PortSocket {
    /// How many frames found this socket's buffer full since this was last asked.
    pub fn take_missed(&self) -> nix::Result<u64> {
        let mut statistics = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        // SAFETY: the kernel writes at most as many bytes as the length says into a structure
        // that lives until the call returns, and any bytes make valid numbers.
        let outcome = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        Errno::result(outcome).map(|_| u64::from(statistics.tp_drops))
    }
}

impl AsFd for PortSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set_option(
    socket: &OwnedFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> nix::Result<()> {
    // SAFETY: the kernel reads as many bytes as the length says from the address of an integer
    // that lives until the call returns.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    Errno::result(outcome).map(drop)
}

/// Binds to one interface, for frames of every protocol.
fn bind(socket: &OwnedFd, interface_index: libc::c_uint) -> nix::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: interface_index as libc::c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the kernel reads as many bytes as the length says from an address structure that
    // lives until the call returns.
    let outcome = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    Errno::result(outcome).map(drop)
}
