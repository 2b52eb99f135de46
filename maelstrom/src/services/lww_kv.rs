//! `lww-kv`: an eventually consistent key-value store in which the last write wins.
//!
//! Before each request one replica, drawn by chance, learns what another knows; then one answers.
//! Which write is the last is said by a Lamport clock, and among equals by the replica's number.

use std::collections::BTreeMap;

use seeds::{Purpose, Stream};
use serde_json::Value as Json;

use super::{Request, Service, error_body, unsupported};
use crate::message::Body;

/// How many replicas there are.
const REPLICAS: u64 = 2;

#[derive(Debug)]
pub(super) struct LwwKv {
    stream: Stream,
    replicas: Vec<Replica>,
}

#[derive(Debug, Clone, Default)]
struct Replica {
    clock: u64,
    /// Of each key, when it was written, by which replica, and what.
    values: BTreeMap<String, (u64, u64, Json)>,
}

impl LwwKv {
    pub fn new(seed: u64) -> Self {
        LwwKv {
            stream: Stream::new(seed, Purpose::Services, 2),
            replicas: vec![Replica::default(); REPLICAS as usize],
        }
    }

    fn draw(&mut self) -> usize {
        self.stream.below(REPLICAS) as usize
    }
}

impl Replica {
    fn learn(&mut self, other: &Replica) {
        self.clock = self.clock.max(other.clock);
        for (key, theirs) in &other.values {
            let is_news = self
                .values
                .get(key)
                .is_none_or(|ours| (ours.0, ours.1) < (theirs.0, theirs.1));
            if is_news {
                self.values.insert(key.clone(), theirs.clone());
            }
        }
    }
}

impl Service for LwwKv {
    fn answer(&mut self, _: &str, request: &Body) -> Body {
        let (from, to) = (self.draw(), self.draw());
        if from != to {
            let known = std::mem::take(&mut self.replicas[from]);
            self.replicas[to].learn(&known);
            self.replicas[from] = known;
        }
        let at = self.draw();
        let (key, request) = match Request::parse(request) {
            Ok((_, Request::Cas { .. })) => return error_body(unsupported(Some("cas"))),
            Ok(parsed) => parsed,
            Err(error) => return error_body(error),
        };
        let replica = &mut self.replicas[at];
        match request.run(replica.values.get(&key).map(|(_, _, value)| value)) {
            Ok((after, answer)) => {
                if let Some(after) = after {
                    replica.clock += 1;
                    let written = (replica.clock, at as u64, after);
                    replica.values.insert(key, written);
                }
                answer
            }
            Err(error) => error_body(error),
        }
    }
}
