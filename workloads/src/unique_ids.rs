//! The workload `unique-ids`: ids, none of which may be given twice.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `generate` | nil | the id |

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// Ids, and nothing else.
pub static UNIQUE_IDS: ByWeight = ByWeight {
    name: "unique-ids",
    model: None,
    checks: &["unique-ids"],
    read: None,
    mix: Mix {
        operations: &[("generate", 1)],
        argument: |_, _| Value::Nil,
        has_keys: false,
    },
    initial: || None,
    is_emptied: false,
    keys: 1,
    ops_per_key: 100,
};
