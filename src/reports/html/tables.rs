//! The page's tables: checks, the counterexample's operations, faults, leaders.

use checkers::{Anomaly, Check, Counterexample, Report};
use histories::{FaultSpan, Point, Value};
use maud::{Markup, html};

use super::facts::{Facts, describe, outcome_name, readable, shorten};
use super::scale::Unit;
use crate::controller::notice::UnavailableFault;
use crate::coverage::KindCoverage;

/// Longer values are folded away.
const SHOWN_CHARACTERS_MAX: usize = 160;
/// A table has at most so many rows.
const ROWS_MAX: usize = 500;

/// What each check says.
pub(super) fn checks(report: &Report) -> Markup {
    html! {
        table.checks {
            thead { tr { th { "check" } th { "verdict" } th { "reason" } } }
            tbody { @for check in &report.checks { (check_row(check)) } }
        }
        @if report.checks.is_empty() { p.muted { "Nothing was checked." } }
        @for check in &report.checks {
            @if let Some(found) = check.findings.as_ref().filter(|one| !one.anomalies.is_empty()) {
                (anomalies(check.name, &found.anomalies))
            }
        }
    }
}

/// What a check of the workload's own found out of the ordinary, with where to look.
fn anomalies(check: &str, found: &[Anomaly]) -> Markup {
    html! {
        h3 { "What the check " (check) " found" }
        table {
            thead {
                tr { th { "kind" } th { "what" } th { "operations" } th.number { "at (ms)" } }
            }
            tbody {
                @for anomaly in found.iter().take(ROWS_MAX) {
                    tr.bad-row[anomaly.is_violation] {
                        td { (anomaly.kind) }
                        td { (anomaly.text) }
                        td { @for one in &anomaly.operations {
                            div { (one.index) @if let Some(end) = one.end_index { "–" (end) } } } }
                        td.number { @for one in &anomaly.operations {
                            div { (Unit::Ms.format(one.invoked_ns, 3)) } } }
                    }
                }
            }
        }
    }
}

fn check_row(check: &Check) -> Markup {
    html! {
        tr {
            td { (check.name) }
            td { span.badge.(check.verdict.as_str()) { (check.verdict.as_str()) } }
            td {
                @if let Some(reason) = &check.reason { (reason) }
                @if let Some(hint) = &check.hint { div.muted { "hint: " (hint) } }
                @if !check.details.is_empty() {
                    ul { @for line in check.details.iter().take(ROWS_MAX) { li.lines { (line) } } }
                }
            }
        }
    }
}

/// The operations of the counterexample with full precision.
pub(super) fn core(facts: &Facts, found: &Counterexample) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "index" } th { "operation" } th { "process" } th { "node" }
                    th.number { "invoked at (ms)" } th.number { "completed at (ms)" }
                    th { "outcome" }
                }
            }
            tbody {
                @for (i, one) in found.core.iter().enumerate() {
                    @let operation = &one.operation;
                    tr.bad-row[i == found.culprit] {
                        td { (operation.invoked.index)
                            @if let Some(ended) = operation.ended { "–" (ended.index) } }
                        td { code { (describe(operation)) } }
                        td { (facts.who(operation)) }
                        td { (operation.node.as_deref().unwrap_or("–"))
                            @if !operation.path.is_empty() {
                                div.muted { "tried " (operation.path.join(", ")) } } }
                        td.number { (at(Some(operation.invoked))) }
                        td.number { (at(operation.ended)) }
                        td { (outcome_name(operation.outcome))
                            @if one.weakened { ", its end does not matter" }
                            @if i == found.culprit { ", cannot be placed" }
                            @if let Some(error) = &operation.error { div.muted { (error) } } }
                    }
                }
            }
        }
    }
}

/// What each kind of fault exercised, and which there could not be.
pub(super) fn coverage(kinds: &[KindCoverage], unavailable: &[UnavailableFault]) -> Markup {
    html! {
        @if !kinds.is_empty() || !unavailable.is_empty() {
            table.narrow {
                thead {
                    tr {
                        th { "kind" } th.number { "injected" } th.number { "effective" }
                        th.number { "operations meanwhile" } th.number { "leader changes" }
                    }
                }
                tbody {
                    @for kind in kinds {
                        tr {
                            td { (kind.kind) }
                            td.number { (kind.injected) }
                            td.number { (kind.effective) }
                            td.number { (kind.overlapped) }
                            td.number { (kind.leader_changes) }
                        }
                    }
                    @for fault in unavailable {
                        tr {
                            td { (fault.kind) }
                            td colspan="4" { "unavailable: " (fault.cause) }
                        }
                    }
                }
            }
        }
    }
}

/// What was done to the cluster, and what shows it.
pub(super) fn faults(facts: &Facts) -> Markup {
    if facts.faults.is_empty() {
        return html! { p.muted { "No faults were injected." } };
    }
    html! {
        table {
            thead {
                tr {
                    th { "id" } th { "kind" } th { "targets" } th { "parameters" }
                    th.number { "from (ms)" } th.number { "to (ms)" } th { "evidence" }
                    th { "took effect" }
                }
            }
            tbody { @for fault in facts.faults.iter().take(ROWS_MAX) { (fault_row(fault)) } }
        }
        (left_out(facts.faults.len()))
    }
}

fn fault_row(fault: &FaultSpan) -> Markup {
    html! {
        tr.bad-row[fault.error.is_some()] {
            td { (fault.id) }
            td { (fault.kind) }
            td { (fault.targets.join(" ")) }
            td { (value(&fault.parameters)) }
            td.number { (at(fault.inject)) }
            td.number {
                @if fault.inject.is_some() && fault.heal.is_none() { "not healed" }
                @else { (at(fault.heal)) }
            }
            td {
                @if !fault.inject_evidence.is_nil() {
                    div { "injected: " (value(&fault.inject_evidence)) }
                }
                @if !fault.heal_evidence.is_nil() {
                    div { "healed: " (value(&fault.heal_evidence)) }
                }
                @if let Some((point, why)) = &fault.error {
                    div.bad { "error at " (at(Some(*point))) " ms: " (value(why)) }
                }
            }
            td {
                @match fault.effective {
                    Some(true) => { "yes" }
                    Some(false) => { strong.bad { "no" } }
                    None if fault.inject.is_none() => { "never in force" }
                    None => { "not known" }
                }
            }
        }
    }
}

/// Who led from when on, and which processes ended.
pub(super) fn leaders(facts: &Facts) -> Markup {
    html! {
        @if facts.leaders.is_empty() {
            p.muted { "No leader was recorded." }
        } @else {
            table.narrow {
                thead { tr { th.number { "from (ms)" } th { "leader" } th.number { "term" } } }
                tbody {
                    @for leader in facts.leaders.iter().take(ROWS_MAX) {
                        tr {
                            td.number { (Unit::Ms.format(leader.at_ns, 3)) }
                            td { (leader.node.as_deref().unwrap_or("none")) }
                            td.number { @if let Some(term) = leader.term { (term) } }
                        }
                    }
                }
            }
            (left_out(facts.leaders.len()))
        }
        @if !facts.exits.is_empty() {
            h3 { "Node exits" }
            table.narrow {
                thead { tr { th.number { "at (ms)" } th { "node" } th { "details" } } }
                tbody {
                    @for exit in facts.exits.iter().take(ROWS_MAX) {
                        tr {
                            td.number { (Unit::Ms.format(exit.at_ns, 3)) }
                            td { (exit.node) }
                            td.lines { (exit.details) }
                        }
                    }
                }
            }
            (left_out(facts.exits.len()))
        }
    }
}

fn left_out(rows: usize) -> Markup {
    html! {
        @if rows > ROWS_MAX {
            p.muted { "The first " (ROWS_MAX) " of " (rows) " are listed." }
        }
    }
}

/// A time with full precision, or a dash.
fn at(point: Option<Point>) -> String {
    point.map_or_else(|| "–".to_owned(), |point| Unit::Ms.format(point.time_ns, 6))
}

/// A value, folded away when it is long.
fn value(value: &Value) -> Markup {
    let text = readable(value);
    html! {
        @if value.is_nil() {
            "–"
        } @else if text.chars().count() <= SHOWN_CHARACTERS_MAX {
            code { (text) }
        } @else {
            details {
                summary { code { (shorten(&text, SHOWN_CHARACTERS_MAX)) } }
                code { (text) }
            }
        }
    }
}
