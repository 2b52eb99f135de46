//! The workload `kv`: a few keys of text.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `get` | nil | the text; nil where the key is missing |
//! | `put` | the text | nil |
//! | `append` | the text to add, to nothing where the key is missing | nil |
//! | `cas` | `[expected new]`; nil expects the key to be missing | whether it was swapped |
//! | `delete` | nil | whether the key was there |
//!
//! Values are short words that end in a space, so that a text of several appended ones can be
//! taken apart again: `"3.17 "` is value 17 of client 3.

use crate::generator::{Fresh, Mixed, Recipe};
use crate::{Context, Generator, Options, Values, Workload};

/// Get, put, append, compare-and-set and delete of texts.
#[derive(Debug)]
pub struct Kv;

static RECIPE: Recipe = Recipe {
    mix: &[
        ("get", 45),
        ("put", 14),
        ("append", 22),
        ("cas", 14),
        ("delete", 5),
    ],
    read: "get",
    value: |fresh| match fresh {
        Fresh::Unique {
            client, counter, ..
        } => format!("{client}.{counter} ").into(),
        Fresh::Few(number) => format!("{number} ").into(),
    },
};

impl Workload for Kv {
    fn name(&self) -> &'static str {
        "kv"
    }

    fn model(&self) -> Option<&'static str> {
        Some("kv")
    }

    fn read(&self) -> Option<&'static str> {
        Some(RECIPE.read)
    }

    fn operations(&self) -> Vec<&'static str> {
        RECIPE.operations()
    }

    fn optional(&self) -> &'static [&'static str] {
        &["append", "cas", "delete"]
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 5,
            ops_per_key: 100,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, options: &Options) -> Box<dyn Generator> {
        Box::new(Mixed::new(&RECIPE, seed, context.client, options))
    }
}
