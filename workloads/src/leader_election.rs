//! The workload `leader-election`: candidates become the leader of a term, and everybody may ask who leads.
//!
//! | operation | argument | result |
//! |---|---|---|
//! | `campaign` | the name of the candidate, `c` with the number of the client | `{leader, term}`: whoever leads now |
//! | `leader` | nil | `{leader, term}`; nil when there is none yet |

use histories::Value;

use crate::drawn::{Drawn, Mix};
use crate::{Context, Generator, Options, Values, Workload};

/// Campaigns, and questions who leads.
#[derive(Debug)]
pub struct LeaderElection;

static MIX: Mix = Mix {
    operations: &[("campaign", 40), ("leader", 60)],
    argument: |f, draw| match f {
        "campaign" => format!("c{}", draw.client).into(),
        _ => Value::Nil,
    },
    has_keys: true,
};

impl Workload for LeaderElection {
    fn name(&self) -> &'static str {
        "leader-election"
    }

    fn model(&self) -> Option<&'static str> {
        None
    }

    fn checks(&self) -> &'static [&'static str] {
        &["leader-election"]
    }

    fn read(&self) -> Option<&'static str> {
        Some("leader")
    }

    fn operations(&self) -> Vec<&'static str> {
        MIX.names()
    }

    fn defaults(&self) -> Options {
        Options {
            keys: 2,
            ops_per_key: 200,
            values: Values::Unique,
        }
    }

    fn generator(&self, seed: u64, context: &Context, _options: &Options) -> Box<dyn Generator> {
        Box::new(Drawn::new(&MIX, seed, context.client))
    }
}
