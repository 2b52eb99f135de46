//! A counterexample as a picture of characters: one lane per operation, time to the right.

use std::fmt::Write;

use histories::{Operation, Outcome};

use crate::{CoreOperation, Counterexample};

/// Narrower than this there is no picture.
const WIDTH_MIN: usize = 60;
/// At most so much of the width goes to the names.
const NAME_SHARE_PERCENT: usize = 65;

/// The operations of a counterexample as lanes, each line at most `width_columns` wide (60 at
/// least).
///
/// Beginnings and ends stand in their true order from left to right, evenly spaced: the times, in
/// milliseconds, are in the text. `|--|` is an operation with an end, `|-->` one whose end does
/// not count: its outcome is unknown, or the contradiction does not need it. `<` marks the one
/// that cannot be placed.
pub fn lanes(counterexample: &Counterexample, width_columns: usize) -> String {
    let width = width_columns.max(WIDTH_MIN);
    let has_times = counterexample
        .core
        .iter()
        .any(|core| has_time(&core.operation));
    let names: Vec<String> = counterexample
        .core
        .iter()
        .map(|core| name(core, has_times))
        .collect();
    let widest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let name_width = widest.min(width * NAME_SHARE_PERCENT / 100);
    let scale = Scale::new(counterexample, width.saturating_sub(name_width + 4));
    let mut text = String::new();
    for (number, (core, name)) in counterexample.core.iter().zip(&names).enumerate() {
        let mark = if number == counterexample.culprit {
            " <"
        } else {
            ""
        };
        let lane = scale.lane(core);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {lane}{mark}", fitted(name, name_width));
    }
    text
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
            columns: columns.min(4 * (moments.len() + 1)),
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

/// Foreign histories without times have the index in their place.
fn has_time(operation: &Operation) -> bool {
    operation.invoked.time_ns != operation.invoked.index
}

/// `#12 process 4 on n2: read -> 7, 12.3-14.1 ms`.
fn name(core: &CoreOperation, has_times: bool) -> String {
    let operation = &core.operation;
    let mut name = format!("#{} process {}", operation.invoked.index, operation.process);
    if let Some(node) = &operation.node {
        let _ = write!(name, " on {node}");
    }
    let _ = write!(name, ": {}", operation.f);
    if !operation.input.is_nil() {
        let _ = write!(name, " {}", operation.input);
    }
    match operation.outcome {
        Outcome::Ok if operation.output.is_nil() && !operation.input.is_nil() => {}
        Outcome::Ok if operation.output == operation.input => {}
        Outcome::Ok => {
            let _ = write!(name, " -> {}", operation.output);
        }
        Outcome::Fail | Outcome::Info => name.push_str(" -> ?"),
    }
    if has_times {
        let ms = |time_ns: u64| format!("{}.{}", time_ns / 1_000_000, time_ns / 100_000 % 10);
        let _ = write!(name, ", {}-", ms(operation.invoked.time_ns));
        if let Some(end) = operation.ended {
            let _ = write!(name, "{}", ms(end.time_ns));
        }
        name.push_str(" ms");
    }
    name
}

/// The text in exactly so many columns.
fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:width$}");
    }
    let cut: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{cut}…")
}
