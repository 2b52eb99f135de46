//! A server on a loopback port that answers bytes with bytes, as its script says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the server does with the next request. A request is what one read gives: clients send it
/// in one piece, and await its answer before the next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes these bytes.
    Reply(Vec<u8>),
    /// Writes these bytes and closes the connection.
    ReplyAndClose(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Never answers.
    Hang,
}

/// Writes this text.
pub fn reply(text: &str) -> Step {
    Step::Reply(text.as_bytes().to_vec())
}

/// The server; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Vec<u8>>,
}

impl Server {
    /// Starts a server that repeats the last step of its script for ever.
    pub async fn start(script: impl IntoIterator<Item = Step>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free loopback port");
        let address = listener.local_addr().expect("it is bound");
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let mut steps: VecDeque<Step> = script.into_iter().collect();
        let recorder = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut hanging = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                locked(&recorder).connections += 1;
                if talk(&mut stream, &mut steps, &recorder).await {
                    hanging.push(stream);
                }
            }
        });
        Server {
            address,
            seen,
            task,
        }
    }

    /// The requests read so far.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        locked(&self.seen).requests.clone()
    }

    /// The connections accepted so far.
    pub fn connections(&self) -> usize {
        locked(&self.seen).connections
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a connection until it ends; whether it is to be left hanging.
async fn talk(stream: &mut TcpStream, steps: &mut VecDeque<Step>, seen: &Mutex<Seen>) -> bool {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        locked(seen).requests.push(buffer[..length].to_vec());
        let step = match steps.len() {
            1 => steps.front().cloned(),
            _ => steps.pop_front(),
        };
        let (bytes, goes_on) = match step {
            Some(Step::Reply(bytes)) => (bytes, true),
            Some(Step::ReplyAndClose(bytes)) => (bytes, false),
            Some(Step::Close) | None => return false,
            Some(Step::Hang) => return true,
        };
        if stream.write_all(&bytes).await.is_err() || !goes_on {
            return false;
        }
    }
    false
}

fn locked(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
