//! How a register history is decided.
use super::RegisterHistory;
use crate::limits::{Budget, Exhausted};
use crate::search::Decision;
pub(crate) fn decide_excerpt(_history: &RegisterHistory, _budget: &Budget) -> Decision {
    Decision::Undecided {
        limit: Exhausted::Nodes,
        event: 0,
    }
}
pub(crate) fn shortest_bad_prefix(_history: &RegisterHistory, _budget: &Budget) -> Option<usize> {
    None
}
