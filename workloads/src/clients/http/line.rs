//! One HTTP connection, kept between requests, with nothing repeated in secret.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, LOCATION};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// A request, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, from the first slash on.
    pub path: String,
    /// Headers besides `Host` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What came of sending a request to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing was sent: there was no connection to send it on.
    NotSent(String),
    /// It was sent, perhaps in part, and no whole answer came back.
    Lost(String),
    /// An answer, whole.
    Answer {
        /// Its status.
        status: u16,
        /// Where to go instead.
        location: Option<String>,
        /// Its body.
        body: Bytes,
    },
}

/// Bytes of an answer's body that are read, at most.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A client's line to the cluster: a connection to one node, or none.
#[derive(Debug, Default)]
pub struct Line {
    connection: Option<Connection>,
}

impl Line {
    /// Sends the request to the node at this address, once, and awaits the answer until then. The
    /// connection is kept only after a whole answer, so no late one can be taken for another's.
    pub async fn exchange(
        &mut self,
        address: SocketAddr,
        request: &Request,
        until: Instant,
    ) -> Reply {
        let kept = self
            .connection
            .take()
            .filter(|kept| kept.address == address);
        if let Some(kept) = kept {
            // A connection that was closed while it was idle has carried nothing of this request.
            let reply = self.send(kept, request, until).await;
            if !matches!(reply, Reply::NotSent(_)) {
                return reply;
            }
        }
        match Connection::open_in_time(address, until).await {
            Ok(connection) => self.send(connection, request, until).await,
            Err(reply) => reply,
        }
    }

    async fn send(
        &mut self,
        mut connection: Connection,
        request: &Request,
        until: Instant,
    ) -> Reply {
        match timeout_at(until, connection.sender.ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Reply::NotSent(describe(&error)),
            Err(_) => return Reply::NotSent("no time left to send it".to_owned()),
        }
        match timeout_at(until, connection.answer(request)).await {
            Ok(reply) => {
                if matches!(reply, Reply::Answer { .. }) {
                    self.connection = Some(connection);
                }
                reply
            }
            Err(_) => Reply::late(),
        }
    }
}

impl Reply {
    /// The rest of an answer that has begun.
    pub(super) async fn of(response: Response<Incoming>) -> Self {
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

    /// It was sent, and time is over.
    pub(super) fn late() -> Self {
        Reply::Lost("no answer in time".to_owned())
    }
}

/// A connection, and the task that moves its bytes; dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
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

    /// The same, until then; else what is known of a request that was to go this way.
    pub async fn open_in_time(address: SocketAddr, until: Instant) -> Result<Self, Reply> {
        match timeout_at(until, Connection::open(address)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(why)) => Err(Reply::NotSent(format!("cannot connect: {why}"))),
            Err(_) => Err(Reply::NotSent(
                "cannot connect: no answer in time".to_owned(),
            )),
        }
    }

    async fn answer(&mut self, request: &Request) -> Reply {
        match self.begin(request).await {
            Ok(response) => Reply::of(response).await,
            Err(reply) => reply,
        }
    }

    /// Sends a request; the beginning of its answer.
    pub async fn begin(&mut self, request: &Request) -> Result<Response<Incoming>, Reply> {
        let message =
            message(self.address, request).map_err(|error| Reply::NotSent(error.to_string()))?;
        let sent = self.sender.try_send_request(message).await;
        sent.map_err(|mut error| {
            // The message comes back only where none of it was put on the wire.
            let is_unsent = error.take_message().is_some();
            let why = describe(error.error());
            match is_unsent {
                true => Reply::NotSent(why),
                false => Reply::Lost(why),
            }
        })
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
) -> Result<hyper::Request<Full<Bytes>>, hyper::http::Error> {
    let mut builder = hyper::Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .header(HOST, address.to_string());
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
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
