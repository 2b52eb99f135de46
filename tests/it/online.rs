//! The check while a run goes on: it ends the run at a violation, and says how far it came.

use std::path::Path;

use crate::schema::assert_documented;
use crate::support::{
    Output, assert_nothing_left, cluster_lock, command, only_run, read_json, run_in, store, text,
    whitewater,
};

/// A bug that shows within a second or two: every node answers reads from what it has.
const BUGGY: [&str; 8] = [
    "--bug",
    "follower-read",
    "--faults",
    "none",
    "--workload",
    "register",
    "--seed",
    "1",
];

/// When the last event of a run was recorded, in seconds since the clients started.
fn recorded_s(run: &Path) -> f64 {
    let history = histories::read_file(&run.join("history.jsonl"), None).unwrap();
    history.events.last().unwrap().time_ns as f64 / 1e9
}

fn buggy(store: &Path, args: &[&str]) -> Output {
    let output = run_in(store, &[&BUGGY[..], args].concat());
    assert_nothing_left(store);
    output.expect(1)
}

/// Goal: a violation ends the run long before its time, and the verdict is that of the check of the
/// whole history. Method: what was recorded, not how long it took.
#[test]
fn a_violation_ends_the_run_early() {
    let (_lock, store) = (cluster_lock(), store());
    let output = buggy(store.path(), &["--time", "60s", "--plain"]).says(&[
        "violation: key",
        "fits into no order",
        "stopped early",
        "INVALID",
        "ended early, at the first violation",
    ]);
    let run = only_run(store.path());
    assert!(recorded_s(&run) < 30.0, "{output}");
    let document = read_json(&run.join("verdict.json"));
    assert_documented(&document);
    assert_eq!(document["run"]["stopped"], true);
    assert!(
        document["run"]["online_violation"].is_string(),
        "{document:#}"
    );
    assert!(document["counterexample"].is_object(), "{document:#}");
    // Healed, recovered, read once more: as a run that ends in its own time.
    let recovery = document["checks"].as_array().unwrap().iter();
    let recovery = recovery.filter(|check| check["name"] == "recovery");
    assert_eq!(
        recovery.map(|check| &check["verdict"]).collect::<Vec<_>>(),
        ["valid"]
    );
    whitewater(&["check", text(&run)]).expect(1);
}

#[test]
fn a_run_that_is_to_keep_going_goes_on_to_its_end_and_so_does_its_replay() {
    let (_lock, store) = (cluster_lock(), store());
    let args = ["--time", "4s", "--plain", "--keep-going"];
    let output = buggy(store.path(), &args).says(&["violation: key", "in violation", "INVALID"]);
    let run = only_run(store.path());
    assert!(recorded_s(&run) >= 4.0, "{output}");
    let document = read_json(&run.join("verdict.json"));
    assert_eq!(document["run"]["stopped"], false);

    let replays = crate::support::store();
    let replay = ["replay", text(&run), "--store", text(replays.path())];
    let output = command(&replay);
    let output = crate::support::Running::start(output).finish().expect(1);
    let run = only_run(replays.path());
    assert!(recorded_s(&run) >= 4.0, "{output}");
}

#[test]
fn a_correct_run_says_how_far_it_is_checked() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--time", "6s", "--plain", "--faults", "pause", "--seed", "3",
    ];
    let output = run_in(store.path(), &args);
    let said: Vec<&str> = output.stderr.lines().collect();
    let progress = said.iter().find(|line| line.contains(" of 6.0 s"));
    assert!(
        progress.is_some_and(|line| line.contains("checked through t = ")),
        "{output}"
    );
    // In the end everything is checked, the reads after healing too.
    let last = said
        .iter()
        .rev()
        .find(|line| line.starts_with("checked through t = "));
    let through = last.and_then(|line| line.split(' ').nth(4)?.parse::<f64>().ok());
    let recorded = recorded_s(&only_run(store.path()));
    assert!(
        through.is_some_and(|through| (through - recorded).abs() < 0.1),
        "{output}"
    );
    assert!(last.is_some_and(|line| line.ends_with('✓')), "{output}");
    assert!(!output.stderr.contains("violation"), "{output}");
}
