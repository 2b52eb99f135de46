//! The workload `queue`: values that are delivered once, in the order in which they came.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `enqueue` | the value, unlike all others | nil |
//! | `dequeue` | nil | the value taken; nil when the queue was empty |
//!
//! At the end every queue is emptied.

use histories::Value;

use crate::drawn::{Drawn, Mix};
use crate::{Context, Generator, Invocation, Options, Outcome, Values, Workload};

/// Enqueues and dequeues.
#[derive(Debug)]
pub struct Queue;

static MIX: Mix = Mix {
    operations: &[("enqueue", 52), ("dequeue", 48)],
    argument: |f, draw| match f {
        "enqueue" => draw.unique().into(),
        _ => Value::Nil,
    },
    has_keys: true,
};

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn model(&self) -> Option<&'static str> {
        Some("fifo-queue")
    }

    fn checks(&self) -> &'static [&'static str] {
        &["queue"]
    }

    fn read(&self) -> Option<&'static str> {
        Some("dequeue")
    }

    fn operations(&self) -> Vec<&'static str> {
        MIX.names()
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 3,
            ops_per_key: 100,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Drawn::new(&MIX, seed, context.client))
    }

    fn is_unfinished(&self, _read: &Invocation, outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Ok(value) if !value.is_nil())
    }
}
