//! Scales: from nanoseconds, rates and latencies to places in a picture, and the labels on them.

use std::fmt;
use std::ops::Range;

/// How wide a compressed stretch of time is drawn, in pixels.
const BREAK_PX: f64 = 66.0;
/// At most so many stretches of an axis are compressed.
const BREAKS_MAX: usize = 8;
/// A distance between two moments is drawn at least so wide where there is room, in pixels.
const DISTANCE_PX_MIN: f64 = 8.0;
/// The usual distance between two labels of a time axis, in pixels.
const TICK_PX: f64 = 100.0;
/// The width of one character of a label, in pixels, on the safe side.
pub(super) const CHARACTER_PX: f64 = 6.8;

/// A coordinate of a picture, printed to a tenth of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Px(pub f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Adding zero turns a negative zero into a plain one.
        write!(f, "{}", (self.0 * 10.0).round() / 10.0 + 0.0)
    }
}

/// A unit of time on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Ms,
    S,
}

impl Unit {
    fn ns(self) -> u64 {
        match self {
            Unit::Ms => 1_000_000,
            Unit::S => 1_000_000_000,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::Ms => "ms",
            Unit::S => "s",
        }
    }

    /// The time in this unit, rounded to so many decimals.
    pub(super) fn format(self, time_ns: u64, decimals: u32) -> String {
        let digits = 10_u64.pow(decimals.min(9));
        let scaled = u128::from(time_ns) * u128::from(digits) + u128::from(self.ns() / 2);
        let scaled = scaled / u128::from(self.ns());
        let (whole, part) = (scaled / u128::from(digits), scaled % u128::from(digits));
        if decimals == 0 {
            return whole.to_string();
        }
        format!("{whole}.{part:0width$}", width = decimals.min(9) as usize)
    }

    /// How many decimals show every multiple of the step.
    fn decimals(self, step_ns: u64) -> u32 {
        let mut decimals = 0;
        let mut unit = self.ns();
        while unit > step_ns && decimals < 9 {
            unit /= 10;
            decimals += 1;
        }
        decimals
    }
}

/// A duration as people say it: `850 µs`, `12.5 ms`, `3.20 s`, `4.5 min`, `2.0 h`.
pub(super) fn duration(ns: u64) -> String {
    let n = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.0} µs", n / 1e3),
        1_000_000..100_000_000 => format!("{:.1} ms", n / 1e6),
        100_000_000..1_000_000_000 => format!("{:.0} ms", n / 1e6),
        1_000_000_000..120_000_000_000 => format!("{:.2} s", n / 1e9),
        120_000_000_000..7_200_000_000_000 => format!("{:.1} min", n / 6e10),
        _ => format!("{:.1} h", n / 3.6e12),
    }
}

/// A label at a place of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// A compressed stretch of a time axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Break {
    pub x: Range<f64>,
    pub skipped_ns: u64,
}

/// Time from left to right: straight, or with its empty stretches compressed. Later moments are
/// never to the left of earlier ones.
#[derive(Debug, Clone)]
pub(super) struct TimeAxis {
    /// The whole width; moments beyond the axis are at its edges.
    pub plot: Range<f64>,
    pub unit: Unit,
    /// Moments and their places, both ascending; at least one.
    knots: Vec<(u64, f64)>,
    /// Which knots begin a compressed stretch.
    broken: Vec<usize>,
}

impl TimeAxis {
    /// Every nanosecond as wide as every other.
    pub(super) fn linear(time_ns: Range<u64>, plot: Range<f64>, unit: Unit) -> Self {
        let end_ns = time_ns.end.max(time_ns.start.saturating_add(1));
        let knots = vec![(time_ns.start, plot.start), (end_ns, plot.end)];
        TimeAxis {
            plot,
            unit,
            knots,
            broken: Vec::new(),
        }
    }

    /// From the first of `moments` to the last, with `margin_px` kept free on both sides.
    ///
    /// The largest distances between neighbouring moments are compressed as long as that makes
    /// `spans` (what is to be seen) wider: each span counts up to a comfortable width, each break
    /// costs. Distances too short to see are widened, so the order of the moments always shows.
    pub(super) fn broken(
        mut moments: Vec<u64>,
        spans: &[Range<u64>],
        plot: Range<f64>,
        margin_px: f64,
        unit: Unit,
    ) -> Self {
        moments.sort_unstable();
        moments.dedup();
        if moments.is_empty() {
            moments.push(0);
        }
        let inner = plot.start + margin_px..plot.end - margin_px;
        let distances: Vec<u64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut largest: Vec<usize> = (0..distances.len()).collect();
        largest.sort_by_key(|&i| std::cmp::Reverse(distances[i]));
        let most = BREAKS_MAX.min(distances.len().saturating_sub(1));
        let mut best: Option<(f64, TimeAxis)> = None;
        for breaks in 0..=most {
            let mut broken = largest[..breaks].to_vec();
            broken.sort_unstable();
            let knots = place(&moments, &distances, &broken, &inner);
            let axis = TimeAxis {
                plot: plot.clone(),
                unit,
                knots,
                broken,
            };
            let score = axis.legibility(spans);
            let next = largest
                .get(breaks)
                .map_or(0.0, |&i| axis.knots[i + 1].1 - axis.knots[i].1);
            if best.as_ref().is_none_or(|(least, _)| score > *least) {
                best = Some((score, axis));
            }
            if next < 2.0 * BREAK_PX {
                break;
            }
        }
        // The loop runs at least once; the fallback is the axis of a single moment.
        best.map_or_else(
            || TimeAxis::linear(moments[0]..moments[0], plot, unit),
            |(_, axis)| axis,
        )
    }

    /// How well `spans` can be seen, less what the breaks cost.
    fn legibility(&self, spans: &[Range<u64>]) -> f64 {
        const COMFORTABLE_PX: f64 = 60.0;
        const BREAK_COST_PX: f64 = 25.0;
        let seen: f64 = spans
            .iter()
            .map(|span| (self.x(span.end) - self.x(span.start)).min(COMFORTABLE_PX))
            .sum();
        let apart: f64 = self
            .knots
            .windows(2)
            .map(|knots| (knots[1].1 - knots[0].1).min(12.0))
            .sum();
        seen + apart - BREAK_COST_PX * self.broken.len() as f64
    }

    pub(super) fn begin_ns(&self) -> u64 {
        self.knots.first().map_or(0, |knot| knot.0)
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.knots.last().map_or(0, |knot| knot.0)
    }

    /// Where a moment is; the first or last place of the axis when it is beyond that.
    pub(super) fn x(&self, time_ns: u64) -> f64 {
        let after = self.knots.partition_point(|knot| knot.0 <= time_ns);
        if after == 0 {
            return self.knots.first().map_or(self.plot.start, |knot| knot.1);
        }
        let (begin_ns, begin) = self.knots[after - 1];
        match self.knots.get(after) {
            None => begin,
            Some(&(end_ns, end)) => {
                let part = (time_ns - begin_ns) as f64 / (end_ns - begin_ns) as f64;
                begin + (end - begin) * part
            }
        }
    }

    /// Where a stretch of time is, to the plot's edges where it goes on beyond the axis (an end of
    /// `None` always does); `None` when it does not touch the axis.
    pub(super) fn span(&self, from_ns: u64, to_ns: Option<u64>) -> Option<Range<f64>> {
        if from_ns > self.end_ns() || to_ns.is_some_and(|to_ns| to_ns < self.begin_ns()) {
            return None;
        }
        let start = if from_ns < self.begin_ns() {
            self.plot.start
        } else {
            self.x(from_ns)
        };
        let end = match to_ns {
            Some(to_ns) if to_ns <= self.end_ns() => self.x(to_ns),
            _ => self.plot.end,
        };
        Some(start..end)
    }

    /// Where a moment is, if it is on the axis.
    pub(super) fn point(&self, time_ns: u64) -> Option<f64> {
        (self.begin_ns()..=self.end_ns())
            .contains(&time_ns)
            .then(|| self.x(time_ns))
    }

    pub(super) fn breaks(&self) -> impl Iterator<Item = Break> + '_ {
        self.broken.iter().map(|&i| {
            let ((begin_ns, begin), (end_ns, end)) = (self.knots[i], self.knots[i + 1]);
            Break {
                x: begin..end,
                skipped_ns: end_ns - begin_ns,
            }
        })
    }

    /// Labels at round moments, or at the beginning of a part too short to have one; never so
    /// close that they would touch.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        let mut free = f64::NEG_INFINITY;
        let mut push = |at: f64, label: String| {
            let half = label.chars().count() as f64 * CHARACTER_PX / 2.0;
            let fits = at - half >= free;
            if fits {
                free = at + half + 8.0;
                ticks.push(Tick { at, label });
            }
            fits
        };
        let mut begin = 0;
        let ends = self.broken.iter().copied().chain([self.knots.len() - 1]);
        for end in ends {
            let part = &self.knots[begin..=end];
            let decimals = self.unit.decimals(step(part));
            let mut any = false;
            for time_ns in round_moments(part) {
                any |= push(self.x(time_ns), self.unit.format(time_ns, decimals));
            }
            if !any {
                push(part[0].1, self.unit.format(part[0].0, 3));
            }
            begin = end + 1;
        }
        ticks
    }
}

/// Gives each moment its place.
fn place(
    moments: &[u64],
    distances: &[u64],
    broken: &[usize],
    inner: &Range<f64>,
) -> Vec<(u64, f64)> {
    let width = (inner.end - inner.start).max(1.0);
    let (count, breaks) = (distances.len(), broken.len());
    let least = DISTANCE_PX_MIN.min(0.3 * width / count.max(1) as f64);
    let to_scale = (width - breaks as f64 * BREAK_PX - (count - breaks) as f64 * least).max(0.0);
    let shown: u64 = (0..count)
        .filter(|i| broken.binary_search(i).is_err())
        .map(|i| distances[i])
        .sum();
    let mut x = if count == 0 {
        (inner.start + inner.end) / 2.0
    } else {
        inner.start
    };
    let mut knots = vec![(moments[0], x)];
    for (i, distance) in distances.iter().enumerate() {
        x += match broken.binary_search(&i) {
            Ok(_) => BREAK_PX,
            Err(_) => least + to_scale * (*distance as f64 / shown.max(1) as f64),
        };
        knots.push((moments[i + 1], x));
    }
    knots
}

/// The distance of labels in a part of an axis: a round one that gives each label its room.
fn step(part: &[(u64, f64)]) -> u64 {
    let (Some(first), Some(last)) = (part.first(), part.last()) else {
        return 1;
    };
    let labels = ((last.1 - first.1) / TICK_PX).max(1.0);
    round_up((last.0 - first.0) as f64 / labels).max(1.0) as u64
}

/// The round moments within a part of an axis; none in a part of a single moment.
fn round_moments(part: &[(u64, f64)]) -> Vec<u64> {
    const TICKS_MAX: usize = 100;
    let [first, .., last] = part else {
        return Vec::new();
    };
    let step = step(part);
    let begin = first.0.div_ceil(step).checked_mul(step);
    std::iter::successors(begin, |time_ns| time_ns.checked_add(step))
        .take_while(|time_ns| *time_ns <= last.0)
        .take(TICKS_MAX)
        .collect()
}

/// The smallest of 1, 2 and 5 times a power of ten that is not less than `x`.
pub(super) fn round_up(x: f64) -> f64 {
    if !x.is_finite() || x <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(x.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round >= x * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// Amounts from the bottom up, beginning at zero.
#[derive(Debug, Clone)]
pub(super) struct LinearScale {
    top: f64,
    step: f64,
    y: Range<f64>,
}

impl LinearScale {
    /// Up to a round number not less than `most`; `y` is from the top of the plot to its bottom.
    pub(super) fn new(most: f64, y: Range<f64>) -> Self {
        let labels = ((y.end - y.start) / 30.0).clamp(1.0, 6.0);
        let step = round_up(most / labels).max(1.0);
        let top = (most / step).ceil().max(1.0) * step;
        LinearScale { top, step, y }
    }

    pub(super) fn y(&self, amount: f64) -> f64 {
        self.y.end - (self.y.end - self.y.start) * (amount / self.top).clamp(0.0, 1.0)
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
        let count = (self.top / self.step).round() as usize;
        (0..=count)
            .map(|i| i as f64 * self.step)
            .map(|amount| Tick {
                at: self.y(amount),
                label: format!("{amount:.0}"),
            })
            .collect()
    }
}

/// Durations from the bottom up, each power of ten as high as every other.
#[derive(Debug, Clone)]
pub(super) struct LogScale {
    low: i32,
    high: i32,
    y: Range<f64>,
}

impl LogScale {
    /// Over whole powers of ten of a millisecond that contain both durations.
    pub(super) fn new(least_ns: u64, most_ns: u64, y: Range<f64>) -> Self {
        let low = log10_ms(least_ns).floor() as i32;
        let high = (log10_ms(most_ns).ceil() as i32).max(low + 1);
        LogScale { low, high, y }
    }

    pub(super) fn y(&self, ns: u64) -> f64 {
        let part = (log10_ms(ns) - f64::from(self.low)) / f64::from(self.high - self.low);
        self.y.end - (self.y.end - self.y.start) * part.clamp(0.0, 1.0)
    }

    /// One label a power of ten, in milliseconds.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        (self.low..=self.high)
            .map(|power| {
                let part = f64::from(power - self.low) / f64::from(self.high - self.low);
                let decimals = usize::try_from(-power).unwrap_or(0);
                let label = format!("{:.decimals$}", 10_f64.powi(power));
                Tick {
                    at: self.y.end - (self.y.end - self.y.start) * part,
                    label,
                }
            })
            .collect()
    }
}

/// The power of ten of a duration in milliseconds; nothing is below a microsecond.
fn log10_ms(ns: u64) -> f64 {
    (ns.max(1_000) as f64 / 1e6).log10()
}

#[cfg(test)]
mod tests;
