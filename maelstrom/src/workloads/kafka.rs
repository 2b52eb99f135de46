//! `kafka`: logs under keys, to which messages are sent, and which are polled from an offset on.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `send` | the message; the key is the log's | `[offset message]` |
//! | `poll` | map from log to the offset wanted first | map from log to a list of `[offset message]` |
//! | `commit` | map from log to offset | nil |
//! | `list` | list of logs | map from log to offset |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use histories::{Outcome, Value};
use seeds::Stream;
use serde_json::{Map, Value as Json, json};

use super::{Completion, Fresh, Generator, Operation, Session, Shared, Workload, json_of};

/// Logs that are polled at once, at most.
const POLLED_MAX: usize = 5;
/// Logs that are polled in the end, at most.
const FINAL_POLLS_MAX: usize = 200;

/// Logs under keys.
#[derive(Debug)]
pub(super) struct Kafka;

impl Workload for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn checks(&self) -> &'static [&'static str] {
        &["kafka"]
    }

    fn keys(&self) -> u64 {
        4
    }

    fn settles(&self) -> bool {
        true
    }

    fn generator(&self, shared: &Arc<Shared>, client: u32) -> Box<dyn Generator> {
        Box::new(Consumer {
            stream: shared.stream(client),
            fresh: Fresh::new(shared, client),
            shared: shared.clone(),
            positions: BTreeMap::new(),
            open: BTreeSet::new(),
            final_polls: 0,
        })
    }

    /// Everything from the beginning, of every log that was used, by every client.
    fn final_operations(&self, shared: &Shared, _: u32) -> Vec<Operation> {
        let logs = shared.keys.used(FINAL_POLLS_MAX);
        let polls = logs.chunks(POLLED_MAX).map(|logs| {
            let offsets = logs.iter().map(|log| (name(*log), Value::Int(0))).collect();
            Operation::new("poll", Value::Map(offsets))
        });
        polls.collect()
    }

    fn invoke(&self, session: &mut Session, operation: &Operation) -> Result<Completion, String> {
        let value = &operation.value;
        match &*operation.f {
            "send" => {
                let log = operation.key.as_ref().map(json_of);
                let sent = session.call("send", json!({"key": log, "msg": json_of(value)}));
                let sent = sent.and_then(|answer| {
                    let expected = "a whole number";
                    let offset = session.field(&answer, "offset", expected, Json::as_i64)?;
                    Ok(Value::List(vec![offset.into(), value.clone()]))
                });
                Completion::of(sent, true)
            }
            "poll" => {
                let polled = session.call("poll", json!({"offsets": json_of(value)}));
                let polled = polled.and_then(|answer| {
                    let expected = "a map from keys to lists of [offset, whole number]";
                    session.field(&answer, "msgs", expected, messages)
                });
                Completion::of(polled, false)
            }
            "commit" => {
                let fields = json!({"offsets": json_of(value)});
                let committed = session.call("commit_offsets", fields).map(|_| Value::Nil);
                Completion::of(committed, true)
            }
            _ => {
                let listed =
                    session.call("list_committed_offsets", json!({"keys": json_of(value)}));
                let listed = listed.and_then(|answer| {
                    let expected = "a map from keys to whole numbers";
                    session.field(&answer, "offsets", expected, offsets)
                });
                Completion::of(listed, false)
            }
        }
    }
}

/// A log's name: a text, as keys of JSON objects are.
fn name(log: i64) -> Value {
    log.to_string().into()
}

fn messages(json: &Json) -> Option<Value> {
    let pair = |pair: &Json| {
        let [offset, message] = &pair.as_array()?[..] else {
            return None;
        };
        let pair = vec![offset.as_i64()?.into(), message.as_i64()?.into()];
        Some(Value::List(pair))
    };
    let log = |(name, pairs): (&String, &Json)| {
        let pairs: Option<Vec<Value>> = pairs.as_array()?.iter().map(pair).collect();
        Some((name.as_str().into(), Value::List(pairs?)))
    };
    entries(json, log)
}

fn offsets(json: &Json) -> Option<Value> {
    entries(json, |(name, offset)| {
        Some((name.as_str().into(), offset.as_i64()?.into()))
    })
}

fn entries(
    json: &Json,
    read: impl FnMut((&String, &Json)) -> Option<(Value, Value)>,
) -> Option<Value> {
    let fields: &Map<String, Json> = json.as_object()?;
    let entries: Option<Vec<(Value, Value)>> = fields.iter().map(read).collect();
    entries.map(Value::Map)
}

/// Sends to the logs in use, and polls each from where it has read it to.
struct Consumer {
    stream: Stream,
    fresh: Fresh,
    shared: Arc<Shared>,
    /// Of each log, which offset comes next.
    positions: BTreeMap<String, i64>,
    /// Logs of which the last poll got something.
    open: BTreeSet<String>,
    final_polls: usize,
}

impl Consumer {
    fn slot(&mut self) -> u64 {
        self.stream.below(self.shared.keys.slots())
    }

    fn poll(&mut self) -> Operation {
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        for _ in 0..=self.stream.below(2) {
            let slot = self.slot();
            let log = self.shared.keys.look(slot).to_string();
            let next = self.positions.get(&log).copied().unwrap_or(0);
            wanted.insert(log, next);
        }
        Operation::new("poll", map(&wanted))
    }
}

fn map(offsets: &BTreeMap<String, i64>) -> Value {
    let entries = offsets
        .iter()
        .map(|(log, offset)| (log.as_str().into(), (*offset).into()));
    Value::Map(entries.collect())
}

impl Generator for Consumer {
    fn next(&mut self) -> Operation {
        match self.stream.below(20) {
            0..9 => {
                let slot = self.slot();
                let (log, _) = self.shared.keys.take(slot);
                Operation {
                    key: Some(name(log)),
                    ..Operation::new("send", self.fresh.draw())
                }
            }
            9..18 => self.poll(),
            18 if !self.positions.is_empty() => {
                let read = self.positions.iter().take(POLLED_MAX);
                let read = read
                    .map(|(log, next)| (log.clone(), (*next - 1).max(0)))
                    .collect();
                Operation::new("commit", map(&read))
            }
            _ => {
                let slot = self.slot();
                let log = name(self.shared.keys.look(slot));
                Operation::new("list", Value::List(vec![log]))
            }
        }
    }

    /// Until nothing more is got of any log.
    fn next_final(&mut self) -> Option<Operation> {
        self.final_polls += 1;
        let is_over = self.open.is_empty() || self.final_polls > FINAL_POLLS_MAX;
        let open = self.open.iter().take(POLLED_MAX).map(|log| {
            let next = self.positions.get(log).copied().unwrap_or(0);
            (log.clone(), next)
        });
        let wanted: BTreeMap<String, i64> = open.collect();
        (!is_over).then(|| Operation::new("poll", map(&wanted)))
    }

    fn observe(&mut self, operation: &Operation, completion: &Completion) {
        let (Outcome::Ok, Value::Map(logs)) = (completion.outcome, &completion.value) else {
            return;
        };
        if &*operation.f != "poll" {
            return;
        }
        if let Value::Map(wanted) = &operation.value {
            // Open are those of which there may be more.
            let has_more = |log: &Value| {
                let found = logs.iter().find(|(name, _)| name == log);
                found.is_some_and(|(_, pairs)| pairs.as_list().is_some_and(|it| !it.is_empty()))
            };
            for (log, _) in wanted {
                let Some(name) = log.as_text() else { continue };
                match has_more(log) {
                    true => self.open.insert(name.to_owned()),
                    false => self.open.remove(name),
                };
            }
        }
        for (log, pairs) in logs {
            let last = pairs
                .as_list()
                .and_then(|pairs| pairs.last()?.as_list()?.first()?.as_int());
            if let (Some(log), Some(last)) = (log.as_text(), last) {
                self.positions.insert(log.to_owned(), last + 1);
            }
        }
    }
}
