//! The workload `set`: elements are added to a set, which is read as a whole.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `add` | the element, unlike all others | nil |
//! | `read` | nil | the list of all elements |

use histories::Value;

use crate::drawn::{Drawn, Mix};
use crate::{Context, Generator, Options, Values, Workload};

/// Adds, and reads of everything.
#[derive(Debug)]
pub struct Set;

static MIX: Mix = Mix {
    operations: &[("add", 50), ("read", 50)],
    argument: |f, draw| match f {
        "add" => draw.unique().into(),
        _ => Value::Nil,
    },
    has_keys: true,
};

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn model(&self) -> Option<&'static str> {
        Some("set")
    }

    fn checks(&self) -> &'static [&'static str] {
        &["set"]
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
