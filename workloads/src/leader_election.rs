//! The workload `leader-election`: candidates become the leader of a term, and everybody may ask who leads.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `campaign` | the name of the candidate, `c` with the number of the client | `{leader, term}`: whoever leads now |
//! | `leader` | nil | `{leader, term}`; nil when there is none yet |

use histories::Value;

use crate::drawn::{ByWeight, Mix};

/// Campaigns, and questions who leads.
pub static LEADER_ELECTION: ByWeight = ByWeight {
    name: "leader-election",
    model: None,
    checks: &["leader-election"],
    read: Some("leader"),
    mix: Mix {
        operations: &[("campaign", 40), ("leader", 60)],
        argument: |f, draw| match f {
            "campaign" => format!("c{}", draw.client).into(),
            _ => Value::Nil,
        },
        has_keys: true,
    },
    initial: || None,
    is_emptied: false,
    keys: 2,
    ops_per_key: 200,
};
