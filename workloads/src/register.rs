//! The workload `register`: a few registers of whole numbers, each under its own key.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `read` | nil | the number; nil before the first write |
//! | `write` | the number | nil |
//! | `cas` | `[expected new]` | whether it was swapped |

use histories::Value;

use crate::generator::{Fresh, Mixed, Recipe};
use crate::{Context, Generator, Options, Values, Workload};

/// Read, write and compare-and-set of whole numbers.
#[derive(Debug)]
pub struct Register;

/// Unique values are numbers that leave the client's number when divided by that of the clients.
static RECIPE: Recipe = Recipe {
    mix: &[("read", 45), ("write", 30), ("cas", 25)],
    read: "read",
    value: |fresh| match fresh {
        Fresh::Unique {
            client,
            clients,
            counter,
        } => {
            let number = u64::from(clients)
                .wrapping_mul(counter)
                .wrapping_add(client.into());
            Value::Int(number as i64)
        }
        Fresh::Few(number) => Value::Int(number as i64),
    },
};

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn model(&self) -> Option<&'static str> {
        Some("cas-register")
    }

    fn read(&self) -> Option<&'static str> {
        Some(RECIPE.read)
    }

    fn operations(&self) -> Vec<&'static str> {
        RECIPE.operations()
    }

    fn optional(&self) -> &'static [&'static str] {
        &["cas"]
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 5,
            ops_per_key: 300,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, options: &Options) -> Box<dyn Generator> {
        Box::new(Mixed::new(&RECIPE, seed, context.client, options))
    }
}
