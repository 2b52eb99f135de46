//! The workload `set`: elements are added to a set, which is read as a whole.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `add` | the element, unlike all others | nil |
//! | `read` | nil | the list of all elements |

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// Adds, and reads of everything.
pub static SET: ByWeight = ByWeight {
    name: "set",
    model: Some("set"),
    checks: &["set"],
    read: Some("read"),
    mix: Mix {
        operations: &[("add", 50), ("read", 50)],
        argument: |f, draw| match f {
            "add" => draw.unique().into(),
            _ => Value::Nil,
        },
        has_keys: true,
    },
    initial: || None,
    is_emptied: false,
    keys: 3,
    ops_per_key: 150,
};
