//! The workload `counter`: a number that is changed by amounts.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `add` | the amount, -5 to 5 | nil |
//! | `read` | nil | the number |

use histories::Value;

use crate::drawn::{Drawn, Mix};
use crate::{Context, Generator, Options, Values, Workload};

/// Adds, and reads of the sum.
#[derive(Debug)]
pub struct Counter;

static MIX: Mix = Mix {
    operations: &[("add", 50), ("read", 50)],
    argument: |f, draw| match f {
        "add" => (draw.stream.below(11).cast_signed() - 5).into(),
        _ => Value::Nil,
    },
    has_keys: true,
};

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn model(&self) -> Option<&'static str> {
        Some("counter")
    }

    fn checks(&self) -> &'static [&'static str] {
        &["counter"]
    }

    fn read(&self) -> Option<&'static str> {
        Some("read")
    }

    fn operations(&self) -> Vec<&'static str> {
        MIX.names()
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 3,
            ops_per_key: 200,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Drawn::new(&MIX, seed, context.client))
    }
}
