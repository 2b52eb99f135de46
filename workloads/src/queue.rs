//! The workload `queue`: values that are delivered once, in the order in which they came.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `enqueue` | the value, unlike all others | nil |
//! | `dequeue` | nil | the value taken; nil when the queue was empty |
//!
//! At the end every queue is emptied.

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// Enqueues and dequeues.
pub static QUEUE: ByWeight = ByWeight {
    name: "queue",
    model: Some("fifo-queue"),
    checks: &["queue"],
    read: Some("dequeue"),
    mix: Mix {
        operations: &[("enqueue", 52), ("dequeue", 48)],
        argument: |f, draw| match f {
            "enqueue" => draw.unique().into(),
            _ => Value::Nil,
        },
        has_keys: true,
    },
    initial: || None,
    is_emptied: true,
    keys: 3,
    ops_per_key: 100,
};
