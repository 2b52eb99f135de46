//! A client that is a program in any language: JSON lines on its standard input and output.
//!
//! | line to the program | its answer |
//! |---|---|
//! | `{"type":"open","id":1,"client":0,"process":0,"workload":"register","timeout_ms":1000,"nodes":[{"name":"n1","address":"10.0.0.1:80"}]}` | `{"type":"ok","id":1}` |
//! | `{"type":"invoke","id":2,"f":"read","key":"k0-0","value":null}` | `{"type":"ok","id":2,"value":7}`, or `fail` or `info` with `"error":"why"` |
//! | `{"type":"close"}` | none: it ends |
//!
//! There is one program for each client, with one line to answer at a time. After an operation of
//! unknown outcome it is told to `open` again, as another process. A program that does not answer
//! in time is killed, so that its answer cannot come late, and started anew. What is no answer at
//! all (garbage, an end, an answer to something else) leaves the outcome unknown and is a complaint:
//! the run says nothing about the system then. So is silence at `open`, which asks nothing of the
//! system, and of a program that never answered.

mod answer;
mod running;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clients::route::{FAIL_PAUSE_MS, pause_if_failed};
use crate::clients::{Complaints, Node};
use crate::{Client, Completion, Invocation, Outcome};
use answer::{Answer, Kind};
use running::{Running, Trouble};

/// How a program is run as a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramOptions {
    /// The program and its arguments. In a definition `{here}` is the folder of its file.
    pub command: Vec<String>,
    /// The folder it runs in; that of the harness where there is none. `{here}` as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Where what it says on its standard error is added; nowhere where there is none.
    #[serde(skip)]
    pub log: Option<PathBuf>,
    /// The name of the workload, which it is told.
    #[serde(skip)]
    pub workload: Arc<str>,
    /// How long an operation may take before its outcome is unknown, in milliseconds: the plan's
    /// business.
    #[serde(skip)]
    pub timeout_ms: u64,
    /// How long it may take from its start until it has opened, in milliseconds.
    pub open_timeout_ms: u64,
    /// How long the client waits before it returns after an operation that failed, in milliseconds.
    pub fail_pause_ms: u64,
    /// Where it is told what is wrong with the program itself.
    #[serde(skip)]
    pub complaints: Complaints,
}

impl Default for ProgramOptions {
    fn default() -> Self {
        ProgramOptions {
            command: Vec::new(),
            folder: None,
            log: None,
            workload: "register".into(),
            timeout_ms: 1_000,
            open_timeout_ms: 10_000,
            fail_pause_ms: FAIL_PAUSE_MS,
            complaints: Complaints::default(),
        }
    }
}

/// Added to the program's own limit: it should say itself that it had no answer.
const GRACE_MS: u64 = 500;

/// So many operations in a row that it does not answer are the program's fault, if it never answered
/// one: it should say itself that the system does not.
const SILENCES_MAX: u32 = 5;

/// A program as a client.
#[derive(Debug)]
pub struct Program {
    client: u32,
    nodes: Arc<[Node]>,
    options: ProgramOptions,
    process: u64,
    running: Option<Running>,
    /// Whether the program has opened as the present process.
    is_open: bool,
    /// How many operations it was asked before it answered the first. None once it did.
    silences: Option<u32>,
}

impl Program {
    /// Client number `client`, for the cluster of these nodes. Draws nothing by chance.
    pub fn new(_seed: u64, client: u32, nodes: Arc<[Node]>, options: ProgramOptions) -> Self {
        Program {
            client,
            nodes,
            options,
            process: u64::from(client),
            running: None,
            is_open: false,
            silences: Some(0),
        }
    }

    async fn operate(&mut self, invocation: &Invocation) -> Completion {
        let limit_ms = self.options.timeout_ms.saturating_add(GRACE_MS);
        let ready = match self.ready().await {
            Ok(running) => running,
            // Nothing was asked of the system.
            Err(trouble) => {
                let why = self.give_up(&trouble, "open", true);
                return complete(Outcome::Fail, None, Some(why));
            }
        };
        let Invocation { f, key, value } = invocation;
        let line = json!({ "type": "invoke", "f": f, "key": key, "value": value });
        let asked = ready.ask(line, limit_ms).await;
        let understood = asked.and_then(|answer| self.understand(answer, f));
        let is_silent = matches!(understood, Err(Trouble::Silent(_)));
        self.silences = self.silences.filter(|_| is_silent).map(|count| count + 1);
        understood.unwrap_or_else(|trouble| {
            // Silence may be the system's.
            let is_mute = self.silences.is_some_and(|count| count >= SILENCES_MAX);
            let why = self.give_up(&trouble, f, !is_silent || is_mute);
            let outcome = match trouble.is_unsent() {
                true => Outcome::Fail,
                false => Outcome::Info,
            };
            complete(outcome, None, Some(why))
        })
    }

    /// The program, started and opened as the present process.
    async fn ready(&mut self) -> Result<&mut Running, Trouble> {
        let line = self.open_line();
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                self.is_open = false;
                Running::start(&self.options)?
            }
        };
        let running = self.running.insert(running);
        if !self.is_open {
            let answer = running.ask(line, self.options.open_timeout_ms).await?;
            if answer.kind != Kind::Ok {
                let why = answer.error.unwrap_or_default();
                return Err(Trouble::Odd(format!("it did not open: {why:?}")));
            }
            self.is_open = true;
        }
        Ok(running)
    }

    fn open_line(&self) -> serde_json::Value {
        let node = |node: &Node| json!({ "name": node.name, "address": node.address.to_string() });
        json!({
            "type": "open",
            "client": self.client,
            "process": self.process,
            "workload": self.options.workload,
            "timeout_ms": self.options.timeout_ms,
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
        })
    }

    /// What the program's answer means.
    fn understand(&self, answer: Answer, f: &str) -> Result<Completion, Trouble> {
        let node = answer.node.as_deref().map(|name| {
            let known = self.nodes.iter().find(|node| *node.name == *name);
            let known = known.map(|node| node.name.clone());
            known.ok_or_else(|| Trouble::Odd(format!("no node is named {name:?}")))
        });
        let node = node.transpose()?;
        let outcome = match answer.kind {
            Kind::Fail => Outcome::Fail,
            Kind::Info => Outcome::Info,
            Kind::Ok => match answer.value {
                Some(value) => Outcome::Ok(value),
                // Only what was read must be said: taken for nothing it would be a finding.
                None if matches!(f, "read" | "get") => {
                    return Err(Trouble::Odd(format!("an ok {f} without a value")));
                }
                None => Outcome::Ok(histories::Value::Nil),
            },
        };
        Ok(complete(outcome, node, answer.error))
    }

    /// Ends the program, and says why. The next operation starts it anew.
    fn give_up(&mut self, trouble: &Trouble, what: &str, is_complaint: bool) -> String {
        let last_words = self.running.take().and_then(|running| running.last_words());
        let mut why = format!("the client program {}: {trouble} (at {what})", self.name());
        if !is_complaint {
            return why;
        }
        if let Some(count) = self.silences.filter(|count| *count >= SILENCES_MAX) {
            why = format!(
                "{why}, {count} operations in a row and none before them (hint: within its `timeout_ms` \
                 it must answer, `info` if the system does not)"
            );
        }
        if let Some(words) = last_words {
            why = format!("{why}; the last it said on its standard error: {words:?}");
        }
        self.options.complaints.add(why.clone());
        why
    }

    /// The program, and what it runs if it is an interpreter.
    fn name(&self) -> String {
        let mut words = self.options.command.iter().map(String::as_str);
        let program = words.next().unwrap_or_default();
        match words.next().filter(|word| !word.starts_with('-')) {
            Some(word) => format!("{program} {word}"),
            None => program.to_owned(),
        }
    }
}

impl Client for Program {
    fn open(&mut self, process: u64) {
        self.process = process;
        self.is_open = false;
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

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.close();
        }
    }
}

fn complete(outcome: Outcome, node: Option<Arc<str>>, error: Option<String>) -> Completion {
    let is_ok = matches!(outcome, Outcome::Ok(_));
    Completion {
        outcome,
        node,
        path: Vec::new(),
        error: error.filter(|_| !is_ok).map(Arc::from),
    }
}
