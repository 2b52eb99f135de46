//! What every picture over time shares: the time axis, the faults in force, leaders, node exits.

use std::collections::BTreeMap;
use std::ops::Range;

use maud::{Markup, html};

use super::facts::{Band, Facts, shorten};
use super::scale::{CHARACTER_PX, Px, TimeAxis, duration};

/// The width of every picture.
pub(super) const WIDTH: f64 = 1_160.0;
/// What is kept free at the right of a plot.
pub(super) const RIGHT: f64 = 14.0;
/// The height of one strip.
const STRIP: f64 = 20.0;
/// A hover shows at most so many characters of what a node last said.
const TITLE_CHARACTERS_MAX: usize = 600;
/// With more faults than this in one picture they share a strip per kind.
const STRIPS_OF_ONE_FAULT_MAX: usize = 8;

/// The strips above a plot: which fault was in force when, who led, which process ended.
pub(super) struct Strips<'a> {
    facts: &'a Facts,
    axis: &'a TimeAxis,
    faults: Vec<(String, Vec<&'a Band>)>,
    leaders: bool,
    exits: bool,
}

impl<'a> Strips<'a> {
    /// One strip per kind of fault.
    pub(super) fn per_kind(facts: &'a Facts, axis: &'a TimeAxis) -> Self {
        let faults = facts.kinds.keys().filter_map(|kind| {
            let of_kind = |band: &&Band| band.kind == *kind && visible(band, axis).is_some();
            let mut bands: Vec<&Band> = facts.bands.iter().filter(of_kind).collect();
            bands.sort_by_key(|band| band.from_ns);
            (!bands.is_empty()).then(|| (kind.to_string(), bands))
        });
        Strips::new(facts, axis, faults.collect())
    }

    /// One strip per fault, if they are few.
    pub(super) fn per_fault(facts: &'a Facts, axis: &'a TimeAxis) -> Self {
        let bands = facts
            .bands
            .iter()
            .filter(|band| visible(band, axis).is_some());
        let faults: Vec<_> = bands.map(|band| (band.label.clone(), vec![band])).collect();
        if faults.len() > STRIPS_OF_ONE_FAULT_MAX {
            return Strips::per_kind(facts, axis);
        }
        Strips::new(facts, axis, faults)
    }

    fn new(facts: &'a Facts, axis: &'a TimeAxis, faults: Vec<(String, Vec<&'a Band>)>) -> Self {
        let leaders = facts
            .leaders
            .iter()
            .any(|leader| leader.at_ns <= axis.end_ns());
        let exits = facts
            .exits
            .iter()
            .any(|exit| axis.point(exit.at_ns).is_some());
        Strips {
            facts,
            axis,
            faults,
            leaders,
            exits,
        }
    }

    pub(super) fn height(&self) -> f64 {
        let strips = self.faults.len() + usize::from(self.leaders) + usize::from(self.exits);
        strips as f64 * STRIP + if strips == 0 { 0.0 } else { 8.0 }
    }

    /// The strips themselves, from `top` down.
    pub(super) fn draw(&self, top: f64) -> Markup {
        let row = |i: usize| top + i as f64 * STRIP;
        let leaders_at = self.faults.len();
        let exits_at = leaders_at + usize::from(self.leaders);
        html! {
            @for (i, (name, bands)) in self.faults.iter().enumerate() {
                (self.name(name, row(i)))
                @for (at, band) in bands.iter().enumerate() {
                    (self.band(band, bands.get(at + 1).copied(), row(i), name != &band.label))
                }
            }
            @if self.leaders {
                (self.name("leader", row(leaders_at)))
                (self.terms(row(leaders_at)))
            }
            @if self.exits {
                (self.name("node exits", row(exits_at)))
                (self.exits(row(exits_at)))
            }
        }
    }

    /// The faults shaded through the whole plot, and node exits as lines.
    pub(super) fn shade(&self, y: &Range<f64>) -> Markup {
        let bands = self
            .bands()
            .filter_map(|band| Some((band, visible(band, self.axis)?)));
        html! {
            @for (band, x) in bands {
                rect.shade.{ "fault-" (band.style) } x=(Px(x.start)) y=(Px(y.start))
                    width=(Px((x.end - x.start).max(1.0))) height=(Px(y.end - y.start)) {}
            }
            @for x in self.facts.exits.iter().filter_map(|exit| self.axis.point(exit.at_ns)) {
                line.exit x1=(Px(x)) x2=(Px(x)) y1=(Px(y.start)) y2=(Px(y.end)) {}
            }
        }
    }

    /// Changes of leader as lines through the plot.
    pub(super) fn leader_lines(&self, y: &Range<f64>) -> Markup {
        let changes = self
            .facts
            .leaders
            .iter()
            .filter_map(|l| self.axis.point(l.at_ns));
        html! {
            @for x in changes {
                line.leader x1=(Px(x)) x2=(Px(x)) y1=(Px(y.start)) y2=(Px(y.end)) {}
            }
        }
    }

    /// What the colours of the faults mean, of those in this picture.
    pub(super) fn legend(&self) -> Markup {
        let kinds: BTreeMap<&str, usize> =
            self.bands().map(|band| (&*band.kind, band.style)).collect();
        html! {
            @for (kind, style) in kinds {
                span.key { (swatch(&format!("band fault-{style}"))) (kind) }
            }
        }
    }

    /// The faults in this picture.
    pub(super) fn bands(&self) -> impl Iterator<Item = &'a Band> + '_ {
        self.faults
            .iter()
            .flat_map(|(_, bands)| bands.iter().copied())
    }

    /// Whether the leader changes in this picture.
    pub(super) fn changes_leader(&self) -> bool {
        self.facts
            .leaders
            .iter()
            .any(|leader| self.axis.point(leader.at_ns).is_some())
    }

    fn name(&self, name: &str, top: f64) -> Markup {
        let x = self.axis.plot.start - 8.0;
        let room = (x / CHARACTER_PX) as usize;
        html! {
            text.end.small x=(Px(x)) y=(Px(top + 14.0)) { title { (name) } (shorten(name, room)) }
        }
    }

    fn band(&self, band: &Band, next: Option<&Band>, top: f64, labelled: bool) -> Markup {
        let Some(x) = visible(band, self.axis) else {
            return html! {};
        };
        let free = next
            .and_then(|next| visible(next, self.axis))
            .map_or(x.end, |x| x.start);
        let short = band.label.replacen(&format!(" {}", band.kind), "", 1);
        let number = format!("#{}", band.id);
        let labels = [short, format!("{number} {}", band.targets), number];
        let room = x.end.min(free) - x.start;
        let label = labels
            .into_iter()
            .find(|label| labelled && fits(label, room));
        html! {
            g {
                title { (band.title) }
                rect.band.{ "fault-" (band.style) } x=(Px(x.start)) y=(Px(top + 2.0))
                    width=(Px((x.end - x.start).max(2.0))) height=(Px(STRIP - 4.0)) {}
                @if let Some(label) = label {
                    text.small x=(Px(x.start + 4.0)) y=(Px(top + 14.0)) { (label) }
                }
            }
        }
    }

    fn terms(&self, top: f64) -> Markup {
        let leaders = &self.facts.leaders;
        html! {
            @for (i, leader) in leaders.iter().enumerate() {
                @let until = leaders.get(i + 1).map(|next| next.at_ns);
                @if let Some(x) = self.axis.span(leader.at_ns, until) {
                    @let name = leader.node.as_deref().unwrap_or("none");
                    @let term = leader.term.map(|term| format!("{name} (term {term})"));
                    @let room = x.end - x.start;
                    @let label = term.iter().map(String::as_str).chain([name])
                        .find(|label| fits(label, room));
                    g {
                        title { (term.as_deref().unwrap_or(name)) }
                        rect.term.nobody[leader.node.is_none()]
                            x=(Px(x.start)) y=(Px(top + 2.0))
                            width=(Px(room.max(1.0))) height=(Px(STRIP - 4.0)) {}
                        @if let Some(label) = label {
                            text.small x=(Px(x.start + 4.0)) y=(Px(top + 14.0)) { (label) }
                        }
                    }
                }
            }
        }
    }

    fn exits(&self, top: f64) -> Markup {
        let mut free = f64::NEG_INFINITY;
        let places = self.facts.exits.iter().filter_map(|exit| {
            let x = self.axis.point(exit.at_ns)?;
            let width = exit.node.chars().count() as f64 * CHARACTER_PX;
            let labelled = x - 6.0 >= free && x + 10.0 + width < WIDTH;
            if labelled {
                free = x + 10.0 + width;
            }
            Some((exit, x, labelled))
        });
        html! {
            @for (exit, x, labelled) in places {
                g {
                    title {
                        "process of " (exit.node) " ended: "
                        (shorten(&exit.details, TITLE_CHARACTERS_MAX))
                    }
                    path.cross d={ "M" (Px(x - 4.0)) " " (Px(top + 6.0)) "l8 8m0 -8l-8 8" } {}
                    @if labelled {
                        text.small x=(Px(x + 7.0)) y=(Px(top + 14.0)) { (exit.node) }
                    }
                }
            }
        }
    }
}

/// Where a fault was in force, if it was at all within the axis.
fn visible(band: &Band, axis: &TimeAxis) -> Option<Range<f64>> {
    axis.span(band.from_ns, band.to_ns)
}

fn fits(label: &str, room: f64) -> bool {
    label.chars().count() as f64 * CHARACTER_PX + 6.0 <= room
}

/// The height that [`time_axis`] needs below the plot.
pub(super) fn axis_height(axis: &TimeAxis) -> f64 {
    if axis.breaks().next().is_some() {
        56.0
    } else {
        42.0
    }
}

/// The time axis below a plot, with its lines through the plot.
pub(super) fn time_axis(axis: &TimeAxis, y: &Range<f64>) -> Markup {
    let middle = (axis.plot.start + axis.plot.end) / 2.0;
    html! {
        @for part in axis.breaks() {
            rect.gap x=(Px(part.x.start + 6.0)) y=(Px(y.start))
                width=(Px(part.x.end - part.x.start - 12.0)) height=(Px(y.end - y.start)) {
                title { (duration(part.skipped_ns)) " compressed" }
            }
        }
        line.axis x1=(Px(axis.plot.start)) x2=(Px(axis.plot.end)) y1=(Px(y.end)) y2=(Px(y.end)) {}
        @for tick in axis.ticks() {
            line.grid x1=(Px(tick.at)) x2=(Px(tick.at)) y1=(Px(y.start)) y2=(Px(y.end + 4.0)) {}
            text.middle.small x=(Px(tick.at)) y=(Px(y.end + 16.0)) { (tick.label) }
        }
        @for part in axis.breaks() {
            @let x = (part.x.start + part.x.end) / 2.0;
            path.zigzag d={ "M" (Px(x - 6.0)) " " (Px(y.end + 4.0)) "l4 -8l4 8l4 -8" } {}
            text.middle.small.muted x=(Px(x)) y=(Px(y.end + 30.0)) {
                "‹" (duration(part.skipped_ns)) "›"
            }
        }
        text.middle.small.muted x=(Px(middle)) y=(Px(y.end + axis_height(axis) - 8.0)) {
            "time since the run's start (" (axis.unit.name()) ")"
        }
    }
}

/// A small sample of how something is drawn.
pub(super) fn swatch(class: &str) -> Markup {
    html! {
        svg.swatch viewBox="0 0 22 12" aria-hidden="true" {
            rect class=(class) x="1" y="1" width="20" height="10" {}
        }
    }
}

/// A sample of a line.
pub(super) fn line_swatch(class: &str) -> Markup {
    html! {
        svg.swatch viewBox="0 0 22 12" aria-hidden="true" {
            line class=(class) x1="1" x2="21" y1="6" y2="6" {}
        }
    }
}
