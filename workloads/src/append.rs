//! The workload `append`: elements are appended to a list, which is read as a whole.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `append` | the element, unlike all others | nil |
//! | `read` | nil | the list of all elements, in order |

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// Appends, and reads of everything.
pub static APPEND: ByWeight = ByWeight {
    name: "append",
    model: Some("append-list"),
    checks: &["log"],
    read: Some("read"),
    mix: Mix {
        operations: &[("append", 50), ("read", 50)],
        argument: |f, draw| match f {
            "append" => draw.unique().into(),
            _ => Value::Nil,
        },
        has_keys: true,
    },
    initial: || None,
    is_emptied: false,
    keys: 3,
    ops_per_key: 150,
};
