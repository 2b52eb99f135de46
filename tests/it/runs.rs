//! Runs that come to their end: what they record, what they say, what they keep.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::schema::assert_documented;
use crate::support::{
    ONE_OF_EACH, Running, User, cluster_lock, has_namespaces, only_run, read_json, run_in, runs,
    store, text, whitewater,
};

/// The events of a run, without the header.
fn events(run: &Path) -> Vec<Value> {
    let history = fs::read_to_string(run.join("history.jsonl")).unwrap();
    let lines = history.lines().skip(1);
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The faults of a run at one phase of their lives, as number and kind.
fn faults(run: &Path, phase: &str) -> Vec<(u64, String)> {
    let events = events(run).into_iter();
    events
        .filter(|event| event["process"] == "nemesis" && event["value"]["phase"] == phase)
        .map(|event| {
            let kind = event["f"].as_str().unwrap().to_owned();
            (event["value"]["id"].as_u64().unwrap(), kind)
        })
        .collect()
}

/// How many operations began while the clients drove the cluster.
fn driven(run: &Path, duration_ms: u64) -> usize {
    let events = events(run).into_iter();
    let began = events.filter(|event| event["type"] == "invoke");
    began
        .filter(|event| event["time"].as_u64().unwrap() < duration_ms * 1_000_000)
        .count()
}

/// Requires that everything is in a run folder, and that judging its history again agrees.
#[track_caller]
fn assert_whole(run: &Path, nodes: usize) {
    for file in [
        "plan.toml",
        "history.jsonl",
        "ledger.jsonl",
        "verdict.json",
        "report.html",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    for node in 1..=nodes {
        let node = run.join("nodes").join(format!("n{node}"));
        assert!(node.join("stderr.log").is_file() && node.join("stdout.log").is_file());
        assert!(fs::read_dir(node.join("data")).unwrap().next().is_some());
    }
    let stored = read_json(&run.join("verdict.json"));
    assert_documented(&stored);
    for file in [run, &run.join("history.jsonl")] {
        let code = match stored["verdict"].as_str() {
            Some("valid") => 0,
            Some("invalid") => 1,
            _ => 3,
        };
        let again = whitewater(&["check", text(file), "--json"])
            .expect(code)
            .json();
        assert_documented(&again);
        for field in ["verdict", "reason", "operations", "keys", "checks"] {
            assert_eq!(again[field], stored[field], "{field}");
        }
    }
}

#[test]
fn each_workload_ends_valid_with_everything_in_its_folder() {
    for workload in ["register", "kv"] {
        let (_lock, store) = (cluster_lock(), store());
        let args = [&ONE_OF_EACH[..], &["--workload", workload]].concat();
        let output = run_in(store.path(), &args).expect(0).says(&[
            "VALID: nothing contradicts a correct system",
            "cluster ready",
            "seed 34",
            "replay",
            "report.html",
        ]);
        let run = only_run(store.path());
        assert!(output.stdout.contains(text(&run)), "{output}");
        assert_whole(&run, 3);
        assert!(driven(&run, 5_000) >= 100);
        // Everything that was injected was healed, and noted first.
        let healed: BTreeSet<_> = faults(&run, "heal").into_iter().collect();
        let injected: BTreeSet<_> = faults(&run, "inject").into_iter().collect();
        assert_eq!((injected.len(), &healed), (3, &injected));
        let ledger = fs::read_to_string(run.join("ledger.jsonl")).unwrap();
        assert!(ledger.lines().count() >= injected.len(), "{ledger}");
        let report = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(!report.contains("src=\"http") && !report.contains("href=\"http"));

        whitewater(&["runs", "--store", text(store.path())])
            .expect(0)
            .says(&["valid", "kill,pause,partition", text(&run)]);
    }
}

#[test]
fn json_is_one_document_on_standard_output_and_the_stored_one() {
    let (_lock, store) = (cluster_lock(), store());
    let args = ["--json", "--nodes", "1", "--time", "3s", "--faults", "none"];
    let output = run_in(store.path(), &args).expect(0);
    let document = output.json();
    assert_documented(&document);
    let run = only_run(store.path());
    assert_eq!(document, read_json(&run.join("verdict.json")));
    assert_eq!(document["run"]["folder"], text(&run));
    assert_eq!(document["run"]["stopped"], false);
    // No fault was asked for and none came, on a single node.
    assert_whole(&run, 1);
    assert!(faults(&run, "begin").is_empty());
}

#[test]
fn an_open_loop_begins_operations_at_its_rate() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--rate", "200", "--nodes", "3", "--time", "4s", "--faults", "none",
    ];
    run_in(store.path(), &args).expect(0);
    // 800 are expected, give or take 28; fewer where the machine cannot keep up.
    let count = driven(&only_run(store.path()), 4_000);
    assert!((400..=1_000).contains(&count), "{count} operations");
}

/// One node can be killed and paused like several, and then nobody is left to serve.
#[test]
fn one_node_alone_recovers_from_kills_and_pauses() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--nodes",
        "1",
        "--time",
        "5s",
        "--seed",
        "1",
        "--faults",
        "kill,pause",
        "--fault-interval",
        "1s",
        "--fault-duration",
        "400ms",
    ];
    run_in(store.path(), &args).expect(0);
    assert!(!faults(&only_run(store.path()), "inject").is_empty());
}

#[test]
fn plain_mode_kills_and_pauses_and_says_that_it_cannot_partition() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [&ONE_OF_EACH[..], &["--plain", "--json"]].concat();
    let output = run_in(store.path(), &args).expect(0);
    let document = output.json();
    let unavailable = document["run"]["unavailable"].as_array().unwrap();
    assert_eq!(unavailable.len(), 1, "{document}");
    assert_eq!(unavailable[0]["kind"], "partition");
    for field in ["cause", "remedy"] {
        assert!(
            output
                .stderr
                .contains(unavailable[0][field].as_str().unwrap()),
            "{output}"
        );
    }
    let run = only_run(store.path());
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("unavailable: "), "{page}");
    assert_whole(&run, 3);
    let kinds: BTreeSet<String> = faults(&run, "inject")
        .into_iter()
        .map(|(_, kind)| kind)
        .collect();
    assert_eq!(kinds, ["kill".to_owned(), "pause".to_owned()].into());
}

#[test]
fn a_fault_asked_for_by_name_that_cannot_be_is_no_run() {
    let (_lock, store) = (cluster_lock(), store());
    run_in(
        store.path(),
        &["--plain", "--faults", "partition", "--time", "3s"],
    )
    .expect(4)
    .says(&[
        "partition is unavailable",
        "plain mode",
        "hint: ",
        "--plain",
    ]);
}

#[test]
fn replay_makes_the_same_plan_again_in_a_new_folder() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [&ONE_OF_EACH[..], &["--workload", "kv", "--clients", "4"]].concat();
    run_in(store.path(), &args).expect(0);
    let first = only_run(store.path());
    let verdict = fs::read(first.join("verdict.json")).unwrap();
    whitewater(&["replay", text(&first), "--store", text(store.path())]).expect(0);
    let mut both = runs(store.path());
    both.retain(|run| *run != first);
    let [second] = &both[..] else {
        panic!("one new run, not {both:?}");
    };
    let plan = |run: &Path| fs::read_to_string(run.join("plan.toml")).unwrap();
    assert_eq!(plan(&first), plan(second));
    assert_eq!(faults(&first, "begin"), faults(second, "begin"));
    assert!(!faults(second, "begin").is_empty());
    assert_eq!(
        fs::read(first.join("verdict.json")).unwrap(),
        verdict,
        "left alone"
    );
    assert_whole(second, 3);
}

#[test]
fn an_ordinary_user_runs_sandboxed_and_cannot_write_elsewhere() {
    if !has_namespaces() {
        return;
    }
    let (_lock, user) = (cluster_lock(), User::new());
    let kinds = ["--json", "--faults", "kill,pause,partition"];
    let args = [&["run"], &ONE_OF_EACH[..], &kinds].concat();
    let output = Running::start(user.command(&args)).finish().expect(0);
    assert!(!output.stderr.contains("plain mode"), "{output}");
    assert_eq!(
        output.json()["run"]["unavailable"],
        Value::Array(Vec::new())
    );
    // Where nothing is said, runs are kept in the working directory.
    let run = only_run(&user.folder().join("runs"));
    assert_whole(&run, 3);
    let kinds: BTreeSet<String> = faults(&run, "heal")
        .into_iter()
        .map(|(_, kind)| kind)
        .collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");

    let refused = [
        "run",
        "--time",
        "3s",
        "--store",
        "/whitewater-end-to-end-test/runs",
    ];
    Running::start(user.command(&refused))
        .finish()
        .expect(4)
        .says(&[
            "/whitewater-end-to-end-test/runs",
            "Permission denied",
            "hint: choose another place with --store DIR",
        ]);
}
