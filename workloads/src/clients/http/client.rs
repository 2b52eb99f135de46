//! A client that does what `[client.http]` says.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use histories::Value;
use seeds::{Purpose, Stream};
use tokio::time::Instant;

use super::answer::{Class, classify};
use super::line::{Line, Request};
use super::options::{HttpOptions, NodeChoice, Operation, ResultKind};
use super::request::request;
use crate::clients::route::pause_if_failed;
use crate::clients::{Node, Setting};
use crate::{Client, Completion, Invocation, Outcome};

/// One operation in so many goes to the client's own node instead of the one that answered last.
const OWN_ONE_IN: u64 = 5;
/// Added to a client's number: where a client turns must not change what it does, so it has a
/// stream of its own.
const ROUTES_STREAM: u32 = 1 << 31;

/// A client by HTTP. One operation is one request; only redirects are followed.
#[derive(Debug)]
pub struct Http {
    nodes: Arc<[Node]>,
    options: Arc<HttpOptions>,
    headers: Vec<(String, String)>,
    timeout: Duration,
    own: usize,
    /// The node that answered last, or the next after one that did not.
    preferred: usize,
    routes: Stream,
    line: Line,
}

impl Http {
    /// Client number `client` of a run.
    pub fn new(client: u32, setting: &Setting, options: Arc<HttpOptions>) -> Self {
        let own = client as usize % setting.nodes.len().max(1);
        Http {
            nodes: setting.nodes.clone(),
            headers: options.headers.clone().into_iter().collect(),
            options,
            timeout: Duration::from_millis(setting.timeout_ms),
            own,
            preferred: own,
            routes: Stream::new(setting.seed, Purpose::Client, ROUTES_STREAM | client),
            line: Line::default(),
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let options = self.options.clone();
        let refused = |why: String| completion(Outcome::Fail, Some(why), Vec::new());
        let Some(operation) = operation_of(&options, invocation) else {
            return refused(format!("the client has no operation {}", invocation.f));
        };
        // Nothing is sent where there is nothing to say it by.
        let request = match request(operation, &self.headers, invocation) {
            Ok(request) if !self.nodes.is_empty() => request,
            Ok(_) => return refused("no nodes".to_owned()),
            Err(why) => return refused(why),
        };
        let first = self.first_node(operation.node.unwrap_or(options.node));
        let kind = operation
            .result
            .unwrap_or_else(|| usual_kind(&invocation.f));
        let mut tried = Vec::new();
        let class = self
            .send(operation, &request, kind, first, &mut tried)
            .await;
        let path: Vec<Arc<str>> = tried
            .iter()
            .map(|&at| self.nodes[at].name.clone())
            .collect();
        let last = tried.last().copied().unwrap_or(first);
        let node = self.nodes[last].name.clone();
        let answered = matches!(class, Class::Done(_));
        let next = if answered { last } else { last + 1 };
        self.preferred = next % self.nodes.len();
        let (outcome, why) = match class {
            Class::Done(value) => (Outcome::Ok(value), None),
            Class::NotDone(why) => (Outcome::Fail, Some(why)),
            Class::Unknown(why) => (Outcome::Info, Some(why)),
            Class::Elsewhere(_) => (Outcome::Fail, Some("redirected too often".to_owned())),
        };
        completion(outcome, why.map(|why| format!("{node}: {why}")), path)
    }

    /// Sends the request to this node, and to whoever it is redirected to.
    async fn send(
        &mut self,
        operation: &Operation,
        request: &Request,
        kind: ResultKind,
        first: usize,
        tried: &mut Vec<usize>,
    ) -> Class {
        let options = self.options.clone();
        let until = Instant::now() + self.timeout;
        let mut place = first;
        let mut class = Class::NotDone("not sent".to_owned());
        for _ in 0..=options.redirects_max {
            tried.push(place);
            let reply = self
                .line
                .exchange(self.nodes[place].address, request, until)
                .await;
            let answers = operation.answers.iter().chain(&options.answers);
            class = classify(answers, kind, &reply);
            let Class::Elsewhere(location) = &class else {
                return class;
            };
            place = match location
                .as_deref()
                .and_then(|location| self.place_of(location))
            {
                Some(place) => place,
                None => {
                    let location = location.as_deref().unwrap_or("nowhere");
                    return Class::NotDone(format!("redirected to {location}, where no node is"));
                }
            };
        }
        class
    }

    /// The node that a location points to, by its address or its name.
    fn place_of(&self, location: &str) -> Option<usize> {
        let rest = location.strip_prefix("http://")?;
        let host = rest.split('/').next()?;
        self.nodes.iter().position(|node| {
            let named = format!("{}:{}", node.name, node.address.port());
            host == named || host.parse() == Ok(node.address)
        })
    }

    fn first_node(&mut self, choice: NodeChoice) -> usize {
        match choice {
            NodeChoice::First => 0,
            NodeChoice::Own => self.own,
            NodeChoice::Any if self.routes.chance(1, OWN_ONE_IN) => self.own,
            NodeChoice::Any => self.preferred,
        }
    }
}

impl Client for Http {
    fn open(&mut self, _process: u64) {
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

/// The operation that an invocation is. A `cas` that expects nothing may be another one.
fn operation_of<'a>(options: &'a HttpOptions, invocation: &Invocation) -> Option<&'a Operation> {
    let expects_nothing = matches!(invocation.value.as_list(), Some([Value::Nil, _]));
    if &*invocation.f == "cas"
        && expects_nothing
        && let Some(operation) = options.operations.get("cas-missing")
    {
        return Some(operation);
    }
    options.operations.get(&*invocation.f)
}

fn usual_kind(f: &str) -> ResultKind {
    match f {
        "get" => ResultKind::Text,
        "cas" | "delete" => ResultKind::Truth,
        _ => ResultKind::Number,
    }
}

fn completion(outcome: Outcome, error: Option<String>, path: Vec<Arc<str>>) -> Completion {
    let node = path.last().cloned();
    let path = if path.len() > 1 { path } else { Vec::new() };
    Completion {
        outcome,
        node,
        path,
        error: error.map(Arc::from),
    }
}
