//! The workload `broadcast`: messages that everybody is to deliver in the same order.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `broadcast` | the message, unlike all others | nil |
//! | `read` | nil | the list of all messages, in order of delivery |

use histories::Value;

use crate::drawn::{Drawn, Mix};
use crate::{Context, Generator, Options, Values, Workload};

/// Broadcasts, and reads of all that was delivered.
#[derive(Debug)]
pub struct Broadcast;

static MIX: Mix = Mix {
    operations: &[("broadcast", 50), ("read", 50)],
    argument: |f, draw| match f {
        "broadcast" => draw.unique().into(),
        _ => Value::Nil,
    },
    has_keys: true,
};

impl Workload for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn model(&self) -> Option<&'static str> {
        None
    }

    fn checks(&self) -> &'static [&'static str] {
        &["log"]
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
            ops_per_key: 150,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Drawn::new(&MIX, seed, context.client))
    }
}
