//! One HTTP connection, kept between operations, with nothing repeated in secret.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, LOCATION};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::answer::{Reply, Request};

/// The session of a change and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub id: u64,
    pub request: u64,
}

/// Bytes of an answer's body that are read, at most.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A client's line to the cluster: a connection to one node, or none.
#[derive(Debug, Default)]
pub(super) struct Line {
    connection: Option<Connection>,
}

impl Line {
    /// Sends the request to the node at this address, once, and awaits the answer until then. The
    /// connection is kept only after a whole answer, so no late one can be taken for another's.
    pub async fn exchange(
        &mut self,
        address: SocketAddr,
        request: &Request,
        session: Option<Session>,
        until: Instant,
    ) -> Reply {
        let kept = self
            .connection
            .take()
            .filter(|kept| kept.address == address);
        if let Some(kept) = kept {
            // A connection that was closed while it was idle has carried nothing of this request.
            let reply = self.send(kept, request, session, until).await;
            if !matches!(reply, Reply::NotSent(_)) {
                return reply;
            }
        }
        match timeout_at(until, Connection::open(address)).await {
            Ok(Ok(connection)) => self.send(connection, request, session, until).await,
            Ok(Err(why)) => Reply::NotSent(format!("cannot connect: {why}")),
            Err(_) => Reply::NotSent("cannot connect: no answer in time".to_owned()),
        }
    }

    async fn send(
        &mut self,
        mut connection: Connection,
        request: &Request,
        session: Option<Session>,
        until: Instant,
    ) -> Reply {
        match timeout_at(until, connection.sender.ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Reply::NotSent(describe(&error)),
            Err(_) => return Reply::NotSent("no time left to send it".to_owned()),
        }
        let message = match message(connection.address, request, session) {
            Ok(message) => message,
            Err(error) => return Reply::NotSent(error.to_string()),
        };
        match timeout_at(until, connection.answer(message)).await {
            Ok(reply) => {
                if matches!(reply, Reply::Answer { .. }) {
                    self.connection = Some(connection);
                }
                reply
            }
            Err(_) => Reply::Lost("no answer in time".to_owned()),
        }
    }
}

/// A connection, and the task that moves its bytes; dropping it closes it.
#[derive(Debug)]
struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    mover: JoinHandle<()>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| describe(&error))?;
        // Its errors reach whoever awaits an answer.
        let mover = tokio::spawn(async move { drop(connection.await) });
        Ok(Connection {
            address,
            sender,
            mover,
        })
    }

    async fn answer(&mut self, message: hyper::Request<Full<Bytes>>) -> Reply {
        let response = match self.sender.try_send_request(message).await {
            Ok(response) => response,
            Err(mut error) => {
                // The message comes back only where none of it was put on the wire.
                let is_unsent = error.take_message().is_some();
                let why = describe(error.error());
                return if is_unsent {
                    Reply::NotSent(why)
                } else {
                    Reply::Lost(why)
                };
            }
        };
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION);
        let location = location
            .and_then(|location| location.to_str().ok())
            .map(str::to_owned);
        match Limited::new(response.into_body(), BODY_BYTES_MAX)
            .collect()
            .await
        {
            Ok(body) => Reply::Answer {
                status,
                location,
                body: body.to_bytes(),
            },
            Err(error) => Reply::Lost(format!("broken answer: {error}")),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.mover.abort();
    }
}

fn message(
    address: SocketAddr,
    request: &Request,
    session: Option<Session>,
) -> Result<hyper::Request<Full<Bytes>>, hyper::http::Error> {
    let mut builder = hyper::Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json");
    if let Some(session) = session {
        builder = builder
            .header("session-id", session.id)
            .header("request-number", session.request);
    }
    builder.body(Full::new(request.body.clone()))
}

/// An error of hyper with its causes: its own text often says only that something went wrong.
fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
