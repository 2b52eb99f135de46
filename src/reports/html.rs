//! The report of a run as one HTML page that needs nothing else: no network, no scripts.
//!
//! From the top down it answers: what is the verdict, why, what happened over time, what did the
//! clients see just then, and what was done to the cluster.

mod chart;
mod facts;
mod frame;
mod lanes;
mod scale;
mod tables;

use checkers::{Counterexample, Report, Verdict};
use histories::{History, Outcome};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::still_holds;
use crate::controller::notice::UnavailableFault;
use crate::coverage::coverage;
use crate::plan::Plan;
use facts::{Facts, plain};
use scale::duration;

/// What a page is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// What happened.
    pub history: &'a History,
    /// What it means.
    pub report: &'a Report,
    /// The name of the run's folder, as shown.
    pub folder: &'a str,
    /// The command that runs the same plan again.
    pub replay_command: &'a str,
    /// How long the checks took, in milliseconds, where that is known.
    pub checked_in_ms: Option<u64>,
    /// The kinds of faults that could not be injected on this machine.
    pub unavailable: &'a [UnavailableFault],
}

/// The page. The same input always gives the same page.
pub fn render(run: &Input<'_>) -> String {
    let facts = Facts::new(run.history);
    let found = run.report.counterexample.as_ref();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Whatever a history contains, the page loads and runs nothing.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { (run.report.verdict) " – " (run.folder) }
                style { (PreEscaped(include_str!("html/style.css"))) }
            }
            body {
                (definitions())
                (heading(run, &facts))
                h2 { "Checks" }
                (tables::checks(run.report))
                @if let Some(found) = found { (counterexample(&facts, found)) }
                h2 { "Operations per second" }
                (chart::rate(&facts))
                h2 { "Latency" }
                (chart::latency(&facts))
                h2 { (timeline_title(&facts, found)) }
                (lanes::timeline(&facts, found))
                h2 { "Faults" }
                (tables::coverage(&coverage(run.history), run.unavailable))
                (tables::faults(&facts))
                h2 { "Leaders" }
                (tables::leaders(&facts))
                footer { "Whitewater " (env!("CARGO_PKG_VERSION")) ", run " (run.folder) }
            }
        }
    };
    page.into_string()
}

/// Verdict, what was run, and how to run it again.
fn heading(run: &Input<'_>, facts: &Facts) -> Markup {
    let (plan, report) = (run.plan, run.report);
    let verdict = report.verdict;
    html! {
        h1 { (run.folder) " " span.badge.(verdict.as_str()) { (verdict.as_str()) } }
        @if let Some(reason) = &report.reason { p.reason { (reason) } }
        @else if verdict == Verdict::Valid {
            p.reason { "A correct system could have produced this history." }
        }
        @if run.history.torn {
            p.warning { "The last line of the history was cut off in the middle and is left out: "
                "the recorder did not end by itself." }
        }
        dl.facts {
            (fact("system", &plan.system.name))
            (fact("nodes", &nodes(plan)))
            (fact("workload", &plan.workload.name))
            (fact("model", if plan.check.model.is_empty() { "–" } else { &plan.check.model }))
            (fact("clients", &plan.workload.clients.to_string()))
            (fact("seed", &plan.seed.to_string()))
            (fact("bugs switched on", &or_none(&plan.system.bugs)))
            (fact("kinds of faults", &or_none(&plan.faults.kinds.keys().collect::<Vec<_>>())))
            div.wide {
                dt { "operations" }
                dd {
                    (report.operations) ": " (facts.count(Outcome::Ok)) " ok, "
                    (facts.count(Outcome::Fail)) " fail, " (facts.count(Outcome::Info)) " info"
                }
            }
            (fact("recorded / planned time", &times(plan, facts)))
            (fact("keys checked", &checked(run)))
        }
        p.muted { "Run it again:" }
        pre.command title="click to select" { (run.replay_command) }
    }
}

fn nodes(plan: &Plan) -> String {
    format!(
        "{}: {}",
        plan.system.nodes.len(),
        plan.system.nodes.join(" ")
    )
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn or_none(names: &[impl ToString]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn checked(run: &Input<'_>) -> String {
    let keys = run.report.keys;
    run.checked_in_ms
        .map_or_else(|| keys.to_string(), |ms| format!("{keys}, in {ms} ms"))
}

fn times(plan: &Plan, facts: &Facts) -> String {
    let planned_ns = plan.duration_ms.saturating_mul(1_000_000);
    format!("{} / {}", duration(facts.end_ns), duration(planned_ns))
}

/// Why no correct system could have produced the history.
fn counterexample(facts: &Facts, found: &Counterexample) -> Markup {
    let confirmed = if found.confirmed {
        "An exhaustive search of its own confirmed that no order explains them."
    } else {
        "They are too many for an exhaustive search of their own."
    };
    let minimal = if found.minimal {
        "None of them can be left out or weakened further."
    } else {
        "There was no time to leave out everything that does not matter."
    };
    html! {
        h2 { "Counterexample" }
        p {
            "These " (found.core.len()) " operations"
            @if let Some(key) = &found.key { " on key " code { (plain(key)) } }
            " contradict each other: no order that respects their times explains what they "
            "returned. It takes the first " (found.prefix_events) " events of the key to see it. "
            (confirmed) " " (minimal)
        }
        (lanes::counterexample(facts, found))
        @if !found.explanation.is_empty() {
            h3 { "Why" }
            ol.explanation { @for line in &found.explanation { li { (line) } } }
        }
        h3 { "What holds all the same" }
        ul.explanation { @for line in still_holds(found) { li { (line) } } }
        h3 { "The operations" }
        (tables::core(facts, found))
    }
}

fn timeline_title(facts: &Facts, found: Option<&Counterexample>) -> &'static str {
    match found {
        Some(_) => "Clients around the violation",
        None if facts.bands.is_empty() => "Clients at the beginning",
        None => "Clients around the first fault",
    }
}

/// Patterns and gradients the pictures refer to.
fn definitions() -> Markup {
    // One texture for each style of fault, so that colour is not all that tells them apart.
    const TEXTURES: [&str; 6] = [
        "M0 8L8 0",
        "M0 0L8 8",
        "M4 3v2",
        "M0 4h8",
        "M4 0v8",
        "M0 4h8M4 0v8",
    ];
    html! {
        svg.defs aria-hidden="true" {
            defs {
                @for (i, texture) in TEXTURES.iter().enumerate() {
                    pattern id={ "fault-" (i) } width="8" height="8"
                        patternUnits="userSpaceOnUse" {
                        rect.ground.{ "p" (i) } width="8" height="8" style="stroke:none" {}
                        path.texture.{ "p" (i) } d=(texture) {}
                    }
                }
                pattern id="unknown" width="6" height="6" patternUnits="userSpaceOnUse"
                    patternTransform="rotate(45)" {
                    rect.unknown-ground width="6" height="6" {}
                    path.unknown-stroke d="M0 0v6" {}
                }
                @for name in ["ok", "info"] {
                    linearGradient id={ "fading-" (name) } {
                        stop.{ "stop-" (name) } offset="0" stop-opacity="0.95" {}
                        stop.{ "stop-" (name) } offset="0.3" stop-opacity="0.45" {}
                        stop.{ "stop-" (name) } offset="1" stop-opacity="0.04" {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
