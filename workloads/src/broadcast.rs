//! The workload `broadcast`: messages that everybody is to deliver in the same order.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `broadcast` | the message, unlike all others | nil |
//! | `read` | nil | the list of all messages, in order of delivery |

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// Broadcasts, and reads of all that was delivered.
pub static BROADCAST: ByWeight = ByWeight {
    name: "broadcast",
    model: None,
    checks: &["log"],
    read: Some("read"),
    mix: Mix {
        operations: &[("broadcast", 50), ("read", 50)],
        argument: |f, draw| match f {
            "broadcast" => draw.unique().into(),
            _ => Value::Nil,
        },
        has_keys: true,
    },
    initial: || None,
    is_emptied: false,
    keys: 3,
    ops_per_key: 150,
};
