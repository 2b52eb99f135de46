//! Rate and latency over time, with the faults shaded.

use std::fmt::Write;
use std::ops::Range;

use histories::{Operation, Outcome};
use maud::{Markup, html};

use super::facts::{Facts, describe};
use super::frame::{RIGHT, Strips, WIDTH, axis_height, line_swatch, swatch, time_axis};
use super::scale::{LinearScale, LogScale, Px, Tick, TimeAxis, Unit, duration};

/// Where the plots begin.
const LEFT: f64 = 96.0;
/// A run is divided into about so many buckets …
const BUCKETS: u64 = 120;
/// … of at least this length.
const BUCKET_NS_MIN: u64 = 100_000_000;
/// At most so many operations are dots.
const DOTS_MAX: usize = 4_000;

/// Stretches of a run, equally long.
struct Buckets {
    length_ns: u64,
    count: usize,
}

impl Buckets {
    fn new(end_ns: u64) -> Self {
        let length_ns = (end_ns / BUCKETS).max(BUCKET_NS_MIN);
        // A short rest belongs to the last bucket: on its own its rates would be chance.
        let rest = u64::from(end_ns % length_ns > length_ns / 2);
        let count = usize::try_from(end_ns / length_ns + rest)
            .unwrap_or(1)
            .max(1);
        Buckets { length_ns, count }
    }

    fn of(&self, time_ns: u64) -> usize {
        usize::try_from(time_ns / self.length_ns)
            .unwrap_or(0)
            .min(self.count - 1)
    }

    fn begin_ns(&self, bucket: usize) -> u64 {
        (bucket as u64).saturating_mul(self.length_ns)
    }

    fn middle_ns(&self, bucket: usize) -> u64 {
        self.begin_ns(bucket).saturating_add(self.length_ns / 2)
    }

    /// How long a bucket is: the last one ends with the run.
    fn seconds(&self, bucket: usize, end_ns: u64) -> f64 {
        let length_ns = if bucket + 1 == self.count {
            end_ns
                .saturating_sub(self.begin_ns(bucket))
                .max(self.length_ns / 2)
        } else {
            self.length_ns
        };
        length_ns as f64 / 1e9
    }
}

/// Operations per second by outcome.
pub(super) fn rate(facts: &Facts) -> Markup {
    if facts.operations.is_empty() {
        return html! { p.muted { "No operations were recorded." } };
    }
    let buckets = Buckets::new(facts.end_ns);
    let series = |outcome| rates(facts, &buckets, outcome);
    let (ok, fail, info) = (
        series(Outcome::Ok),
        series(Outcome::Fail),
        series(Outcome::Info),
    );
    let axis = overview_axis(facts);
    let strips = Strips::per_kind(facts, &axis);
    let top = 14.0 + strips.height();
    let (upper, lower) = (top..top + 190.0, top + 214.0..top + 294.0);
    let most = |series: &[f64]| series.iter().copied().fold(0.0, f64::max);
    let of_ok = LinearScale::new(most(&ok), upper.clone());
    let of_rest = LinearScale::new(most(&fail).max(most(&info)), lower.clone());
    let height = lower.end + axis_height(&axis);
    html! {
        p.legend {
            span.key { (line_swatch("line ok")) "ok" }
            span.key { (line_swatch("line fail")) "fail (own scale, below)" }
            span.key { (line_swatch("line info")) "info (own scale, below)" }
            (strips.legend())
        }
        svg.picture viewBox={ "0 0 " (WIDTH) " " (Px(height)) } role="img"
            aria-label="operations per second over time" {
            (strips.shade(&(upper.start..lower.end)))
            (time_axis(&axis, &(upper.start..lower.end)))
            (strips.draw(4.0))
            (amounts(&of_ok.ticks(), &upper, "ok / s"))
            (amounts(&of_rest.ticks(), &lower, "fail, info / s"))
            path.line.ok d=(polyline(&ok, &buckets, &axis, |rate| of_ok.y(rate))) {}
            path.line.fail d=(polyline(&fail, &buckets, &axis, |rate| of_rest.y(rate))) {}
            path.line.info d=(polyline(&info, &buckets, &axis, |rate| of_rest.y(rate))) {}
        }
        p.muted {
            "Counted when they ended, in stretches of " (duration(buckets.length_ns)) "."
        }
    }
}

/// Latencies of the operations that took effect.
pub(super) fn latency(facts: &Facts) -> Markup {
    let buckets = Buckets::new(facts.end_ns);
    let mut by_bucket: Vec<Vec<Sample>> = vec![Vec::new(); buckets.count];
    for operation in facts.operations.iter().filter(|o| o.outcome == Outcome::Ok) {
        if let Some(ended) = operation.ended {
            let latency_ns = ended.time_ns.saturating_sub(operation.invoked.time_ns);
            by_bucket[buckets.of(ended.time_ns)].push(Sample {
                latency_ns,
                operation,
            });
        }
    }
    for samples in &mut by_bucket {
        samples.sort_by_key(|sample| sample.latency_ns);
    }
    let all = || by_bucket.iter().flatten().map(|sample| sample.latency_ns);
    let (Some(least), Some(most)) = (all().min(), all().max()) else {
        return html! { p.muted { "No operation completed with ok." } };
    };
    let axis = overview_axis(facts);
    let strips = Strips::per_kind(facts, &axis);
    let top = 14.0 + strips.height();
    let plot = top..top + 260.0;
    let scale = LogScale::new(least, most, plot.clone());
    let height = plot.end + axis_height(&axis);
    let percentiles = |percent| percentile_line(&by_bucket, percent, &buckets, &axis, &scale);
    let shown = thin(&by_bucket);
    html! {
        p.legend {
            span.key { (swatch("dot-sample")) "one operation that was ok" }
            span.key { (line_swatch("line p50")) "median (p50)" }
            span.key { (line_swatch("line p99")) "99 % took no longer (p99)" }
            (strips.legend())
        }
        svg.picture viewBox={ "0 0 " (WIDTH) " " (Px(height)) } role="img"
            aria-label="latency over time" {
            (strips.shade(&plot))
            (time_axis(&axis, &plot))
            (strips.draw(4.0))
            (amounts(&scale.ticks(), &plot, "latency (ms)"))
            path.dots d=(dots(&shown, &axis, &scale)) {}
            @for sample in by_bucket.iter().filter_map(|samples| samples.last()) {
                circle.slowest cx=(Px(axis.x(sample.ended_ns())))
                    cy=(Px(scale.y(sample.latency_ns))) r="3" {
                    title { (describe(sample.operation)) ", " (facts.who(sample.operation)) ": "
                        (duration(sample.latency_ns)) }
                }
            }
            path.line.p50 d=(percentiles(50)) {}
            path.line.p99 d=(percentiles(99)) {}
        }
        p.muted {
            (shown.len()) " of " (all().count()) " operations are drawn, the slowest of every "
            (duration(buckets.length_ns)) " always (circled). The slowest took "
            (duration(most)) "."
        }
    }
}

/// An operation that was ok, and how long it took.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    pub latency_ns: u64,
    pub operation: &'a Operation,
}

impl Sample<'_> {
    fn ended_ns(&self) -> u64 {
        self.operation
            .invoked
            .time_ns
            .saturating_add(self.latency_ns)
    }
}

/// An even choice of each bucket's samples (sorted by latency), always with the slowest.
pub(super) fn thin<'a>(by_bucket: &[Vec<Sample<'a>>]) -> Vec<Sample<'a>> {
    let all: usize = by_bucket.iter().map(Vec::len).sum();
    let filled = by_bucket
        .iter()
        .filter(|samples| !samples.is_empty())
        .count();
    // Every bucket may need one more than its share.
    let budget = DOTS_MAX.saturating_sub(filled).max(1);
    let stride = all.div_ceil(budget).max(1);
    // From the slowest down, so that the slowest is in.
    by_bucket
        .iter()
        .flat_map(|samples| samples.iter().rev().step_by(stride))
        .copied()
        .collect()
}

/// From the run's start to its end.
fn overview_axis(facts: &Facts) -> TimeAxis {
    let unit = if facts.end_ns < 2_000_000_000 {
        Unit::Ms
    } else {
        Unit::S
    };
    TimeAxis::linear(0..facts.end_ns, LEFT..WIDTH - RIGHT, unit)
}

/// Operations of this outcome per second, for each bucket. One that never completed counts where
/// it was invoked.
fn rates(facts: &Facts, buckets: &Buckets, outcome: Outcome) -> Vec<f64> {
    let mut counts = vec![0_u64; buckets.count];
    for operation in facts.operations.iter().filter(|o| o.outcome == outcome) {
        counts[buckets.of(operation.ended.unwrap_or(operation.invoked).time_ns)] += 1;
    }
    let rate = |(i, count): (usize, &u64)| *count as f64 / buckets.seconds(i, facts.end_ns);
    counts.iter().enumerate().map(rate).collect()
}

/// The labelled lines of an axis of amounts.
fn amounts(ticks: &[Tick], y: &Range<f64>, name: &str) -> Markup {
    let middle = (y.start + y.end) / 2.0;
    html! {
        @for tick in ticks {
            line.grid x1=(Px(LEFT)) x2=(Px(WIDTH - RIGHT)) y1=(Px(tick.at)) y2=(Px(tick.at)) {}
            text.end.small x=(Px(LEFT - 8.0)) y=(Px(tick.at + 4.0)) { (tick.label) }
        }
        text.middle.small.muted transform={ "translate(14 " (Px(middle)) ") rotate(-90)" } {
            (name)
        }
    }
}

/// A line through one point a bucket.
fn polyline(series: &[f64], buckets: &Buckets, axis: &TimeAxis, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    for (i, amount) in series.iter().enumerate() {
        let command = if i == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(
            path,
            "{command}{} {}",
            Px(axis.x(buckets.middle_ns(i))),
            Px(y(*amount))
        );
    }
    path
}

/// A percentile of each bucket as a line, interrupted where nothing completed.
fn percentile_line(
    by_bucket: &[Vec<Sample<'_>>],
    percent: usize,
    buckets: &Buckets,
    axis: &TimeAxis,
    scale: &LogScale,
) -> String {
    let mut path = String::new();
    let mut command = 'M';
    for (i, samples) in by_bucket.iter().enumerate() {
        let Some(latency_ns) = percentile(samples, percent) else {
            command = 'M';
            continue;
        };
        let (x, y) = (Px(axis.x(buckets.middle_ns(i))), Px(scale.y(latency_ns)));
        let _ = write!(path, "{command}{x} {y}");
        if command == 'M' {
            // A point on its own still shows.
            let _ = write!(path, "h0");
        }
        command = 'L';
    }
    path
}

/// The least latency that so many percent of the samples (sorted) do not exceed.
pub(super) fn percentile(sorted: &[Sample<'_>], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|sample| sample.latency_ns)
}

fn dots(samples: &[Sample<'_>], axis: &TimeAxis, scale: &LogScale) -> String {
    let mut path = String::with_capacity(samples.len() * 14);
    for sample in samples {
        let (x, y) = (
            Px(axis.x(sample.ended_ns())),
            Px(scale.y(sample.latency_ns)),
        );
        // A line of no length with round ends: the shortest way to write a dot.
        let _ = write!(path, "M{x} {y}h0");
    }
    path
}
