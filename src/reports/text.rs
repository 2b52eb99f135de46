//! The verdict for people, on a terminal of 100 columns.

use std::fmt::Write;
use std::ops::Range;

use checkers::{Check, Counterexample, Report, Verdict};
use histories::{History, Operation, Outcome, Point, RunInfo};

use super::context::{describe_fault, describe_operation, faults_between, leader_at, leaders};
use super::messages;
use crate::controller::notice::UnavailableFault;
use crate::coverage::KindCoverage;
use crate::judge::Judged;
use crate::units::amount;

/// Columns for the picture of an operation's place in time.
const LANE_COLUMNS: usize = 22;
/// Rows of a counterexample, at most: those nearest to the operation that cannot be placed.
const ROWS_MAX: usize = 40;
/// Columns for an operation in words.
const OPERATION_COLUMNS: usize = 32;

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
    let hint = check.hint.iter().map(|hint| format!("hint: {hint}"));
    for line in check
        .details
        .iter()
        .flat_map(|detail| detail.lines())
        .map(str::to_owned)
        .chain(hint)
    {
        let _ = writeln!(text, "  {:<25} {line}", "");
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
        Some(key) => format!("\nOn key {key} {what}:\n\n"),
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
    let mut rows =
        vec![["", from, to, "client", "node", "operation", "order", ""].map(str::to_owned)];
    let lanes = checkers::lanes(counterexample, LANE_COLUMNS);
    let shown = shown_rows(operations.len(), counterexample.culprit);
    for (place, (core, lane)) in counterexample.core.iter().zip(lanes).enumerate() {
        if !shown.contains(&place) {
            continue;
        }
        let culprit = place == counterexample.culprit;
        let remark = match (culprit, core.operation.outcome) {
            (true, _) => "impossible",
            (false, Outcome::Info) => "unknown",
            (false, _) => "",
        };
        let run = history.header.run.as_ref();
        rows.push(row(
            &core.operation,
            times,
            run,
            [if culprit { ">" } else { "" }, &lane, remark],
        ));
    }
    text.push_str(&table(&rows));
    if shown.len() < operations.len() {
        let left_out = operations.len() - shown.len();
        let _ = writeln!(text, "  … and {left_out} more, all of them with --json");
    }
    if !counterexample.explanation.is_empty() {
        text.push_str("\nWhy:\n");
        for line in &counterexample.explanation {
            let _ = writeln!(text, "  - {line}");
        }
    }
    text.push_str("\nWhat holds all the same:\n");
    for line in still_holds(counterexample) {
        let _ = writeln!(text, "  - {line}");
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

fn row(
    operation: &Operation,
    times: bool,
    run: Option<&RunInfo>,
    [mark, lane, remark]: [&str; 3],
) -> [String; 8] {
    let at = |point: Point| match times {
        true => format!("{:.3}", point.time_ns as f64 / 1e6),
        false => point.index.to_string(),
    };
    [
        mark.to_owned(),
        at(operation.invoked),
        match (operation.outcome, operation.ended) {
            (Outcome::Ok, Some(ended)) => at(ended),
            _ => "?".to_owned(),
        },
        client(operation.process, run),
        operation.node.as_deref().unwrap_or("").to_owned(),
        shortened(&describe_operation(operation)),
        lane.to_owned(),
        remark.to_owned(),
    ]
}

/// Text that leaves room for the rest of its line: beginning and end, for what was read stands at
/// the end.
fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= OPERATION_COLUMNS {
        return text.to_owned();
    }
    let half = OPERATION_COLUMNS / 2;
    let beginning: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half + 1).collect();
    format!("{beginning}…{end}")
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
fn table(rows: &[[String; 8]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..8).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let _ = match column {
                1 | 2 => write!(line, "{pad}{cell}  "),
                _ => write!(line, "{cell}{pad}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
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
        let _ = writeln!(text, "  - fault {}", describe_fault(fault));
    }
    if let (true, Some(last)) = (
        active.is_empty(),
        faults
            .iter()
            .rev()
            .find(|fault| fault.inject.is_some_and(|inject| inject.index < from)),
    ) {
        let _ = writeln!(
            text,
            "  - no fault in force; the last before: {}",
            describe_fault(last)
        );
    }
    if let Some((leader, term)) = leader {
        let _ = writeln!(
            text,
            "  - {leader} was the newest known leader, in term {term}"
        );
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
