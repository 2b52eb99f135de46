//! The client of raft-kv, the embedded system: HTTP and JSON.
//!
//! | operation | request | answer |
//! |---|---|---|
//! | `read`, `get` | `GET /kv/KEY` | `{"value": TEXT or null}` |
//! | `write`, `put` | `PUT /kv/KEY` `{"value": TEXT}` | `{}` |
//! | `append` | `POST /kv/KEY/append` `{"value": TEXT}` | `{}` |
//! | `cas` | `POST /kv/KEY/cas` `{"old": TEXT or null, "new": TEXT}` | `{"swapped": BOOL}` |
//! | `delete` | `DELETE /kv/KEY` | `{"existed": BOOL}` |
//!
//! A change carries the headers `session-id` and `request-number`; the server answers a number it
//! has seen in that session from memory, so a change sent twice takes effect once.
//!
//! An operation goes to one node. A redirect to the leader is followed. When an attempt times out
//! or its connection breaks, the same request under the same number goes to the next node, as
//! often as [`RaftKvOptions::attempts`] says and within the operation's time: still one operation,
//! and every node tried stands in its path. Nothing else is ever repeated.

mod answer;
mod members;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use seeds::{Purpose, Stream};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::clients::http::Line;
use crate::clients::route::{FAIL_PAUSE_MS, pause_if_failed};
use crate::clients::{Class, Node};
use crate::{Client, Completion, Invocation, Outcome};
use answer::{Request, Session, Verdict};

pub use members::{ChangeAnswer, Members, MembersError, change_members, members};

/// How a client of raft-kv behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RaftKvOptions {
    /// How long an operation may take before its outcome is unknown, in milliseconds: the plan's
    /// business.
    #[serde(skip)]
    pub timeout_ms: u64,
    /// How long an attempt may take when another can follow, in milliseconds.
    pub attempt_timeout_ms: u64,
    /// How often a request may be sent, within the operation's time. A change is sent only once
    /// where there are no sessions.
    pub attempts: u32,
    /// How long the client waits before it sends a request again, in milliseconds: at once it would
    /// find no leader yet, and the doubt would remain.
    pub retry_pause_ms: u64,
    /// Whether changes carry a session and a number, so that sending one twice is harmless.
    pub sessions: bool,
    /// After an operation that failed the client waits so long before it returns, in milliseconds:
    /// a cluster without a leader refuses at once, and would be asked many thousand times a
    /// second. What failed took no effect, so that it seems to last longer misleads nobody.
    pub fail_pause_ms: u64,
}

impl Default for RaftKvOptions {
    fn default() -> Self {
        RaftKvOptions {
            timeout_ms: 1_000,
            attempt_timeout_ms: 250,
            attempts: 8,
            retry_pause_ms: 100,
            sessions: true,
            fail_pause_ms: FAIL_PAUSE_MS,
        }
    }
}

/// A client of raft-kv.
#[derive(Debug)]
pub struct RaftKv {
    nodes: Arc<[Node]>,
    options: RaftKvOptions,
    /// The node asked now and then, whoever leads, so that followers and isolated nodes are asked
    /// too.
    home: usize,
    /// The node that answered last, or the next after one that did not.
    preferred: usize,
    routes: Stream,
    session: u64,
    requests: u64,
    line: Line,
}

/// Redirects followed in one attempt.
const REDIRECTS_MAX: u32 = 3;
/// One operation in so many goes to the home node instead of the one that answered last.
const HOME_ONE_IN: u64 = 5;
/// Added to a client's number: where a client turns must not change what it does, so it has a
/// stream of its own.
const ROUTES_STREAM: u32 = 1 << 31;

impl RaftKv {
    /// Client number `client` of the run with this seed, for the cluster of these nodes.
    pub fn new(seed: u64, client: u32, nodes: Arc<[Node]>, options: RaftKvOptions) -> Self {
        let home = if nodes.is_empty() {
            0
        } else {
            client as usize % nodes.len()
        };
        RaftKv {
            nodes,
            options,
            home,
            preferred: home,
            routes: Stream::new(seed, Purpose::Client, ROUTES_STREAM | client),
            session: u64::from(client),
            requests: 0,
            line: Line::default(),
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let mut trail = Trail {
            nodes: self.nodes.clone(),
            tried: Vec::new(),
        };
        let request = match Request::new(invocation) {
            Ok(request) if !self.nodes.is_empty() => request,
            Ok(_) => return trail.complete(Outcome::Fail, Some("no nodes".to_owned())),
            Err(why) => return trail.complete(Outcome::Fail, Some(why)),
        };
        let session = self.number(&request);
        let may_repeat = session.is_some() || request.is_read();
        let attempts = if may_repeat { self.options.attempts } else { 1 };
        let deadline = after(self.options.timeout_ms);
        let mut node = self.first_node();
        // Why it is not certain that no attempt took effect.
        let mut doubts: Vec<String> = Vec::new();
        for attempt in 1..=attempts.max(1) {
            if attempt > 1 {
                sleep_until(deadline.min(after(self.options.retry_pause_ms))).await;
                if Instant::now() >= deadline {
                    break;
                }
                node = self.preferred;
            }
            let is_last = attempt >= attempts;
            let limit = if is_last {
                deadline
            } else {
                after(self.options.attempt_timeout_ms)
            };
            let until = deadline.min(limit);
            match self
                .attempt(&request, session, node, until, &mut trail)
                .await
            {
                Class::Done(value) => return trail.complete(Outcome::Ok(value), None),
                Class::NotDone(why) if doubts.is_empty() => {
                    return trail.complete(Outcome::Fail, Some(why));
                }
                Class::NotDone(why) | Class::Unknown(why) => doubts.push(why),
            }
        }
        doubts.dedup();
        trail.complete(Outcome::Info, Some(doubts.join("; ")))
    }

    /// Sends the request to this node and follows redirects. Leaves `preferred` at the node that
    /// answered, or at the next after one that did not.
    async fn attempt(
        &mut self,
        request: &Request,
        session: Option<Session>,
        first: usize,
        until: Instant,
        trail: &mut Trail,
    ) -> Class {
        let message = request.message(session);
        let mut place = first;
        for _ in 0..=REDIRECTS_MAX {
            trail.tried.push(place);
            let node = &self.nodes[place];
            let reply = self.line.exchange(node.address, &message, until).await;
            let class = match answer::classify(request, &reply) {
                Verdict::Redirect(address) => {
                    let next = self.nodes.iter().position(|node| node.address == address);
                    if let Some(next) = next {
                        place = next;
                        continue;
                    }
                    Class::NotDone(format!("redirected to {address}, where no node is"))
                }
                Verdict::Final(class) => class,
            };
            let answered = matches!(class, Class::Done(_));
            self.preferred = if answered {
                place
            } else {
                (place + 1) % self.nodes.len()
            };
            return class.about(&node.name);
        }
        self.preferred = (place + 1) % self.nodes.len();
        Class::NotDone(format!("redirected more than {REDIRECTS_MAX} times"))
    }

    fn first_node(&mut self) -> usize {
        if self.routes.chance(1, HOME_ONE_IN) {
            self.home
        } else {
            self.preferred
        }
    }

    /// The session and number under which a change is sent; none for a read, which takes no effect.
    fn number(&mut self, request: &Request) -> Option<Session> {
        if !self.options.sessions || request.is_read() {
            return None;
        }
        self.requests += 1;
        Some(Session {
            id: self.session,
            request: self.requests,
        })
    }
}

impl Client for RaftKv {
    fn open(&mut self, process: u64) {
        self.session = process;
        self.requests = 0;
        self.line = Line::default();
    }

    fn invoke<'a>(
        &'a mut self,
        invocation: &'a Invocation,
    ) -> Pin<Box<dyn Future<Output = Completion> + Send + 'a>> {
        Box::pin(async move {
            let completion = self.operate(invocation).await;
            pause_if_failed(completion, self.options.fail_pause_ms).await
        })
    }
}

fn after(pause_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(pause_ms)
}

/// The nodes an operation has tried.
struct Trail {
    nodes: Arc<[Node]>,
    tried: Vec<usize>,
}

impl Trail {
    fn complete(self, outcome: Outcome, error: Option<String>) -> Completion {
        let path: Vec<Arc<str>> = self
            .tried
            .iter()
            .map(|&place| self.nodes[place].name.clone())
            .collect();
        let node = path.last().cloned();
        let path = if path.len() > 1 { path } else { Vec::new() };
        Completion {
            outcome,
            node,
            path,
            error: error.map(Arc::from),
        }
    }
}
