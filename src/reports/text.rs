//! The verdict for people, on a terminal of 100 columns.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use checkers::{Check, Counterexample, Report, Verdict};
use histories::{History, Operation, Outcome, Point, RunInfo};

use super::context::{describe_fault, describe_operation, faults_between, leader_at, leaders};
use super::messages;
use super::terminal::{COLUMNS, hanging, harmless, shortened, width};
use crate::controller::notice::UnavailableFault;
use crate::coverage::KindCoverage;
use crate::judge::Judged;
use crate::units::amount;

/// Columns for the picture of an operation's place in time.
const LANE_COLUMNS_MAX: usize = 22;
/// The same where times, processes and nodes leave little room.
const LANE_COLUMNS_MIN: usize = 8;
/// Columns for a client, and for a node.
const NAME_COLUMNS_MAX: usize = 16;
/// Columns between two cells.
const SPACE: usize = 2;
/// Columns for a key.
const KEY_COLUMNS_MAX: usize = 50;
/// Rows of a counterexample, at most: those nearest to the operation that cannot be placed.
const ROWS_MAX: usize = 40;
/// Columns for an operation in words.
const OPERATION_COLUMNS_MAX: usize = 32;

/// What the text says besides the verdict; nothing of it where a history was only checked.
#[derive(Debug, Default)]
pub struct Context<'a> {
    /// The run folder, for a run.
    pub run: Option<String>,
    /// The report's file, where it could be written.
    pub report: Option<String>,
    /// The command that does it again, for a run.
    pub again: Option<String>,
    /// Whether the run was ended early.
    pub stopped: bool,
    /// Whether that was because of a violation found while it went on.
    pub at_violation: bool,
    /// Why the run was not made to its end, if so: then nothing is said to be valid.
    pub failure: Option<&'a str>,
    /// The kinds of faults that could not be injected on this machine.
    pub unavailable: &'a [UnavailableFault],
}

/// The whole text, ending with a newline.
pub fn render(judged: &Judged, history: &History, context: &Context<'_>) -> String {
    let report = &judged.report;
    let mut text = headline(report, context.failure);
    if let Some(counterexample) = &report.counterexample {
        text.push_str(&explain(counterexample, history));
    }
    text.push('\n');
    for check in &report.checks {
        text.push_str(&check_lines(check));
    }
    text.push_str(&coverage_lines(&judged.coverage, context.unavailable));
    let messages = messages::lines(judged.messages.as_ref());
    if !messages.is_empty() {
        let _ = write!(text, "\n{messages}");
    }
    let _ = writeln!(
        text,
        "\n{} on {}, checked in {} ms",
        amount(report.operations, "operation"),
        amount(report.keys, "key"),
        judged.elapsed_ms
    );
    if context.stopped {
        let why = match context.at_violation {
            true => "at the first violation found while it went on (--keep-going to go on)",
            false => "by request",
        };
        let _ = writeln!(
            text,
            "the run was ended early, {why}: this is the verdict on what there is of it"
        );
    }
    for (name, value) in [
        ("run", &context.run),
        ("report", &context.report),
        ("again", &context.again),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{:<8}{value}", format!("{name}:"));
        }
    }
    text
}

fn headline(report: &Report, failure: Option<&str>) -> String {
    if let (Some(failure), true) = (failure, report.verdict < Verdict::Invalid) {
        return format!("UNKNOWN: the run was not made to its end: {failure}\n");
    }
    let word = match report.verdict {
        Verdict::Valid => "VALID: nothing contradicts a correct system",
        Verdict::Unknown => "UNKNOWN",
        Verdict::Invalid => "INVALID",
    };
    match &report.reason {
        Some(reason) => format!("{word}: {reason}\n"),
        None => format!("{word}\n"),
    }
}

fn check_lines(check: &Check) -> String {
    let mut text = format!("  {:<16} {:<8}", check.name, check.verdict);
    if let Some(reason) = &check.reason {
        let _ = write!(text, " {reason}");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    let hint = check.hint.iter();
    let hint = hint.map(|hint| Cow::Owned(format!("hint: {hint}")));
    let details = check.details.iter().flat_map(|detail| detail.lines());
    for line in details.map(Cow::Borrowed).chain(hint) {
        text.push_str(&hanging(&" ".repeat(28), &harmless(&line)));
    }
    text
}

/// What each kind of fault exercised, a row each, and which there could not be; nothing where there
/// were none.
fn coverage_lines(coverage: &[KindCoverage], unavailable: &[UnavailableFault]) -> String {
    let mut text = String::new();
    if coverage.is_empty() && unavailable.is_empty() {
        return text;
    }
    let kinds = coverage.iter().map(|kind| &kind.kind);
    let kinds = kinds.chain(unavailable.iter().map(|fault| &fault.kind));
    let width = kinds.map(String::len).max().unwrap_or(0).max("fault".len());
    let mut row = |[kind, injected, effective, overlapped, changes]: [&str; 5]| {
        let _ = writeln!(
            text,
            "  {kind:<width$}  {injected:>8}  {effective:>9}  {overlapped:>20}  {changes:>14}"
        );
    };
    row([
        "fault",
        "injected",
        "effective",
        "operations meanwhile",
        "leader changes",
    ]);
    for kind in coverage {
        row([
            &kind.kind,
            &kind.injected.to_string(),
            &kind.effective.to_string(),
            &kind.overlapped.to_string(),
            &kind.leader_changes.to_string(),
        ]);
    }
    for fault in unavailable {
        let UnavailableFault { kind, cause, .. } = fault;
        let _ = writeln!(text, "  {kind:<width$}  unavailable: {cause}");
    }
    format!("\n{text}")
}

/// The counterexample: its operations, why they contradict each other, what went on around them.
fn explain(counterexample: &Counterexample, history: &History) -> String {
    let operations: Vec<&Operation> = counterexample
        .core
        .iter()
        .map(|core| &core.operation)
        .collect();
    let what = match operations.len() {
        1 => "this operation cannot have happened".to_owned(),
        count => format!("these {count} operations contradict each other"),
    };
    let mut text = match &counterexample.key {
        Some(key) => {
            let key = key.to_string();
            format!("\nOn key {} {what}:\n\n", shortened(&key, KEY_COLUMNS_MAX))
        }
        None => format!("\nIn short, {what}:\n\n"),
    };
    let times = operations
        .iter()
        .any(|operation| operation.invoked.time_ns != operation.invoked.index);
    let (from, to) = if times {
        ("from ms", "to ms")
    } else {
        ("from event", "to event")
    };
    let shown = shown_rows(operations.len(), counterexample.culprit);
    let run = history.header.run.as_ref();
    let mut rows = vec![["", from, to, "client", "node", "operation"].map(str::to_owned)];
    rows.extend(shown.clone().map(|place| {
        let mark = if place == counterexample.culprit {
            ">"
        } else {
            ""
        };
        row(operations[place], times, run, mark)
    }));
    let wide = checkers::lanes(counterexample, LANE_COLUMNS_MAX);
    let wanted = wide.iter().map(|lane| width(lane)).max().unwrap_or(0);
    let lanes = checkers::lanes(counterexample, fit(&mut rows, wanted));
    let lanes = lanes.into_iter().enumerate().map(|(place, lane)| {
        let remark = match operations[place].outcome {
            _ if place == counterexample.culprit => "impossible",
            Outcome::Info => "unknown",
            _ => "",
        };
        [lane, remark.to_owned()]
    });
    let heads = ["order", ""].map(str::to_owned);
    let pictures: Vec<[String; 2]> = std::iter::once(heads)
        .chain(lanes.skip(shown.start).take(shown.len()))
        .collect();
    text.push_str(&table(&rows, &pictures));
    if shown.len() < operations.len() {
        let left_out = operations.len() - shown.len();
        let _ = writeln!(text, "  … and {left_out} more, all of them with --json");
    }
    if !counterexample.explanation.is_empty() {
        text.push_str("\nWhy:\n");
        for line in &counterexample.explanation {
            text.push_str(&bullet(line));
        }
    }
    text.push_str("\nWhat holds all the same:\n");
    for line in still_holds(counterexample) {
        text.push_str(&bullet(&line));
    }
    text.push_str(&around(&operations, counterexample.culprit, history));
    text
}

/// The places of the operations that are shown of so many: all, or those nearest to the culprit.
fn shown_rows(count: usize, culprit: usize) -> Range<usize> {
    let from = culprit.saturating_sub(ROWS_MAX / 2);
    let from = from.min(count.saturating_sub(ROWS_MAX));
    from..count.min(from + ROWS_MAX)
}

/// What is known of weaker guarantees, one sentence a line.
pub fn still_holds(counterexample: &Counterexample) -> Vec<String> {
    match &counterexample.guarantees {
        Some(guarantees) => guarantees.lines(),
        None => vec!["weaker guarantees were not looked at".to_owned()],
    }
}

/// The cells of an operation, all but the picture of its place in time.
fn row(operation: &Operation, times: bool, run: Option<&RunInfo>, mark: &str) -> [String; 6] {
    let at = |point: Point| match times {
        true => format!("{:.3}", point.time_ns as f64 / 1e6),
        false => point.index.to_string(),
    };
    let short = |text: &str, columns| shortened(&harmless(text), columns).into_owned();
    [
        mark.to_owned(),
        at(operation.invoked),
        match (operation.outcome, operation.ended) {
            (Outcome::Ok, Some(ended)) => at(ended),
            _ => "?".to_owned(),
        },
        short(&client(operation.process, run), NAME_COLUMNS_MAX),
        short(operation.node.as_deref().unwrap_or(""), NAME_COLUMNS_MAX),
        short(&describe_operation(operation), OPERATION_COLUMNS_MAX),
    ]
}

/// Shortens operations so that a row with its picture, for which so many columns are wanted, fits the
/// terminal, and says how many the picture may take.
fn fit(rows: &mut [[String; 6]], wanted: usize) -> usize {
    let widths = widths(rows);
    let others: usize = widths[..5].iter().map(|width| width + SPACE).sum();
    let remark = SPACE + "impossible".len();
    let room = COLUMNS.saturating_sub(SPACE + others + SPACE + remark);
    let operation = widths[5].min(room.saturating_sub(wanted).max(room * 3 / 5));
    for row in rows {
        row[5] = shortened(&row[5], operation).into_owned();
    }
    let lane = room.saturating_sub(operation);
    lane.clamp(LANE_COLUMNS_MIN, LANE_COLUMNS_MAX)
}

/// A process as its client: after an unknown outcome a client goes on under a new number.
fn client(process: u64, run: Option<&RunInfo>) -> String {
    match run.map(|run| run.clients) {
        Some(clients) if clients > 0 && process >= clients => {
            format!("{} as {process}", process % clients)
        }
        _ => process.to_string(),
    }
}

/// Columns as wide as their widest cell; numbers to the right.
fn table(rows: &[[String; 6]], pictures: &[[String; 2]]) -> String {
    let widths = [&widths(rows)[..], &widths(pictures)[..]].concat();
    let mut text = String::new();
    for (row, picture) in rows.iter().zip(pictures) {
        let mut line = " ".repeat(SPACE);
        for (column, cell) in row.iter().chain(picture).enumerate() {
            let pad = " ".repeat(widths[column] - width(cell) + SPACE);
            match column {
                1 | 2 => line.extend([&pad[SPACE..], cell, &pad[..SPACE]]),
                _ => line.extend([cell, &*pad]),
            }
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| width(&row[column]));
        cells.max().unwrap_or(0)
    })
}

fn bullet(sentence: &str) -> String {
    hanging("  - ", &harmless(sentence))
}

/// The faults in force from the first of the operations to the end of the culprit, and who led.
fn around(operations: &[&Operation], culprit: usize, history: &History) -> String {
    let Some(culprit) = operations.get(culprit) else {
        return String::new();
    };
    let from = operations
        .iter()
        .map(|operation| operation.invoked.index)
        .min()
        .unwrap_or(0);
    let to = culprit.ended.unwrap_or(culprit.invoked);
    let faults = history.faults();
    let active = faults_between(&faults, from, to.index);
    let leaders = leaders(history);
    let leader = leader_at(&leaders, culprit.invoked.time_ns);
    if active.is_empty() && leader.is_none() {
        return String::new();
    }
    let mut text = String::from("\nMeanwhile:\n");
    for fault in &active {
        text.push_str(&bullet(&format!("fault {}", describe_fault(fault))));
    }
    if let (true, Some(last)) = (
        active.is_empty(),
        faults
            .iter()
            .rev()
            .find(|fault| fault.inject.is_some_and(|inject| inject.index < from)),
    ) {
        let last = describe_fault(last);
        text.push_str(&bullet(&format!(
            "no fault in force; the last before: {last}"
        )));
    }
    if let Some((leader, term)) = leader {
        text.push_str(&bullet(&format!(
            "{leader} was the newest known leader, in term {term}"
        )));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_large_counterexample_the_rows_around_the_culprit_are_shown() {
        for (count, culprit, expected) in [
            (1, 0, 0..1),
            (40, 39, 0..40),
            (41, 0, 0..40),
            (41, 40, 1..41),
            (600, 599, 560..600),
            (600, 300, 280..320),
        ] {
            let shown = shown_rows(count, culprit);
            assert_eq!(shown, expected);
            assert!(shown.contains(&culprit));
        }
    }

    #[test]
    fn a_kind_that_could_not_be_had_stands_beside_those_that_could() {
        let missing = UnavailableFault {
            kind: "partition".to_owned(),
            cause: "no network".to_owned(),
            remedy: "allow it".to_owned(),
        };
        let kill = KindCoverage {
            kind: "kill".to_owned(),
            injected: 2,
            effective: 2,
            overlapped: 70,
            leader_changes: 1,
        };
        let row = "  partition  unavailable: no network\n";
        assert!(coverage_lines(&[kill], std::slice::from_ref(&missing)).ends_with(row));
        assert!(coverage_lines(&[], &[missing]).ends_with(row));
        assert_eq!(coverage_lines(&[], &[]), "");
    }
}
