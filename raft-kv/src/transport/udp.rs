//! Messages as datagrams: one each, so that what the network loses, doubles, delays and overtakes
//! reaches consensus as it is.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{ARRIVED_MESSAGES_MAX, Tcp, Transport};
use crate::raft::Message;

/// The largest message sent as a datagram: it fits into one packet of an ordinary network.
const DATAGRAM_BYTES_MAX: usize = 1_400;
/// The largest datagram there is.
const RECEIVED_BYTES_MAX: usize = 65_536;
/// How long to wait when the socket reports an error, such as one about an earlier datagram.
const ERROR_PAUSE: Duration = Duration::from_millis(5);

/// Messages over UDP, and those that are too large for it over TCP. Lives within the `tokio`
/// runtime, on a `LocalSet`.
#[derive(Debug)]
pub struct Udp {
    socket: Rc<UdpSocket>,
    large: Tcp,
}

impl Udp {
    /// A transport that listens on the socket and, for large messages, with the listener; and the
    /// messages that arrive.
    pub fn new(
        socket: UdpSocket,
        listener: TcpListener,
        local: SocketAddr,
    ) -> (Udp, mpsc::Receiver<Message>) {
        let (arrived, arrivals) = mpsc::channel(ARRIVED_MESSAGES_MAX);
        let socket = Rc::new(socket);
        tokio::task::spawn_local(receive(Rc::clone(&socket), arrived.clone()));
        let large = Tcp::into_channel(listener, local, arrived);
        (Udp { socket, large }, arrivals)
    }
}

impl Transport for Udp {
    fn send(&mut self, to: SocketAddr, message: Message) {
        match postcard::to_stdvec(&message) {
            Ok(bytes) if bytes.len() <= DATAGRAM_BYTES_MAX => {
                // Full, or refused: lost, like any datagram may be.
                drop(self.socket.try_send_to(&bytes, to));
            }
            // Plain data can be encoded: it is too large.
            _ => self.large.send(to, message),
        }
    }
}

async fn receive(socket: Rc<UdpSocket>, arrived: mpsc::Sender<Message>) {
    let mut datagram = vec![0; RECEIVED_BYTES_MAX];
    loop {
        let Ok((bytes, _)) = socket.recv_from(&mut datagram).await else {
            sleep(ERROR_PAUSE).await;
            continue;
        };
        // What is garbled, or from somewhere else, is as good as lost.
        let Some(Ok(message)) = datagram.get(..bytes).map(postcard::from_bytes) else {
            continue;
        };
        if arrived.send(message).await.is_err() {
            return;
        }
    }
}
