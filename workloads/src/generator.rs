//! The generator that every workload here uses: operations drawn by weight, on keys taken from
//! the ring.

use std::sync::Arc;

use histories::Value;
use seeds::{Purpose, Stream};

use crate::{Context, Generator, Invocation, Options, Outcome, Values};

/// What one workload's operations are.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The operations and how often each is drawn, relative to the others.
    pub mix: &'static [(&'static str, u64)],
    /// The operation that reads a key.
    pub read: &'static str,
    /// How a value is written.
    pub value: fn(Fresh) -> Value,
}

impl Recipe {
    /// Every operation.
    pub fn operations(&self) -> Vec<&'static str> {
        self.mix.iter().map(|(name, _)| *name).collect()
    }
}

/// A value about to be written, before it is put into a workload's form.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fresh {
    /// Value number `counter` of this client among so many, no two alike.
    Unique {
        /// The client.
        client: u32,
        /// How many clients there are.
        clients: u32,
        /// How many values it had before.
        counter: u64,
    },
    /// One of a few.
    Few(u64),
}

/// Draws operations by a recipe. What is drawn from the stream does not depend on what the client
/// saw, only what is made of it does.
pub(crate) struct Mixed {
    recipe: &'static Recipe,
    names: Vec<Arc<str>>,
    stream: Stream,
    values: Values,
    counter: u64,
    /// The key used last, its slot, and the value it had, where that was seen.
    seen: Option<Seen>,
    /// The slot of the operation drawn last.
    slot: u64,
}

struct Seen {
    slot: u64,
    key: Value,
    value: Value,
}

impl Mixed {
    pub fn new(recipe: &'static Recipe, seed: u64, client: u32, options: &Options) -> Self {
        Mixed {
            recipe,
            names: recipe
                .mix
                .iter()
                .map(|(name, _)| Arc::from(*name))
                .collect(),
            stream: Stream::new(seed, Purpose::Client, client),
            values: options.values,
            counter: 0,
            seen: None,
            slot: 0,
        }
    }

    fn fresh(&mut self, context: &Context) -> Value {
        let fresh = match self.values {
            Values::Unique => {
                let counter = self.counter;
                self.counter += 1;
                Fresh::Unique {
                    client: context.client,
                    clients: context.clients,
                    counter,
                }
            }
            Values::Few(few) => Fresh::Few(self.stream.below(few)),
        };
        (self.recipe.value)(fresh)
    }

    fn draw_name(&mut self) -> Arc<str> {
        let whole = self.recipe.mix.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.stream.below(whole);
        for (name, (_, weight)) in self.names.iter().zip(self.recipe.mix) {
            if drawn < *weight {
                return name.clone();
            }
            drawn -= weight;
        }
        self.recipe.read.into()
    }

    /// A compare-and-set goes to the key used last, when its value was seen: on a key seen some
    /// operations ago the others have long written, and hardly any would succeed. Where nothing
    /// was seen, a read sees first.
    fn cas(&mut self, context: &Context, new: Value, f: Arc<str>) -> Invocation {
        if let Some(seen) = self.seen.take() {
            self.slot = seen.slot;
            let key = context.keys.take(seen.slot);
            if key == seen.key {
                let value = Value::List(vec![seen.value, new]);
                return Invocation {
                    f,
                    key: Some(key),
                    value,
                };
            }
            return self.read(key);
        }
        let key = context.keys.take(self.slot);
        self.read(key)
    }

    fn read(&self, key: Value) -> Invocation {
        Invocation {
            f: self.recipe.read.into(),
            key: Some(key),
            value: Value::Nil,
        }
    }
}

impl Generator for Mixed {
    fn next(&mut self, context: &Context) -> Invocation {
        self.slot = self.stream.below(context.keys.slots());
        let f = self.draw_name();
        let fresh = self.fresh(context);
        match &*f {
            "cas" => self.cas(context, fresh, f),
            "write" | "put" | "append" => Invocation {
                f,
                key: Some(context.keys.take(self.slot)),
                value: fresh,
            },
            _ => Invocation {
                f,
                key: Some(context.keys.take(self.slot)),
                value: Value::Nil,
            },
        }
    }

    fn observe(&mut self, invocation: &Invocation, outcome: &Outcome) {
        let seen = match (&*invocation.f, outcome) {
            ("read" | "get", Outcome::Ok(value)) => Some(value.clone()),
            ("write" | "put", Outcome::Ok(_)) => Some(invocation.value.clone()),
            ("cas", Outcome::Ok(Value::Bool(true))) => invocation
                .value
                .as_list()
                .and_then(|values| values.last())
                .cloned(),
            ("delete", Outcome::Ok(_)) => Some(Value::Nil),
            _ => None,
        };
        let slot = self.slot;
        self.seen = seen
            .zip(invocation.key.clone())
            .map(|(value, key)| Seen { slot, key, value });
    }
}

#[cfg(test)]
mod tests;
