//! What programs see of each distortion.

use std::fs;
use std::path::Path;

use cluster::{Mode, NodeCommand};
use faults::{Clock, Distortion};

use super::programs::{CLOCK_C, build_go, compile, interpreter, plain_command, running};
use super::{
    CLOSE_US, HOUR_MS, HOUR_US, Report, check_evidence, next_reports, now_us, offset, reports, set,
    start, vdso,
};
use crate::support::{Started, eventually};

/// Whatever a program is written in and however it is linked: it is an hour ahead, an hour behind,
/// and right again, and by its vDSO nobody could tell that it ever was not.
pub fn check_programs(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let (languages, commands): (Vec<_>, Vec<_>) = programs(folder.path())
        .into_iter()
        .filter_map(|(language, command)| Some((language, command?)))
        .unzip();
    let (started, nodes) = start(mode, &commands);
    for (node, language) in nodes.iter().zip(languages) {
        eventually(language, || !reports(&started, node).is_empty());
        let pids = started.cluster().node_pids(node).unwrap();
        let was: Vec<Vec<u8>> = pids.iter().map(|pid| vdso(*pid)).collect();
        let monotonic_off_us = {
            let report = next_reports(&started, node, 1)[0].clone();
            assert!(
                (report.day_us() - now_us()).abs() < CLOSE_US,
                "{language}: {report:?}"
            );
            report.monotonic_us() - now_us()
        };
        let mut before_us = 0;
        for wanted_ms in [HOUR_MS, -HOUR_MS, 0] {
            let distortions = if wanted_ms == 0 {
                vec![]
            } else {
                offset(wanted_ms)
            };
            let evidence = set(&started, node, Clock::Realtime, &distortions);
            check_evidence(&evidence, &pids, before_us, wanted_ms * 1000);
            before_us = wanted_ms * 1000;
            let report = next_reports(&started, node, 1)[0].clone();
            let off_us = report.day_us() - now_us() - before_us;
            assert!(
                off_us.abs() < CLOSE_US,
                "{language} {wanted_ms}: off by {off_us}"
            );
            let monotonic_us = report.monotonic_us() - now_us() - monotonic_off_us;
            assert!(
                monotonic_us.abs() < CLOSE_US,
                "{language} {wanted_ms}: {report:?}"
            );
        }
        for (pid, was) in pids.iter().zip(was) {
            assert!(vdso(*pid) == was, "{language}: the vDSO is not as it was");
        }
        println!("  {language}");
    }
}

pub fn each_distortion_is_what_it_says() {
    let Some(started) = running() else {
        return;
    };
    an_offset_shows_in_every_way_to_ask(&started);
    drift_freeze_and_strobe_show(&started);
    distortions_of_one_clock_add_up(&started);
    the_other_clock_goes_its_own_way(&started);
    set(&started, "n1", Clock::Monotonic, &[]);
    let healed = change(&started, Clock::Realtime, &[]);
    let offsets_us = last(&healed).offsets_us();
    assert!(is_close(offsets_us.0, 0) && is_close(offsets_us.1, 0));
    let all = reports(&started, "n1");
    let is_back = |pair: &[Report]| pair[1].monotonic_us() < pair[0].monotonic_us();
    assert!(!all.windows(2).any(is_back));
}

/// What the program shows once its clock is distorted in these ways.
fn change(started: &Started, clock: Clock, distortions: &[(u64, Distortion)]) -> Vec<Report> {
    set(started, "n1", clock, distortions);
    next_reports(started, "n1", 100)
}

fn last(reports: &[Report]) -> &Report {
    &reports[reports.len() - 1]
}

/// Asserts what a clock gains for each true second, from the first report to the last. Clocks are
/// numbered as in [`Report`].
fn check_rate(reports: &[Report], shown: usize, truth: usize, expected: f64) {
    let (first, last) = (&reports[0], last(reports));
    let elapsed_us = last.us[truth] - first.us[truth];
    assert!(elapsed_us > 50_000);
    let rate = (last.us[shown] - first.us[shown]) as f64 / elapsed_us as f64;
    assert!((rate - expected).abs() < 0.02, "{rate}");
}

fn is_close(offset_us: i64, expected_us: i64) -> bool {
    (offset_us - expected_us).abs() < 20_000
}

fn an_offset_shows_in_every_way_to_ask(started: &Started) {
    for report in change(started, Clock::Realtime, &offset(HOUR_MS)) {
        let [day, _, truth, _, timeofday, time, coarse] = report.us[..] else {
            panic!("{report:?}");
        };
        for shown in [day, timeofday, time, coarse] {
            assert!((shown - truth - HOUR_US).abs() < 2_000_000, "{report:?}");
        }
        // `time` rounds down, so that its seconds and those of the others agree.
        assert!(
            timeofday - time >= -10_000 && timeofday - time < 1_100_000,
            "{report:?}"
        );
        assert!(is_close(report.offsets_us().1, 0), "{report:?}");
    }
}

fn drift_freeze_and_strobe_show(started: &Started) {
    let drift = [(2, Distortion::Drift { ppm: 500_000 })];
    let drifting = change(started, Clock::Realtime, &drift);
    check_rate(&drifting, 0, 2, 1.5);
    check_rate(&drifting, 1, 3, 1.0);

    let frozen = change(started, Clock::Realtime, &[(3, Distortion::Freeze)]);
    let stands = |report: &Report| report.day_us() == frozen[0].day_us();
    assert!(frozen.iter().all(stands), "{frozen:?}");
    check_rate(&frozen, 1, 3, 1.0);

    let strobe = Distortion::Strobe {
        offset_ms: -HOUR_MS,
        period_us: 20_000,
    };
    let strobing = change(started, Clock::Realtime, &[(4, strobe)]);
    let [behind, right] = [-HOUR_US, 0].map(|expected_us| {
        let is_there = |report: &&Report| is_close(report.offsets_us().0, expected_us);
        strobing.iter().filter(is_there).count()
    });
    assert!(
        behind > 20 && right > 20 && behind + right == strobing.len(),
        "{behind} {right}"
    );
}

/// All at once add up; a freeze stops them where they are.
fn distortions_of_one_clock_add_up(started: &Started) {
    let offsets = [
        (1, Distortion::Offset { ms: HOUR_MS }),
        (5, Distortion::Offset { ms: 7_000 }),
    ];
    let ahead = change(started, Clock::Realtime, &offsets);
    assert!(is_close(last(&ahead).offsets_us().0, HOUR_US + 7_000_000));
    let all = [offsets[0], offsets[1], (6, Distortion::Freeze)];
    let stopped = change(started, Clock::Realtime, &all);
    assert_eq!(stopped[0].day_us(), stopped[99].day_us());
    assert!(stopped[0].day_us() - stopped[0].us[2] > HOUR_US + 6_000_000);
}

/// At the same time, and never back: the time of day stands still meanwhile.
fn the_other_clock_goes_its_own_way(started: &Started) {
    let day_us = last(&reports(started, "n1")).day_us();
    let drift = [(7, Distortion::Drift { ppm: -500_000 })];
    let slow = change(started, Clock::Monotonic, &drift);
    check_rate(&slow, 1, 3, 0.5);
    assert_eq!(slow[0].day_us(), day_us);
    let frozen = change(started, Clock::Monotonic, &[(8, Distortion::Freeze)]);
    assert_eq!(frozen[0].monotonic_us(), frozen[99].monotonic_us());
}

/// Programs in every language there is a compiler or interpreter for, with their sources in this
/// folder.
fn programs(folder: &Path) -> [(&'static str, Option<NodeCommand>); 6] {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (java, python) = (include_str!("Clock.java"), include_str!("clock.py"));
    let (java, python) = (write("Clock.java", java), write("clock.py", python));
    let go = write("clock.go", include_str!("clock.go"));
    let own = NodeCommand::own(["program", "clock"].map(Into::into));
    [
        (
            "C",
            compile("clock", CLOCK_C, &[]).map(|path| plain_command(&path, &[])),
        ),
        (
            "C, static",
            compile("clock", CLOCK_C, &["-static"]).map(|path| plain_command(&path, &[])),
        ),
        ("Rust", Some(own)),
        ("Python", interpreter("python3", "--version", &[&python])),
        ("Java", interpreter("java", "--version", &[&java])),
        ("Go", build_go(&go).map(|path| plain_command(&path, &[]))),
    ]
}
