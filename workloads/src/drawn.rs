//! Workloads whose operations are drawn by weight, each with an argument of its own. Such a workload
//! is data, in a file of its own.

use std::sync::Arc;

use histories::Value;
use seeds::{Purpose, Stream};

use crate::{Context, Generator, Invocation, Options, Outcome, Values, Workload};

/// A workload of operations drawn by weight.
#[derive(Debug)]
pub struct ByWeight {
    pub(crate) name: &'static str,
    pub(crate) model: Option<&'static str>,
    pub(crate) checks: &'static [&'static str],
    /// The operation that reads a key.
    pub(crate) read: Option<&'static str>,
    pub(crate) mix: Mix,
    /// What there is under each key at the start, where that is not nothing.
    pub(crate) initial: fn() -> Option<Value>,
    /// Whether a read takes something away, so that at the end keys are read until they are empty.
    pub(crate) is_emptied: bool,
    /// How many keys are in use at once.
    pub(crate) keys: u64,
    /// After how many operations a key is retired.
    pub(crate) ops_per_key: u64,
}

impl Workload for ByWeight {
    fn name(&self) -> &'static str {
        self.name
    }

    fn model(&self) -> Option<&'static str> {
        self.model
    }

    fn checks(&self) -> &'static [&'static str] {
        self.checks
    }

    fn initial(&self) -> Option<Value> {
        (self.initial)()
    }

    fn read(&self) -> Option<&'static str> {
        self.read
    }

    fn operations(&self) -> Vec<&'static str> {
        self.mix.operations.iter().map(|(name, _)| *name).collect()
    }

    fn defaults(&self) -> Options {
        Options {
            keys: self.keys,
            ops_per_key: self.ops_per_key,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Drawn::new(self.mix, seed, context.client))
    }

    fn is_unfinished(&self, _read: &Invocation, outcome: &Outcome) -> bool {
        self.is_emptied && matches!(outcome, Outcome::Ok(value) if !value.is_nil())
    }
}

/// What one workload's operations are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    /// The operations and how often each is drawn, relative to the others.
    pub operations: &'static [(&'static str, u64)],
    /// The argument of an operation.
    pub argument: fn(&str, &mut Draw<'_>) -> Value,
    /// Whether operations have keys.
    pub has_keys: bool,
}

/// Where arguments come from.
pub(crate) struct Draw<'a> {
    pub stream: &'a mut Stream,
    pub client: u32,
    clients: u32,
    counter: &'a mut u64,
}

impl Draw<'_> {
    /// A number that no client draws twice in a run.
    pub fn unique(&mut self) -> i64 {
        let number = u64::from(self.clients)
            .wrapping_mul(*self.counter)
            .wrapping_add(self.client.into());
        *self.counter += 1;
        number.cast_signed()
    }
}

/// Draws operations by a mix. What is drawn does not depend on what the client saw.
struct Drawn {
    mix: Mix,
    names: Vec<Arc<str>>,
    stream: Stream,
    counter: u64,
}

impl Drawn {
    fn new(mix: Mix, seed: u64, client: u32) -> Self {
        Drawn {
            mix,
            names: mix
                .operations
                .iter()
                .map(|(name, _)| Arc::from(*name))
                .collect(),
            stream: Stream::new(seed, Purpose::Client, client),
            counter: 0,
        }
    }

    fn draw_name(&mut self) -> Arc<str> {
        let whole = self.mix.operations.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.stream.below(whole);
        for (name, (_, weight)) in self.names.iter().zip(self.mix.operations) {
            if drawn < *weight {
                return name.clone();
            }
            drawn -= weight;
        }
        // Not reached: what is drawn is below the sum of the weights.
        self.names.last().cloned().unwrap_or_default()
    }
}

impl Generator for Drawn {
    fn next(&mut self, context: &Context) -> Invocation {
        let slot = self.stream.below(context.keys.slots());
        let f = self.draw_name();
        let value = (self.mix.argument)(
            &f,
            &mut Draw {
                stream: &mut self.stream,
                client: context.client,
                clients: context.clients,
                counter: &mut self.counter,
            },
        );
        Invocation {
            f,
            key: self.mix.has_keys.then(|| context.keys.take(slot)),
            value,
        }
    }

    fn observe(&mut self, _invocation: &Invocation, _outcome: &Outcome) {}
}
