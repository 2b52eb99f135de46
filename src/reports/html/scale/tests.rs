//! Goal: places and labels are right at every size, and in order.

use super::*;

const MS: u64 = 1_000_000;

#[test]
fn a_long_empty_stretch_is_compressed() {
    let spans = [
        0..2 * MS,
        10_000 * MS..10_002 * MS,
        10_003 * MS..10_004 * MS,
    ];
    let moments = || {
        spans
            .iter()
            .flat_map(|span| [span.start, span.end])
            .collect::<Vec<_>>()
    };
    let axis = TimeAxis::broken(moments(), &spans, 300.0..1_100.0, 70.0, Unit::Ms);
    let broken: Vec<_> = axis.breaks().collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].skipped_ns, 9_998 * MS);
    for span in &spans {
        assert!(axis.x(span.end) - axis.x(span.start) > 50.0);
    }
    let labels = axis.ticks();
    assert!(labels.iter().any(|tick| tick.at < broken[0].x.start));
    assert!(labels.iter().any(|tick| tick.at > broken[0].x.end));
}

#[test]
fn an_axis_without_empty_stretches_is_whole() {
    let spans = [0..2 * MS, MS..3 * MS, 4 * MS..6 * MS];
    let moments = spans
        .iter()
        .flat_map(|span| [span.start, span.end])
        .collect();
    let axis = TimeAxis::broken(moments, &spans, 0.0..800.0, 50.0, Unit::Ms);
    assert_eq!(axis.breaks().count(), 0);
}

/// Axes of many shapes: later is never further left, the whole is within the plot, and labels
/// never touch.
#[test]
fn time_axes_are_monotone_and_their_labels_apart() {
    for seed in 1..=200_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let count = draw() % 40 + 1;
        // Distances from a nanosecond to a century.
        let moments: Vec<u64> = (0..count).map(|_| draw() >> (draw() % 64)).collect();
        let spans: Vec<_> = moments
            .windows(2)
            .map(|m| m[0].min(m[1])..m[0].max(m[1]))
            .collect();
        let axis = TimeAxis::broken(moments.clone(), &spans, 100.0..900.0, 80.0, Unit::Ms);
        let mut sorted = moments;
        sorted.extend([0, u64::MAX]);
        sorted.sort_unstable();
        sorted.dedup();
        let places: Vec<f64> = sorted.iter().map(|ns| axis.x(*ns)).collect();
        assert!(
            places.windows(2).all(|pair| pair[0] <= pair[1]),
            "seed {seed}: {places:?}"
        );
        assert!(
            places.iter().all(|x| (100.0..=900.0 + 1e-6).contains(x)),
            "seed {seed}"
        );
        let distinct = sorted
            .iter()
            .filter_map(|ns| axis.point(*ns))
            .collect::<Vec<_>>();
        assert!(
            distinct.windows(2).all(|pair| pair[1] - pair[0] > 1.0),
            "seed {seed}"
        );
        check_apart(&axis, seed);
        let linear = TimeAxis::linear(sorted[0]..sorted[1], 0.0..800.0, Unit::S);
        check_apart(&linear, seed);
    }
}

fn check_apart(axis: &TimeAxis, seed: u64) {
    let half = |label: &str| label.chars().count() as f64 * CHARACTER_PX / 2.0;
    let ticks = axis.ticks();
    assert!(!ticks.is_empty(), "seed {seed}");
    for pair in ticks.windows(2) {
        let free = pair[1].at - half(&pair[1].label) - pair[0].at - half(&pair[0].label);
        assert!(free > 0.0, "seed {seed}: {pair:?}");
    }
}

#[test]
fn spans_beyond_the_axis_reach_the_edges() {
    let axis = TimeAxis::broken(vec![10, 20], &[], 0.0..100.0, 20.0, Unit::Ms);
    for (from_ns, to_ns, expected) in [
        (0, Some(15), Some(0.0..50.0)),
        (15, None, Some(50.0..100.0)),
        (10, Some(20), Some(20.0..80.0)),
        (0, Some(9), None),
        (21, None, None),
    ] {
        assert_eq!(
            axis.span(from_ns, to_ns),
            expected,
            "{from_ns} to {to_ns:?}"
        );
    }
}

#[test]
fn amounts_and_durations_have_round_labels_in_order() {
    for (most, expected) in [(0.0, "1"), (7.0, "8"), (1_234.0, "1500"), (40.0, "40")] {
        let ticks = LinearScale::new(most, 0.0..180.0).ticks();
        assert_eq!(ticks.last().unwrap().label, expected);
        assert!(ticks.windows(2).all(|pair| pair[0].at > pair[1].at));
    }
    let scale = LogScale::new(250_000, 73 * MS, 0.0..300.0);
    let labels: Vec<String> = scale.ticks().into_iter().map(|tick| tick.label).collect();
    assert_eq!(labels, ["0.1", "1", "10", "100"]);
    assert_eq!(
        (scale.y(MS / 10), scale.y(MS), scale.y(100 * MS)),
        (300.0, 200.0, 0.0)
    );
    assert_eq!(scale.y(0), 300.0);
    for (x, expected) in [
        (0.0, 1.0),
        (0.11, 0.2),
        (1.0, 1.0),
        (2.1, 5.0),
        (600.0, 1_000.0),
    ] {
        assert!((round_up(x) - expected).abs() < 1e-9, "{x}");
    }
}

#[test]
fn times_are_written_exactly() {
    for (ns, unit, decimals, expected) in [
        (12_345_678, Unit::Ms, 6, "12.345678"),
        (12_345_678, Unit::Ms, 3, "12.346"),
        (999_999, Unit::Ms, 0, "1"),
        (1_500_000_000, Unit::S, 1, "1.5"),
        (u64::MAX, Unit::Ms, 6, "18446744073709.551615"),
        (0, Unit::Ms, 3, "0.000"),
    ] {
        assert_eq!(unit.format(ns, decimals), expected);
    }
    for (ns, expected) in [
        (999, "999 ns"),
        (1_500, "2 µs"),
        (12_500_000, "12.5 ms"),
        (850 * MS, "850 ms"),
        (3_200 * MS, "3.20 s"),
        (270_000 * MS, "4.5 min"),
        (7_200_000 * MS, "2.0 h"),
    ] {
        assert_eq!(duration(ns), expected);
    }
}
