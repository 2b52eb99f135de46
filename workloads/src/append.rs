//! The workload `append`: elements are appended to a list, which is read as a whole.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `append` | the element, unlike all others | nil |
//! | `read` | nil | the list of all elements, in order |

use histories::Value;

use crate::drawn::{Drawn, Mix};
use crate::{Context, Generator, Options, Values, Workload};

/// Appends, and reads of everything.
#[derive(Debug)]
pub struct Append;

static MIX: Mix = Mix {
    operations: &[("append", 50), ("read", 50)],
    argument: |f, draw| match f {
        "append" => draw.unique().into(),
        _ => Value::Nil,
    },
    has_keys: true,
};

impl Workload for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn model(&self) -> Option<&'static str> {
        Some("append-list")
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
