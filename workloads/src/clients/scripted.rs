//! A server on a loopback port that does what its script says, request by request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What the server does next.
#[derive(Debug, Clone)]
pub enum Act {
    /// Accepts a connection and closes it, unread.
    CloseUnread,
    /// Reads a request and closes the connection.
    Close,
    /// Reads a request and never answers.
    Hang,
    /// Reads a request and writes these bytes.
    Write(String),
    /// Reads a request, writes these bytes, and closes the connection.
    WriteAndClose(String),
    /// Reads a request, writes these bytes, and leaves the connection open for ever.
    WriteAndHang(String),
}

/// An HTTP answer.
pub fn answer(status: u16, body: &str) -> Act {
    Act::Write(http(status, "", body))
}

/// A redirect to this address.
pub fn redirect(to: SocketAddr) -> Act {
    let body = r#"{"error":"not leader","leader":"n2","definite":true}"#;
    Act::Write(http(307, &format!("location: http://{to}/kv/k\r\n"), body))
}

pub fn http(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// The server; it ends when dropped.
pub struct Scripted {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    /// Told whenever a connection was closed by the script.
    pub closed: Arc<Notify>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl Scripted {
    /// Starts a server that repeats the last act of its script for ever.
    pub async fn start(script: impl IntoIterator<Item = Act>) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free loopback port");
        Self::serve(listener, script)
    }

    /// The same, on a listener whose address the script knows.
    pub fn serve(listener: TcpListener, script: impl IntoIterator<Item = Act>) -> Scripted {
        let address = listener.local_addr().expect("it is bound");
        let (seen, closed) = (Arc::default(), Arc::new(Notify::new()));
        let actor = Actor {
            acts: script.into_iter().collect(),
            seen: Arc::clone(&seen),
            closed: closed.clone(),
        };
        let task = tokio::spawn(actor.run(listener));
        Scripted {
            address,
            seen,
            closed,
            task,
        }
    }

    /// The requests read so far: `METHOD path [session/number] body`.
    pub fn requests(&self) -> Vec<String> {
        self.seen
            .lock()
            .expect("no test panics while it holds it")
            .requests
            .clone()
    }

    /// The connections accepted so far.
    pub fn connections(&self) -> usize {
        self.seen
            .lock()
            .expect("no test panics while it holds it")
            .connections
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Actor {
    acts: VecDeque<Act>,
    seen: Arc<Mutex<Seen>>,
    closed: Arc<Notify>,
}

impl Actor {
    async fn run(mut self, listener: TcpListener) {
        // Connections that hang stay open, unserved.
        let mut hanging = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            self.lock().connections += 1;
            if self.talk(&mut stream).await {
                hanging.push(stream);
            } else {
                drop(stream);
                self.closed.notify_one();
            }
        }
    }

    /// Serves a connection until it ends; whether it is to be left hanging.
    async fn talk(&mut self, stream: &mut TcpStream) -> bool {
        if matches!(self.acts.front(), Some(Act::CloseUnread)) {
            self.next_act();
            return false;
        }
        while let Some(request) = read_request(stream).await {
            self.lock().requests.push(request);
            let (text, goes_on) = match self.next_act() {
                Act::Write(text) => (text, true),
                Act::WriteAndClose(text) => (text, false),
                Act::WriteAndHang(text) => {
                    // Whether the client is still there shows in what it says.
                    let _ = stream.write_all(text.as_bytes()).await;
                    return true;
                }
                Act::Hang => return true,
                Act::Close | Act::CloseUnread => return false,
            };
            if stream.write_all(text.as_bytes()).await.is_err() || !goes_on {
                return false;
            }
        }
        false
    }

    fn next_act(&mut self) -> Act {
        let last = self.acts.front().cloned().expect("a script has an act");
        if self.acts.len() > 1 {
            self.acts.pop_front();
        }
        last
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("no test panics while it holds it")
    }
}

/// Reads one request and puts it in a line; nothing when the client closed.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        bytes.push(stream.read_u8().await.ok()?);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let header = |name: &str| {
        let line = head
            .lines()
            .find(|line| line.to_lowercase().starts_with(name))?;
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
    };
    let length = header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = head.lines().next()?.trim_end_matches(" HTTP/1.1");
    let session = match (header("session-id"), header("request-number")) {
        (Some(session), Some(number)) => format!(" [{session}/{number}]"),
        _ => String::new(),
    };
    Some(
        format!("{line}{session} {}", String::from_utf8_lossy(&body))
            .trim_end()
            .to_owned(),
    )
}
