//! The workloads `lock` and `fenced-lock`: locks for one holder at a time.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `acquire` | nil | true (`fenced-lock`: the fencing token), or false when it was held |
//! | `release` | nil | true, or false when the caller does not hold it |
//! | `write` (`fenced-lock`) | the token of the lock it holds | true, or false when the token is checked and no longer that of the holder |
//!
//! The holder is the process. While it holds a lock it tries to take others, so that it holds it
//! for a while, and writes what the lock protects; what it holds it gives back.

use std::sync::Arc;

use histories::Value;
use seeds::{Purpose, Stream};

use crate::{Context, Generator, Invocation, Options, Outcome, Values, Workload};

/// A workload of locks.
#[derive(Debug)]
pub struct Locks {
    name: &'static str,
    model: &'static str,
    has_tokens: bool,
}

/// Acquires and releases; a lock says only whether it was taken.
pub static LOCK: Locks = Locks {
    name: "lock",
    model: "mutex",
    has_tokens: false,
};

/// Acquires and releases; a lock answers a token that is larger than all before.
pub static FENCED_LOCK: Locks = Locks {
    name: "fenced-lock",
    model: "fenced-lock",
    has_tokens: true,
};

/// How many locks a client holds at once, at most.
const HELD_MAX: usize = 2;

impl Workload for Locks {
    fn name(&self) -> &'static str {
        self.name
    }

    fn model(&self) -> Option<&'static str> {
        Some(self.model)
    }

    fn checks(&self) -> &'static [&'static str] {
        &["lock"]
    }

    fn read(&self) -> Option<&'static str> {
        None
    }

    fn operations(&self) -> Vec<&'static str> {
        [&["acquire", "release"], self.optional()].concat()
    }

    fn optional(&self) -> &'static [&'static str] {
        match self.has_tokens {
            true => &["write"],
            false => &[],
        }
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 4,
            ops_per_key: 100,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Holder::new(seed, context.client, self.has_tokens))
    }
}

/// Takes locks, writes what they protect, and gives back what it holds.
struct Holder {
    stream: Stream,
    writes: bool,
    /// The locks, each with what its acquire answered.
    held: Vec<(Value, Value)>,
    /// The one that it gives back, or gave back last.
    releasing: (Value, Value),
    acquire: Arc<str>,
    release: Arc<str>,
    write: Arc<str>,
}

impl Holder {
    fn new(seed: u64, client: u32, writes: bool) -> Self {
        Holder {
            stream: Stream::new(seed, Purpose::Client, client),
            writes,
            held: Vec::new(),
            releasing: (Value::Nil, Value::Nil),
            acquire: "acquire".into(),
            release: "release".into(),
            write: "write".into(),
        }
    }
}

impl Generator for Holder {
    fn next(&mut self, context: &Context) -> Invocation {
        if self.writes && !self.held.is_empty() && self.stream.chance(3, 4) {
            let at = self.stream.below(self.held.len() as u64) as usize;
            let (key, token) = self.held[at].clone();
            return Invocation {
                f: self.write.clone(),
                key: Some(key),
                value: token,
            };
        }
        let slot = self.stream.below(context.keys.slots());
        let gives_back = self.stream.chance(1, 2);
        if self.held.len() < HELD_MAX && (self.held.is_empty() || !gives_back) {
            let key = context.keys.take(slot);
            // Who holds it already would only be refused.
            if self.held.iter().all(|(held, _)| *held != key) {
                return Invocation {
                    f: self.acquire.clone(),
                    key: Some(key),
                    value: Value::Nil,
                };
            }
        }
        self.releasing = self.held.remove(0);
        Invocation {
            f: self.release.clone(),
            key: Some(self.releasing.0.clone()),
            value: Value::Nil,
        }
    }

    fn observe(&mut self, invocation: &Invocation, outcome: &Outcome) {
        match (&*invocation.f, outcome, &invocation.key) {
            // The process is retired, and with it whatever it holds.
            (_, Outcome::Info, _) => self.held.clear(),
            ("acquire", Outcome::Ok(answer), Some(key)) if *answer != Value::Bool(false) => {
                self.held.push((key.clone(), answer.clone()));
            }
            // A release that failed took no effect.
            ("release", Outcome::Fail, _) => self.held.push(self.releasing.clone()),
            _ => {}
        }
    }
}
