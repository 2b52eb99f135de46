//! Operations as bars from invocation to completion: the counterexample, one lane an operation,
//! and what the clients did around it, one lane a client.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use checkers::{CoreOperation, Counterexample};
use histories::{Operation, Outcome};
use maud::{Markup, html};

use super::facts::{Facts, describe, details, drawn, outcome_name, shorten};
use super::frame::{RIGHT, Strips, WIDTH, axis_height, swatch, time_axis};
use super::scale::{CHARACTER_PX, Px, TimeAxis, Unit};

/// The counterexample's picture shows at most so many operations (its table shows all).
const CORE_LANES_MAX: usize = 40;
/// Lines to compare the ends of operations are drawn for at most so many.
const GUIDED_MAX: usize = 14;
/// Where the counterexample's lanes begin.
const CORE_LEFT: f64 = 300.0;
const CORE_LANE: f64 = 44.0;
/// Where the clients' lanes begin.
const CLIENT_LEFT: f64 = 150.0;
const CLIENT_LANE: f64 = 22.0;
/// What the timeline of the clients shows at most.
const TIMELINE_OPERATIONS_MAX: usize = 400;
const TIMELINE_LANES_MAX: usize = 40;
/// A bar with room for fewer characters has no label.
const LABEL_CHARACTERS_MIN: usize = 8;
/// Half the longest time it shows of a run without a violation.
const TIMELINE_HALF_NS: u64 = 500_000_000;

/// The picture of a counterexample, without its explanation.
pub(super) fn counterexample(facts: &Facts, found: &Counterexample) -> Markup {
    let (core, culprit) = shown(found);
    if core.is_empty() {
        return html! { p.muted { "The counterexample has no operations to show." } };
    }
    let axis = core_axis(core);
    let strips = Strips::per_fault(facts, &axis);
    let top = 6.0 + strips.height();
    let plot = top..top + core.len() as f64 * CORE_LANE;
    let height = plot.end + axis_height(&axis);
    let y = |i: usize| plot.start + i as f64 * CORE_LANE;
    html! {
        (core_legend(&strips))
        svg.picture viewBox={ "0 0 " (WIDTH) " " (Px(height)) } role="img"
            aria-label="the operations that contradict each other, over time" {
            @if culprit < core.len() {
                rect.culprit-lane x="0" y=(Px(y(culprit))) width=(WIDTH)
                    height=(Px(CORE_LANE)) {}
            }
            (strips.shade(&plot))
            (time_axis(&axis, &plot))
            (strips.leader_lines(&plot))
            @if core.len() <= GUIDED_MAX { (guides(core, &axis, &plot)) }
            (strips.draw(4.0))
            @for (i, operation) in core.iter().enumerate() {
                (core_lane(facts, operation, i == culprit, &axis, y(i)))
            }
        }
        (core_caption(&strips, &axis))
        @if core.len() < found.core.len() {
            p.muted {
                (core.len()) " of the " (found.core.len()) " operations are drawn: those before "
                "the one that cannot be placed. The table has all of them."
            }
        }
    }
}

/// The operations that are drawn: all, or the last ones up to the one that cannot be placed; with
/// its place among them.
fn shown(found: &Counterexample) -> (&[CoreOperation], usize) {
    let end = if found.core.len() <= CORE_LANES_MAX {
        found.core.len()
    } else {
        found
            .culprit
            .saturating_add(1)
            .clamp(CORE_LANES_MAX, found.core.len())
    };
    let begin = end.saturating_sub(CORE_LANES_MAX);
    (&found.core[begin..end], found.culprit.wrapping_sub(begin))
}

/// The axis of a counterexample: its moments are the ends that count.
fn core_axis(core: &[CoreOperation]) -> TimeAxis {
    let end_ns = |one: &CoreOperation| {
        one.operation
            .ended
            .filter(|_| one.is_bounded())
            .map(|ended| ended.time_ns)
    };
    let begins = core.iter().map(|one| one.operation.invoked.time_ns);
    let moments: Vec<u64> = begins.chain(core.iter().filter_map(end_ns)).collect();
    let bounded = core
        .iter()
        .filter_map(|one| Some(one.operation.invoked.time_ns..end_ns(one)?));
    let spans: Vec<Range<u64>> = bounded.collect();
    // Room for the longest time printed beside a bar.
    let longest = moments
        .iter()
        .map(|ns| Unit::Ms.format(*ns, 3).len())
        .max()
        .unwrap_or(0);
    let margin = longest as f64 * CHARACTER_PX + 14.0;
    TimeAxis::broken(moments, &spans, CORE_LEFT..WIDTH - RIGHT, margin, Unit::Ms)
}

/// Thin lines at the ends of operations, to compare lanes by.
fn guides(core: &[CoreOperation], axis: &TimeAxis, y: &Range<f64>) -> Markup {
    let bounded = core.iter().filter(|one| one.is_bounded());
    let ends = bounded
        .filter_map(|one| one.operation.ended)
        .map(|ended| ended.time_ns);
    html! {
        @for x in ends.map(|ns| axis.x(ns)) {
            line.guide x1=(Px(x)) x2=(Px(x)) y1=(Px(y.start)) y2=(Px(y.end)) {}
        }
    }
}

fn core_lane(
    facts: &Facts,
    one: &CoreOperation,
    culprit: bool,
    axis: &TimeAxis,
    top: f64,
) -> Markup {
    let operation = &one.operation;
    let node = operation
        .node
        .as_deref()
        .map(|node| format!(", node {node}"))
        .unwrap_or_default();
    let who = format!("{}{node}", facts.who(operation));
    let room = ((CORE_LEFT - 16.0) / CHARACTER_PX) as usize;
    let ended = operation.ended.filter(|_| one.is_bounded());
    let begin = axis.x(operation.invoked.time_ns);
    let end = ended.map_or(axis.plot.end, |ended| {
        axis.x(ended.time_ns).max(begin + 3.0)
    });
    let note = note(one, culprit);
    // The note goes where there is more room.
    let leftwards = begin > (axis.plot.start + axis.plot.end) / 2.0;
    let (note_x, anchor) = if leftwards { (end, "end") } else { (begin, "") };
    html! {
        g.lane {
            title { (details(facts, operation)) }
            line.separator x1="0" x2=(WIDTH) y1=(Px(top + CORE_LANE)) y2=(Px(top + CORE_LANE)) {}
            text.strong x="6" y=(Px(top + 18.0)) { (shorten(&describe(operation), room)) }
            text.small.muted x="6" y=(Px(top + 34.0)) { (shorten(&who, room)) }
            rect class=(core_class(one, culprit)) x=(Px(begin)) y=(Px(top + 8.0))
                width=(Px(end - begin)) height="14" {}
            @if ended.is_none() {
                path.open d={ "M" (Px(begin)) " " (Px(top + 8.0)) "H" (Px(end))
                    "M" (Px(begin)) " " (Px(top + 22.0)) "H" (Px(end)) } {}
            }
            text.end.time x=(Px(begin - 5.0)) y=(Px(top + 19.0)) {
                (Unit::Ms.format(operation.invoked.time_ns, 3))
            }
            @if let Some(ended) = ended {
                text.time x=(Px(end + 5.0)) y=(Px(top + 19.0)) {
                    (Unit::Ms.format(ended.time_ns, 3))
                }
            }
            @if let Some(note) = note {
                text.small.halo.(anchor).bad[culprit].muted[!culprit]
                    x=(Px(note_x)) y=(Px(top + 36.0)) { (note) }
            }
        }
    }
}

fn core_class(one: &CoreOperation, culprit: bool) -> &'static str {
    match (one.is_bounded(), one.operation.outcome) {
        (true, _) if culprit => "bar culprit",
        (true, _) => "bar ok",
        (false, Outcome::Ok) => "bar fading-ok",
        (false, _) => "bar fading-info",
    }
}

/// What is to be said of an operation that is not simply ordered by its ends.
fn note(one: &CoreOperation, culprit: bool) -> Option<String> {
    let operation = &one.operation;
    if culprit {
        return Some("✗ cannot be placed anywhere in the order".to_owned());
    }
    if one.is_bounded() {
        return None;
    }
    Some(match (operation.outcome, operation.ended) {
        (Outcome::Ok, Some(ended)) => {
            let at = Unit::Ms.format(ended.time_ns, 3);
            format!("completed at {at}: does not matter to the contradiction")
        }
        _ => "outcome unknown: takes effect at any later time, or never".to_owned(),
    })
}

/// What the counterexample's drawing means.
fn core_legend(strips: &Strips<'_>) -> Markup {
    html! {
        p.legend {
            span.key { (swatch("bar ok")) "ok: took effect within the bar" }
            span.key { (swatch("bar fading-info")) "unknown: at any later time, or never" }
            span.key { (swatch("bar fading-ok")) "ok, but its end does not matter" }
            span.key { (swatch("bar culprit")) "cannot be placed" }
            (strips.legend())
        }
    }
}

fn core_caption(strips: &Strips<'_>, axis: &TimeAxis) -> Markup {
    let faults: Vec<&str> = strips.bands().map(|band| band.label.as_str()).collect();
    html! {
        p.muted {
            @if faults.is_empty() { "No fault was in force meanwhile. " }
            @else { "In force meanwhile: " (faults.join(", ")) ". " }
            @if strips.changes_leader() { "Dashed lines are changes of leader. " }
            "The order of all ends is exact; stretches too short to see are widened"
            @if axis.breaks().next().is_some() {
                ", and the grey ones, marked with a zigzag, are compressed"
            }
            "."
        }
    }
}

/// Which operations of which clients are shown, and when.
struct Window<'a> {
    time_ns: Range<u64>,
    operations: Vec<&'a Operation>,
    /// What was left out, in a sentence.
    note: Option<String>,
}

/// What the clients did around the violation, the first fault, or the beginning.
pub(super) fn timeline(facts: &Facts, found: Option<&Counterexample>) -> Markup {
    let core: HashSet<u64> = found.map_or_else(HashSet::new, |found| {
        found
            .core
            .iter()
            .map(|one| one.operation.invoked.index)
            .collect()
    });
    let Some(window) = window(facts, found) else {
        return html! { p.muted { "No operations were recorded." } };
    };
    let axis = TimeAxis::linear(window.time_ns.clone(), CLIENT_LEFT..WIDTH - RIGHT, Unit::Ms);
    let mut lanes: BTreeMap<u64, Vec<&Operation>> = BTreeMap::new();
    for operation in &window.operations {
        lanes
            .entry(facts.lane(operation))
            .or_default()
            .push(operation);
    }
    let all = lanes.len();
    keep_most_telling(&mut lanes, &core);
    let strips = Strips::per_fault(facts, &axis);
    let top = 6.0 + strips.height();
    let plot = top..top + lanes.len() as f64 * CLIENT_LANE;
    let height = plot.end + axis_height(&axis);
    let lane_name = if facts.clients.is_some() {
        "client"
    } else {
        "process"
    };
    html! {
        (timeline_legend(&strips, found.is_some()))
        svg.picture viewBox={ "0 0 " (WIDTH) " " (Px(height)) } role="img"
            aria-label="operations of each client over time" {
            (strips.shade(&plot))
            (time_axis(&axis, &plot))
            (strips.leader_lines(&plot))
            (strips.draw(4.0))
            @for (i, (lane, operations)) in lanes.iter().enumerate() {
                @let y = plot.start + i as f64 * CLIENT_LANE;
                line.separator x1="0" x2=(WIDTH)
                    y1=(Px(y + CLIENT_LANE)) y2=(Px(y + CLIENT_LANE)) {}
                text.end.small x=(Px(CLIENT_LEFT - 8.0)) y=(Px(y + 15.0)) { (lane_name) " " (lane) }
                @for operation in operations {
                    @let of_core = core.contains(&operation.invoked.index);
                    (client_bar(facts, operation, of_core, &axis, y))
                }
            }
        }
        @if let Some(note) = window.note { p.muted { (note) } }
        @if lanes.len() < all {
            p.muted { (lanes.len()) " of " (all) " lanes are shown: the busiest, and those of the "
                "counterexample." }
        }
    }
}

fn timeline_legend(strips: &Strips<'_>, violation: bool) -> Markup {
    html! {
        p.legend {
            span.key { (swatch("bar ok")) "ok" }
            span.key { (swatch("bar fail")) "fail (took no effect)" }
            span.key { (swatch("bar info")) "info (outcome unknown)" }
            @if violation { span.key { (swatch("bar ok core")) "in the counterexample" } }
            (strips.legend())
        }
    }
}

fn client_bar(facts: &Facts, operation: &Operation, core: bool, axis: &TimeAxis, y: f64) -> Markup {
    let time = drawn(operation, facts.end_ns);
    let Some(x) = axis.span(time.start, Some(time.end)) else {
        return html! {};
    };
    let width = (x.end - x.start).max(2.0);
    let label = shorten(&describe(operation), (width / CHARACTER_PX) as usize);
    html! {
        g {
            title { (details(facts, operation)) }
            rect.bar.(outcome_name(operation.outcome)).core[core]
                x=(Px(x.start)) y=(Px(y + 4.0)) width=(Px(width)) height="14" {}
            @if label.chars().count() >= LABEL_CHARACTERS_MIN {
                @let on_bar = operation.outcome == Outcome::Ok;
                text.small.on-bar[on_bar].halo[!on_bar] x=(Px(x.start + 4.0)) y=(Px(y + 15.0)) {
                    (label)
                }
            }
        }
    }
}

/// Leaves the lanes that matter most: those of the counterexample, then the busiest.
fn keep_most_telling(lanes: &mut BTreeMap<u64, Vec<&Operation>>, core: &HashSet<u64>) {
    if lanes.len() <= TIMELINE_LANES_MAX {
        return;
    }
    let weight = |operations: &[&Operation]| {
        let of_core = operations
            .iter()
            .filter(|o| core.contains(&o.invoked.index))
            .count();
        std::cmp::Reverse((of_core, operations.len()))
    };
    let mut order: Vec<_> = lanes
        .iter()
        .map(|(lane, ops)| (weight(ops), *lane))
        .collect();
    order.sort_unstable();
    let kept: HashSet<u64> = order
        .into_iter()
        .take(TIMELINE_LANES_MAX)
        .map(|(_, lane)| lane)
        .collect();
    lanes.retain(|lane, _| kept.contains(lane));
}

/// Chooses what the timeline shows: all of the counterexample with its surroundings if that is
/// little enough, else only what is around the operation that cannot be placed.
fn window<'a>(facts: &'a Facts, found: Option<&Counterexample>) -> Option<Window<'a>> {
    let first = facts.operations.first()?;
    let Some((found, whole)) = found.and_then(|found| Some((found, core_span(found)?))) else {
        let fault = facts.bands.iter().map(|band| band.from_ns).min();
        let at_ns = fault.unwrap_or(first.invoked.time_ns);
        return Some(around(facts, at_ns..at_ns, TIMELINE_HALF_NS));
    };
    let margin_ns = ((whole.end - whole.start) / 5).max(1_000_000);
    let all = around(facts, whole.clone(), margin_ns);
    if all.time_ns.start <= whole.start && all.time_ns.end >= whole.end {
        return Some(all);
    }
    let culprit = found.core.get(found.culprit).or(found.core.last())?;
    let time_ns = drawn(&culprit.operation, facts.end_ns);
    let margin_ns = (time_ns.end - time_ns.start).saturating_mul(5);
    let mut window = around(
        facts,
        time_ns,
        margin_ns.clamp(10_000_000, TIMELINE_HALF_NS),
    );
    let shown = found.core.iter().filter(|one| {
        window
            .operations
            .iter()
            .any(|o| o.invoked.index == one.operation.invoked.index)
    });
    window.note = Some(format!(
        "The counterexample spans too much to be shown whole: this is the time around the \
         operation that cannot be placed, with {} of its {} operations.",
        shown.count(),
        found.core.len()
    ));
    Some(window)
}

/// The time the ends that count span.
fn core_span(found: &Counterexample) -> Option<Range<u64>> {
    let begin = found
        .core
        .iter()
        .map(|one| one.operation.invoked.time_ns)
        .min()?;
    let ends = found.core.iter().filter(|one| one.is_bounded());
    let last = ends
        .filter_map(|one| one.operation.ended)
        .map(|ended| ended.time_ns)
        .max();
    let latest = found
        .core
        .iter()
        .map(|one| one.operation.invoked.time_ns)
        .max();
    Some(begin..last.max(latest).unwrap_or(begin).max(begin))
}

/// The operations around a stretch of time, with as much margin as the limit on operations allows;
/// if not even the stretch alone does, its end.
fn around(facts: &Facts, mut time_ns: Range<u64>, mut margin_ns: u64) -> Window<'_> {
    loop {
        let from_ns = time_ns.start.saturating_sub(margin_ns);
        let to_ns = time_ns
            .end
            .saturating_add(margin_ns)
            .min(facts.end_ns.max(time_ns.end));
        let inside = facts.operations.iter().filter(|operation| {
            let time = drawn(operation, facts.end_ns);
            time.start <= to_ns && time.end >= from_ns
        });
        let operations: Vec<&Operation> = inside.take(TIMELINE_OPERATIONS_MAX + 1).collect();
        let whole = operations.len() <= TIMELINE_OPERATIONS_MAX;
        if whole || (margin_ns == 0 && time_ns.is_empty()) {
            let note = (!whole)
                .then(|| format!("The first {TIMELINE_OPERATIONS_MAX} operations are shown."));
            let operations = operations
                .into_iter()
                .take(TIMELINE_OPERATIONS_MAX)
                .collect();
            return Window {
                time_ns: from_ns..to_ns,
                operations,
                note,
            };
        }
        if margin_ns > 0 {
            margin_ns /= 2;
        } else {
            time_ns.start += (time_ns.end - time_ns.start).div_ceil(2);
        }
    }
}
