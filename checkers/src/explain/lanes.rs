//! A counterexample as a picture of characters: one lane per operation, time to the right.

use crate::{CoreOperation, Counterexample};

/// Columns between two moments, at most.
const STEP_COLUMNS_MAX: usize = 4;

/// The operations of a counterexample as lanes, each at most `columns` wide (8 at least).
///
/// Beginnings and ends stand in their true order from left to right, evenly spaced. `|--|` is an
/// operation with an end, `|-->` one whose end does not count: its outcome is unknown, or the
/// contradiction does not need it.
pub fn lanes(counterexample: &Counterexample, columns: usize) -> Vec<String> {
    let scale = Scale::new(counterexample, columns.max(8));
    let core = counterexample.core.iter();
    core.map(|operation| scale.lane(operation)).collect()
}

/// Which column each beginning and each end stands in.
struct Scale {
    /// The indexes of all moments that count, in order.
    moments: Vec<u64>,
    columns: usize,
}

impl Scale {
    fn new(counterexample: &Counterexample, columns: usize) -> Self {
        let core = &counterexample.core;
        let begins = core.iter().map(|core| core.operation.invoked.index);
        let mut moments: Vec<u64> = begins.chain(core.iter().filter_map(end)).collect();
        moments.sort_unstable();
        moments.dedup();
        // An open end needs a place behind all others; and evenly spaced means no wider than that.
        Scale {
            columns: columns.min(STEP_COLUMNS_MAX * (moments.len() + 1)),
            moments,
        }
    }

    fn column(&self, index: u64) -> usize {
        let place = self.moments.partition_point(|&moment| moment < index);
        place * self.columns.saturating_sub(1) / self.moments.len().max(1)
    }

    fn lane(&self, core: &CoreOperation) -> String {
        let begin = self.column(core.operation.invoked.index);
        let (end, mark) = match end(core) {
            Some(end) => (self.column(end), '|'),
            None => (self.columns.saturating_sub(1), '>'),
        };
        let dashes = "-".repeat(end.saturating_sub(begin + 1));
        format!("{}|{dashes}{mark}", " ".repeat(begin))
    }
}

/// Where the operation ends, when that counts.
fn end(core: &CoreOperation) -> Option<u64> {
    core.operation
        .ended
        .filter(|_| core.is_bounded())
        .map(|end| end.index)
}
