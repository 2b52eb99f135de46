//! HTTP/1.1 for clients: connections, limits, and what comes of a request.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::Node;
use super::api::{self, Asked, Reply};
use crate::replica::Call;

/// The largest body of a request.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How many connections are open at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;
/// How long to wait when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves clients for ever.
pub(super) async fn accept(listener: TcpListener, node: Rc<Node>) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = Rc::clone(&node);
                tokio::task::spawn_local(async move {
                    serve_connection(stream, node).await;
                    drop(place);
                });
            }
            // Out of file descriptors, for one: others may close.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve_connection(stream: TcpStream, node: Rc<Node>) {
    // Without it answers are only slower.
    drop(stream.set_nodelay(true));
    let service = hyper::service::service_fn(move |request| {
        let node = Rc::clone(&node);
        async move { Ok::<_, Infallible>(answer(&node, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // The client went away, or does not speak HTTP: it has been told, if it still listens.
    drop(served);
}

async fn answer(node: &Node, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let asked = match timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => api::read_request(&head, &body.to_bytes()),
        Ok(Err(error)) => Err(Reply::bad_request(format!(
            "the body cannot be read: {error} (at most {BODY_BYTES_MAX} bytes)"
        ))),
        Err(_) => Err(Reply::bad_request(
            "the body took too long to arrive".into(),
        )),
    };
    let reply = match asked {
        Ok(Asked::Status) => Reply::ok(api::status(node)),
        Ok(Asked::Members) => Reply::ok(api::members(node)),
        Ok(Asked::Call(call)) => call_replica(node, call, &path).await,
        Err(reply) => reply,
    };
    response(reply)
}

async fn call_replica(node: &Node, call: Call, path: &str) -> Reply {
    let is_read = matches!(call, Call::Get(_));
    let (answer, answered) = oneshot::channel();
    if node.calls.try_send((call, answer)).is_err() {
        return Reply::error(503, "too many calls are waiting", true);
    }
    match timeout(CALL_TIMEOUT, answered).await {
        Ok(Ok(answer)) => api::reply(node, answer, path),
        // A read changes nothing, whenever it might still be done.
        _ => Reply::error(504, "no answer from the cluster in time", is_read),
    }
}

fn response(
    Reply {
        status,
        body,
        location,
    }: Reply,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    if let Some(location) = location.and_then(|location| location.parse().ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

impl Reply {
    /// All went well.
    pub(super) fn ok(body: Value) -> Reply {
        Reply {
            status: 200,
            body,
            location: None,
        }
    }

    /// Something went wrong. `definite` promises that the request has not taken effect and never
    /// will.
    pub(super) fn error(status: u16, error: &str, definite: bool) -> Reply {
        let body = json!({ "error": error, "definite": definite });
        Reply {
            status,
            body,
            location: None,
        }
    }

    /// The request makes no sense; nothing was done.
    pub(super) fn bad_request(error: String) -> Reply {
        Reply::error(400, &error, true)
    }
}
