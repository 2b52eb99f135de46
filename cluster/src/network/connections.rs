//! Ending TCP connections from outside, by the kernel's own means (sock_diag(7)).
//!
//! The kernel lists the sockets of a network namespace and ends those that are named to it: the
//! process gets `ECONNABORTED`, the other end a reset, as if the kernel had given the connection up.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::error::{For, SystemCall};

/// How long the kernel may take for an answer.
const ANSWER_LIMIT_S: i64 = 5;

/// How long a connection of our own may outlive its end.
const TRIAL_LIMIT: Duration = Duration::from_secs(2);

/// How many answers to one question are read at most: a socket each.
const ANSWERS_MAX: usize = 1_000_000;

const MESSAGE_BYTES_MAX: usize = 64 << 10;

// From linux/netlink.h.
const HEADER_BYTES: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;

// From linux/sock_diag.h and linux/inet_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const SOCKET_ID_BYTES: usize = 48;
/// Where in a socket's description its identity begins.
const SOCKET_ID_AT: usize = 4;

/// A bit for each state of a connection that both ends know of (include/net/tcp_states.h):
/// established, SYN sent, and all in which one end has closed and the other may still send.
const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// A TCP socket, as the kernel identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SocketId {
    family: u8,
    bytes: [u8; SOCKET_ID_BYTES],
}

impl SocketId {
    fn port(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// The other end's IPv4 address, also where it is written as an IPv6 one.
    fn peer(&self) -> Option<Ipv4Addr> {
        let address = &self.bytes[20..36];
        let v4 = match i32::from(self.family) {
            libc::AF_INET => &address[..4],
            _ if address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] => &address[12..],
            _ => return None,
        };
        Some(Ipv4Addr::new(v4[0], v4[1], v4[2], v4[3]))
    }

    fn is_of(&self, ports: &[u16]) -> bool {
        ports.is_empty() || ports.contains(&self.port(0)) || ports.contains(&self.port(2))
    }
}

/// Ends the connections of the calling thread's network namespace to these peers, those of these
/// ports only unless there are none. Returns how many.
/// only unless there are none, and never those of this one of our own ports. Returns how many.
pub(crate) fn reset(
    peers: &[Ipv4Addr],
    ports: &[u16],
    spared_port: Option<u16>,
) -> Result<u64, SystemCall> {
    let kernel = open().call("open a socket to ask about sockets")?;
    let mut count = 0;
    for family in [libc::AF_INET, libc::AF_INET6] {
        let sockets = list(&kernel, family as u8).call("list TCP connections")?;
        let wanted = |id: &&SocketId| {
            id.peer().is_some_and(|peer| peers.contains(&peer))
                && id.is_of(ports)
                && spared_port != Some(id.port(0))
        };
        for id in sockets.iter().filter(wanted) {
            match destroy(&kernel, id) {
                Ok(()) => count += 1,
                // It ended by itself meanwhile.
                Err(Errno::ENOENT) => {}
                Err(error) => return Err(SystemCall::new("end a TCP connection", error)),
            }
        }
    }
    Ok(count)
}

/// Whether the kernel can end connections: tried on one of our own over the loopback interface of
/// the calling thread's network namespace.
pub(crate) fn try_reset() -> Result<(), SystemCall> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).call("listen")?;
    let address = listener.local_addr().call("ask for a socket's address")?;
    let mut stream = TcpStream::connect(address).call("connect")?;
    stream
        .set_read_timeout(Some(TRIAL_LIMIT))
        .call("set a time limit")?;
    let (_accepted, _) = listener.accept().call("accept a connection")?;
    let count = reset(&[Ipv4Addr::LOCALHOST], &[address.port()], None)?;
    match stream.read(&mut [0]) {
        // Without support for listing there are none to end.
        _ if count == 0 => Err(SystemCall::new("list TCP connections", Errno::ENOENT)),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Ok(()),
        _ => Err(SystemCall::new("end a TCP connection", Errno::ETIMEDOUT)),
    }
}

fn open() -> nix::Result<OwnedFd> {
    let kernel = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    setsockopt(
        &kernel,
        sockopt::ReceiveTimeout,
        &TimeVal::seconds(ANSWER_LIMIT_S),
    )?;
    Ok(kernel)
}

/// All TCP connections of an address family.
fn list(kernel: &OwnedFd, family: u8) -> nix::Result<Vec<SocketId>> {
    let any = [0; SOCKET_ID_BYTES];
    ask(
        kernel,
        (SOCK_DIAG_BY_FAMILY, NLM_F_DUMP),
        &request(family, STATES, &any),
    )?;
    let mut sockets = Vec::new();
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    while sockets.len() < ANSWERS_MAX {
        let length = recv(kernel.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        for (kind, body) in messages(&buffer[..length]) {
            match kind {
                NLMSG_DONE => return Ok(sockets),
                NLMSG_ERROR => match error_of(body) {
                    // No support for this family means no sockets of it.
                    Errno::ENOENT => return Ok(sockets),
                    error => return Err(error),
                },
                _ => sockets.extend(socket_id(body)),
            }
        }
    }
    Err(Errno::E2BIG)
}

fn destroy(kernel: &OwnedFd, id: &SocketId) -> nix::Result<()> {
    let body = request(id.family, STATES, &id.bytes);
    ask(kernel, (SOCK_DESTROY, NLM_F_ACK), &body)?;
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let length = recv(kernel.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    let answer = messages(&buffer[..length]).into_iter().next();
    match answer {
        Some((NLMSG_ERROR, body)) => match error_of(body) {
            // An error of 0 is the acknowledgement.
            Errno::UnknownErrno => Ok(()),
            error => Err(error),
        },
        _ => Err(Errno::EBADMSG),
    }
}

/// `struct inet_diag_req_v2`.
fn request(family: u8, states: u32, id: &[u8; SOCKET_ID_BYTES]) -> Vec<u8> {
    let mut body = vec![family, libc::IPPROTO_TCP as u8, 0, 0];
    body.extend(states.to_ne_bytes());
    body.extend(id);
    body
}

fn ask(kernel: &OwnedFd, (kind, flags): (u16, u16), body: &[u8]) -> nix::Result<()> {
    let mut message = Vec::with_capacity(HEADER_BYTES + body.len());
    message.extend(((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    send(kernel.as_raw_fd(), &message, MsgFlags::empty()).map(drop)
}

/// The kinds and bodies of the messages in what was received.
fn messages(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut messages = Vec::new();
    while let Some(header) = bytes.get(..HEADER_BYTES) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(body) = bytes.get(HEADER_BYTES..length) else {
            break;
        };
        messages.push((u16::from_ne_bytes([header[4], header[5]]), body));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// The socket that a `struct inet_diag_msg` describes.
fn socket_id(body: &[u8]) -> Option<SocketId> {
    let bytes = body.get(SOCKET_ID_AT..SOCKET_ID_AT + SOCKET_ID_BYTES)?;
    Some(SocketId {
        family: body[0],
        bytes: bytes.try_into().ok()?,
    })
}

fn error_of(body: &[u8]) -> Errno {
    let code = body.get(..4).map_or(-libc::EBADMSG, |code| {
        i32::from_ne_bytes([code[0], code[1], code[2], code[3]])
    });
    Errno::from_raw(-code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_in_both_families() {
        let mut id = SocketId {
            family: libc::AF_INET as u8,
            bytes: [0; SOCKET_ID_BYTES],
        };
        id.bytes[..4].copy_from_slice(&[0x1f, 0x90, 0x9c, 0x40]);
        id.bytes[20..24].copy_from_slice(&[10, 77, 0, 3]);
        assert_eq!(id.peer(), Some(Ipv4Addr::new(10, 77, 0, 3)));
        assert!(id.is_of(&[]) && id.is_of(&[8080]) && id.is_of(&[1, 40_000]) && !id.is_of(&[80]));
        id.family = libc::AF_INET6 as u8;
        assert_eq!(id.peer(), None);
        id.bytes[20..36].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 77, 0, 4]);
        assert_eq!(id.peer(), Some(Ipv4Addr::new(10, 77, 0, 4)));
    }

    #[test]
    fn whatever_the_kernel_says_is_read() {
        assert_eq!(messages(&[]), []);
        assert_eq!(messages(&[0; 16]), [], "too short to be a message");
        let mut two = Vec::new();
        for (length, kind, padding) in [(17_u32, 3_u16, 3), (16, 20, 0)] {
            two.extend(length.to_ne_bytes());
            two.extend(kind.to_ne_bytes());
            two.extend(vec![9; length as usize - 6]);
            two.extend(vec![0; padding]);
        }
        assert_eq!(messages(&two), [(3, &[9_u8][..]), (20, &[])]);
        assert_eq!(messages(&two[..30]), [(3, &[9_u8][..])]);
        assert_eq!(error_of(&(-libc::EPERM).to_ne_bytes()), Errno::EPERM);
        assert_eq!(error_of(&[1]), Errno::EBADMSG);
        assert_eq!(socket_id(&[2; 20]), None);
    }

    /// Where we may; elsewhere the tests of the cluster do it inside a sandbox.
    #[test]
    fn a_connection_of_our_own_is_listed_and_ended() {
        if let Err(error) = try_reset() {
            println!("skipped: {error}");
        }
    }
}
