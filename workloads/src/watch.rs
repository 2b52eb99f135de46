//! The workload `watch`: keys are changed, and others follow every change.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `put` | the value, unlike all others | the revision it was written at |
//! | `watch` | the first revision wanted | the list of `[revision value]` that came, in order |
//!
//! Every other client watches; it goes on after the last revision it was told. At the end every
//! key is watched from the start.

use std::collections::HashMap;
use std::sync::Arc;

use histories::Value;
use seeds::{Purpose, Stream};

use crate::workload::FINAL_READS_MAX;
use crate::{Context, Generator, Invocation, KeyRing, Options, Outcome, Values, Workload};

/// Puts, and watches of what was put.
#[derive(Debug)]
pub struct Watch;

/// The revision before which there is none.
const FIRST_REVISION: i64 = 1;

impl Workload for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn model(&self) -> Option<&'static str> {
        None
    }

    fn checks(&self) -> &'static [&'static str] {
        &["watch"]
    }

    fn read(&self) -> Option<&'static str> {
        Some("watch")
    }

    fn operations(&self) -> Vec<&'static str> {
        vec!["put", "watch"]
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 2,
            ops_per_key: 500,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Follower {
            stream: Stream::new(seed, Purpose::Client, context.client),
            counter: 0,
            next: HashMap::new(),
            put: "put".into(),
            watch: "watch".into(),
        })
    }

    fn final_reads(&self, keys: &KeyRing) -> Vec<Invocation> {
        let watch = |key| Invocation {
            f: "watch".into(),
            key: Some(key),
            value: FIRST_REVISION.into(),
        };
        keys.used(FINAL_READS_MAX).into_iter().map(watch).collect()
    }
}

/// One that puts, or one that watches.
struct Follower {
    stream: Stream,
    counter: i64,
    /// The revision to go on with, of each key.
    next: HashMap<Value, i64>,
    put: Arc<str>,
    watch: Arc<str>,
}

impl Generator for Follower {
    fn next(&mut self, context: &Context) -> Invocation {
        let slot = self.stream.below(context.keys.slots());
        let alone = context.clients == 1 && self.stream.chance(1, 2);
        let key = context.keys.take(slot);
        let (f, value) = if alone || context.client % 2 == 1 {
            let next = self.next.get(&key).copied();
            (&self.watch, next.unwrap_or(FIRST_REVISION).into())
        } else {
            self.counter += 1;
            (
                &self.put,
                format!("{}.{}", context.client, self.counter).into(),
            )
        };
        Invocation {
            f: f.clone(),
            key: Some(key),
            value,
        }
    }

    fn observe(&mut self, invocation: &Invocation, outcome: &Outcome) {
        let ("watch", Outcome::Ok(Value::List(events)), Some(key)) =
            (&*invocation.f, outcome, &invocation.key)
        else {
            return;
        };
        let revisions = events
            .iter()
            .filter_map(|event| event.as_list()?.first()?.as_int());
        if let Some(newest) = revisions.max() {
            self.next.insert(key.clone(), newest.saturating_add(1));
        }
    }
}
