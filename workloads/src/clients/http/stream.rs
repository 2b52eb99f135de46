//! An answer that goes on: lines that come one by one, on a connection of their own.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::line::{Connection, Reply, Request};
use crate::clients::tcp::ANSWER_BYTES_MAX;

/// An answer of which more may come. Dropping it closes its connection.
#[derive(Debug)]
pub struct Stream {
    body: Incoming,
    /// What was read and not yet given out.
    buffer: BytesMut,
    _connection: Connection,
}

/// What came of waiting for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A line, without its end.
    Line(Bytes),
    /// None in time. It may come later.
    Nothing,
    /// There will be none any more, for this reason.
    Ended(String),
}

impl Stream {
    /// Sends the request to the node at this address, once, and awaits the beginning of the answer.
    ///
    /// # Errors
    /// What came instead of an answer of status 200.
    pub async fn open(
        address: SocketAddr,
        request: &Request,
        until: Instant,
    ) -> Result<Self, Reply> {
        let mut connection = Connection::open_in_time(address, until).await?;
        let beginning = timeout_at(until, connection.begin(request)).await;
        let response = beginning.unwrap_or_else(|_| Err(Reply::late()))?;
        if response.status() != hyper::StatusCode::OK {
            let answer = timeout_at(until, Reply::of(response)).await;
            return Err(answer.unwrap_or_else(|_| Reply::late()));
        }
        Ok(Stream {
            body: response.into_body(),
            buffer: BytesMut::new(),
            _connection: connection,
        })
    }

    /// The next line, if it comes until then; one that is there already is given at any time.
    pub async fn next(&mut self, until: Instant) -> Next {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                return Next::Line(line.freeze());
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                return Next::Ended(format!("a line of more than {ANSWER_BYTES_MAX} bytes"));
            }
            // A frame that is not there yet is lost by nobody who stops waiting for it.
            match timeout_at(until, self.body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(error))) => return Next::Ended(format!("broken answer: {error}")),
                Ok(None) => return Next::Ended("the answer ended".to_owned()),
                Err(_) => return Next::Nothing,
            }
        }
    }
}
