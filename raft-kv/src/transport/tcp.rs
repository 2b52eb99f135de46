//! Messages over TCP: one outgoing connection per peer, on which frames (length, then a list of
//! messages) are sent.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{ARRIVED_MESSAGES_MAX, Transport};
use crate::raft::{Message, Name};

/// How many messages may wait for one peer; beyond it new ones are dropped.
const WAITING_MESSAGES_MAX: usize = 1024;
/// How many messages go into one frame.
const FRAME_MESSAGES_MAX: usize = 256;
/// The largest frame that is read.
const FRAME_BYTES_MAX: u32 = 128 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// A connection on which nothing can be written for so long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection whose data is not acknowledged for so long is given up: after a cut heals, TCP
/// itself would wait about as long again as the cut lasted.
const UNACKNOWLEDGED_MS_MAX: u32 = 500;
/// A connection that brings nothing for so long is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long to wait before connecting again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(75);

/// Messages over TCP. Lives within the `tokio` runtime, on a `LocalSet`.
#[derive(Debug)]
pub struct Tcp {
    local: SocketAddr,
    peers: HashMap<Name, Peer>,
}

#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    queue: mpsc::Sender<Message>,
}

impl Tcp {
    /// A transport that listens, and the messages that arrive.
    pub fn new(listener: TcpListener, local: SocketAddr) -> (Tcp, mpsc::Receiver<Message>) {
        let (arrived, arrivals) = mpsc::channel(ARRIVED_MESSAGES_MAX);
        (Tcp::into_channel(listener, local, arrived), arrivals)
    }

    /// A transport that listens and hands on what arrives.
    pub(super) fn into_channel(
        listener: TcpListener,
        local: SocketAddr,
        arrived: mpsc::Sender<Message>,
    ) -> Tcp {
        tokio::task::spawn_local(accept(listener, arrived));
        Tcp {
            local,
            peers: HashMap::new(),
        }
    }
}

impl Transport for Tcp {
    fn send(&mut self, to: SocketAddr, message: Message) {
        let name = Arc::clone(&message.to);
        if self.peers.get(&name).is_none_or(|peer| peer.address != to) {
            let (queue, waiting) = mpsc::channel(WAITING_MESSAGES_MAX);
            tokio::task::spawn_local(deliver(self.local, to, waiting));
            self.peers
                .insert(Arc::clone(&name), Peer { address: to, queue });
        }
        if let Some(peer) = self.peers.get(&name) {
            // Full: the peer is slow or gone, and will be sent again what it still lacks.
            drop(peer.queue.try_send(message));
        }
    }
}

/// Sends what waits for one peer until the queue is closed.
async fn deliver(local: SocketAddr, to: SocketAddr, mut waiting: mpsc::Receiver<Message>) {
    let mut connection: Option<TcpStream> = None;
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, FRAME_MESSAGES_MAX).await > 0 {
        if connection.as_ref().is_none_or(is_closed) {
            connection = connect(local, to).await.ok();
        }
        let sent = match &mut connection {
            Some(stream) => write_frame(stream, &batch).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        batch.clear();
        if sent.is_err() {
            connection = None;
            sleep(RECONNECT_PAUSE).await;
            // By now they are old; newer ones say more.
            while waiting.try_recv().is_ok() {}
        }
    }
}

/// Whether the peer has closed the connection; nothing is ever sent back on it.
fn is_closed(stream: &TcpStream) -> bool {
    let answer = stream.try_read(&mut [0]);
    !matches!(answer, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

async fn connect(local: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // From the node's own address, so that the links of several nodes on one host can be told
    // apart.
    socket.bind(SocketAddr::new(local.ip(), 0))?;
    let stream = timeout(CONNECT_TIMEOUT, socket.connect(to)).await??;
    stream.set_nodelay(true)?;
    setsockopt(&stream, sockopt::TcpUserTimeout, &UNACKNOWLEDGED_MS_MAX)?;
    Ok(stream)
}

async fn write_frame(stream: &mut TcpStream, messages: &[Message]) -> io::Result<()> {
    let mut frame = postcard::to_extend(messages, vec![0; 4]).map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    timeout(WRITE_TIMEOUT, stream.write_all(&frame)).await?
}

async fn accept(listener: TcpListener, arrived: mpsc::Sender<Message>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without effect on what is received correctly, only on how soon it is answered.
                drop(stream.set_nodelay(true));
                tokio::task::spawn_local(receive(stream, arrived.clone()));
            }
            // Out of file descriptors, for one: others may close.
            Err(_) => sleep(RECONNECT_PAUSE).await,
        }
    }
}

/// Reads frames until the connection ends or brings something else.
async fn receive(stream: TcpStream, arrived: mpsc::Sender<Message>) {
    let mut reader = tokio::io::BufReader::with_capacity(64 * 1024, stream);
    let mut frame = Vec::new();
    while let Ok(Ok(length)) = timeout(IDLE_TIMEOUT, reader.read_u32_le()).await {
        if length > FRAME_BYTES_MAX {
            return;
        }
        frame.resize(length as usize, 0);
        if reader.read_exact(&mut frame).await.is_err() {
            return;
        }
        let Ok(messages) = postcard::from_bytes::<Vec<Message>>(&frame) else {
            return;
        };
        for message in messages {
            if arrived.send(message).await.is_err() {
                return;
            }
        }
    }
}
