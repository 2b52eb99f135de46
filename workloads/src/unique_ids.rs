//! The workload `unique-ids`: ids, none of which may be given twice.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `generate` | nil | the id |

use histories::Value;

use crate::drawn::{Drawn, Mix};
use crate::{Context, Generator, Options, Values, Workload};

/// Ids, and nothing else.
#[derive(Debug)]
pub struct UniqueIds;

static MIX: Mix = Mix {
    operations: &[("generate", 1)],
    argument: |_, _| Value::Nil,
    has_keys: false,
};

impl Workload for UniqueIds {
    fn name(&self) -> &'static str {
        "unique-ids"
    }

    fn model(&self) -> Option<&'static str> {
        None
    }

    fn checks(&self) -> &'static [&'static str] {
        &["unique-ids"]
    }

    fn read(&self) -> Option<&'static str> {
        None
    }

    fn operations(&self) -> Vec<&'static str> {
        MIX.names()
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 1,
            ops_per_key: 100,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Drawn::new(&MIX, seed, context.client))
    }
}
