//! `seq-kv`: a sequentially consistent key-value store.
//!
//! It remembers its last states. A request is answered by one of them, drawn by chance, but never by
//! one older than the sender has seen; if it would change anything, by the newest, which all of a
//! sender's later requests see then.

use std::collections::BTreeMap;

use seeds::{Purpose, Stream};
use serde_json::Value as Json;

use super::{Request, Service, error_body};
use crate::message::Body;

/// How many states are remembered.
const STATES_MAX: u64 = 32;

#[derive(Debug)]
pub(super) struct SeqKv {
    stream: Stream,
    /// The number of the newest state; it rises by one with each change.
    newest: u64,
    /// Of each key, since which state it has which value, oldest first. Values that no remembered
    /// state has any more are forgotten.
    values: BTreeMap<String, Vec<(u64, Json)>>,
    /// The newest state that each sender has seen.
    seen: BTreeMap<String, u64>,
}

impl SeqKv {
    pub fn new(seed: u64) -> Self {
        SeqKv {
            stream: Stream::new(seed, Purpose::Services, 1),
            newest: 0,
            values: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    fn value(&self, key: &str, state: u64) -> Option<&Json> {
        let versions = self.values.get(key)?;
        let known = versions.iter().rev().find(|(since, _)| *since <= state);
        known.map(|(_, value)| value)
    }

    fn set(&mut self, key: String, value: Json) {
        self.newest += 1;
        let oldest = self.newest.saturating_sub(STATES_MAX - 1);
        let versions = self.values.entry(key).or_default();
        versions.push((self.newest, value));
        let forgotten = versions
            .iter()
            .filter(|(since, _)| *since <= oldest)
            .count();
        versions.drain(..forgotten.saturating_sub(1));
    }
}

impl Service for SeqKv {
    fn answer(&mut self, src: &str, request: &Body) -> Body {
        let (key, request) = match Request::parse(request) {
            Ok(parsed) => parsed,
            Err(error) => return error_body(error),
        };
        let oldest = self.newest.saturating_sub(STATES_MAX - 1);
        let oldest = oldest.max(self.seen.get(src).copied().unwrap_or(0));
        let mut state = oldest + self.stream.below(self.newest - oldest + 1);
        let mut ran = request.clone().run(self.value(&key, state));
        if matches!(ran, Ok((Some(_), _))) {
            state = self.newest;
            ran = request.run(self.value(&key, state));
        }
        let answer = match ran {
            Ok((after, answer)) => {
                if let Some(after) = after {
                    self.set(key, after);
                    state = self.newest;
                }
                answer
            }
            Err(error) => error_body(error),
        };
        self.seen.insert(src.to_owned(), state);
        answer
    }
}
