//! A client of the network: sends a request, waits for its answer.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use faults::Name;
use serde_json::{Value as Json, json};

use crate::errors::ErrorReply;
use crate::message::{Body, Message};
use crate::net::Net;

/// One client, with a name that no other has or had.
pub struct Client {
    net: Net,
    name: Name,
    inbox: Receiver<Message>,
    last_msg_id: u64,
}

/// Why a request has no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// None came in time.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// The node answered with an error.
    #[error("error {0}")]
    Error(ErrorReply),
    /// The answer is not what it should be: the node is wrong, whatever it did.
    #[error("{0}")]
    Wrong(String),
}

impl Client {
    /// A fresh client.
    pub fn new(net: &Net) -> Self {
        let (name, inbox) = net.new_client();
        Client {
            net: net.clone(),
            name,
            inbox,
            last_msg_id: 0,
        }
    }

    /// Sends a request of this type with these fields to a node, and waits for its answer: a body
    /// of the type `TYPE_ok`. What answers an earlier request is passed over.
    ///
    /// # Errors
    /// No answer, an error, or an answer of another type.
    pub fn call(
        &mut self,
        node: &Name,
        kind: &str,
        fields: Json,
        timeout_ms: u64,
    ) -> Result<Body, CallError> {
        self.last_msg_id += 1;
        let mut request = crate::message::body(fields);
        request.insert("type".to_owned(), kind.into());
        request.insert("msg_id".to_owned(), self.last_msg_id.into());
        let shown = Json::Object(request.clone());
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        let message = Message::new(self.name.clone(), node.clone(), request);
        let sent = self.net.send(message);
        sent.map_err(|error| CallError::Wrong(format!("a request of a client {error}")))?;
        let answer = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left) {
                Ok(message) if message.in_reply_to() == Some(self.last_msg_id.cast_signed()) => {
                    break message;
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(CallError::Timeout(timeout_ms));
                }
            }
        };
        let wrong = |expected: &str| {
            let (node, body) = (&answer.src, Json::Object(answer.body.clone()));
            CallError::Wrong(format!(
                "node {node} answered {shown} with {body}, expected {expected}"
            ))
        };
        match answer.kind() {
            "error" => match ErrorReply::of(&answer.body) {
                Some(error) => Err(CallError::Error(error)),
                None => Err(wrong("an error with a whole number as its `code`")),
            },
            answered if answered.strip_suffix("_ok") == Some(kind) => Ok(answer.body),
            _ => Err(wrong(&format!("the type \"{kind}_ok\" or \"error\""))),
        }
    }

    /// A field of an answer.
    ///
    /// # Errors
    /// When it is not there or not what is expected: the node is wrong.
    pub fn field<T>(
        node: &Name,
        answer: &Body,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Json) -> Option<T>,
    ) -> Result<T, CallError> {
        answer.get(name).and_then(read).ok_or_else(|| {
            CallError::Wrong(format!(
                "node {node} answered with {}, expected a `{name}` that is {expected}",
                json!(answer)
            ))
        })
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.net.remove_client(&self.name);
    }
}
