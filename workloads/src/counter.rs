//! The workload `counter`: a number that is changed by amounts.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `add` | the amount, -5 to 5 | nil |
//! | `read` | nil | the number |

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// Adds, and reads of the sum.
pub static COUNTER: ByWeight = ByWeight {
    name: "counter",
    model: Some("counter"),
    checks: &["counter"],
    read: Some("read"),
    mix: Mix {
        operations: &[("add", 50), ("read", 50)],
        argument: |f, draw| match f {
            "add" => (draw.stream.below(11).cast_signed() - 5).into(),
            _ => Value::Nil,
        },
        has_keys: true,
    },
    initial: || None,
    is_emptied: false,
    keys: 3,
    ops_per_key: 200,
};
