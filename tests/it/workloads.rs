//! Workloads and the checks of their own, on recorded histories and on real clusters.

use std::fs;

use serde_json::Value;

use crate::schema::assert_documented;
use crate::support::{cluster_lock, has_namespaces, run_in, store, text, whitewater};

/// An EDN history of these calls, one after the other: name, argument, result.
fn edn(calls: &[(&str, &str, &str)]) -> String {
    let mut history = String::new();
    for (f, input, output) in calls {
        let kind = if *output == "?" { "info" } else { "ok" };
        let output = if *output == "?" { "nil" } else { output };
        history.push_str(&format!(
            "{{:process 0, :type :invoke, :f :{f}, :value {input}}}\n"
        ));
        history.push_str(&format!(
            "{{:process 0, :type :{kind}, :f :{f}, :value {output}}}\n"
        ));
    }
    history
}

/// The check of this name in a document.
#[track_caller]
fn check_named<'a>(document: &'a Value, name: &str) -> &'a Value {
    let checks = document["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check {name}: {document:#}"))
}

/// Goal: every check of its own is reached from the command line, and says what it found in words
/// and as data.
#[test]
fn recorded_histories_are_checked_without_a_model() {
    let folder = store();
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str, &'a str)], i32, &'a str);
    let rows: &[Row<'_>] = &[
        (
            "set",
            &[("add", "1", "1"), ("add", "2", "2"), ("read", "nil", "[2]")],
            1,
            "lost",
        ),
        ("set", &[("add", "1", "1"), ("read", "nil", "[1]")], 0, ""),
        ("set", &[("add", "1", "1")], 3, ""),
        (
            "log",
            &[("append", "1", "1"), ("read", "nil", "[1 1]")],
            1,
            "duplicated",
        ),
        (
            "queue",
            &[("enqueue", "1", "1"), ("dequeue", "nil", "nil")],
            1,
            "lost",
        ),
        (
            "unordered-queue",
            &[("enqueue", "1", "1"), ("drain", "nil", "[1]")],
            0,
            "",
        ),
        (
            "lock",
            &[
                ("acquire", "\"a\"", "1"),
                ("acquire", "\"b\"", "2"),
                ("release", "\"a\"", "nil"),
            ],
            1,
            "two holders",
        ),
        (
            "leader-election",
            &[
                ("leader", "nil", "{:leader \"a\", :term 1}"),
                ("leader", "nil", "{:leader \"b\", :term 1}"),
            ],
            1,
            "two leaders",
        ),
        (
            "counter",
            &[("add", "1", "1"), ("read", "nil", "0")],
            1,
            "too low",
        ),
        (
            "final-counter",
            &[("add", "1", "?"), ("add", "1", "1"), ("read", "nil", "2")],
            0,
            "",
        ),
        (
            "unique-ids",
            &[("generate", "nil", "7"), ("generate", "nil", "7")],
            1,
            "duplicated",
        ),
        (
            "watch",
            &[
                ("put", "\"a\"", "3"),
                ("watch", "1", "[[3 \"a\"] [3 \"a\"]]"),
            ],
            1,
            "replayed",
        ),
    ];
    for (name, calls, code, kind) in rows {
        let file = folder.path().join(format!("{name}.edn"));
        fs::write(&file, edn(calls)).unwrap();
        let args = ["check", text(&file), "--check", name, "--json"];
        let document = whitewater(&args).expect(*code).json();
        assert_documented(&document);
        let check = check_named(&document, name);
        if !kind.is_empty() {
            assert_eq!(check["findings"]["counts"][kind], 1, "{document:#}");
            let anomaly = &check["findings"]["anomalies"][0];
            assert_eq!(anomaly["kind"], *kind, "{document:#}");
            whitewater(&args[..4])
                .expect(*code)
                .says(&[anomaly["text"].as_str().unwrap()]);
        }
    }
}

/// Goal: a bank's start is given; its check and its model agree on what is wrong.
#[test]
fn a_workload_brings_its_model_and_its_checks() {
    let folder = store();
    let file = folder.path().join("bank.edn");
    let calls = [
        ("transfer", "{:from 0, :to 1, :amount 1}", "true"),
        ("read", "nil", "{0 1, 1 2}"),
    ];
    fs::write(&file, edn(&calls)).unwrap();
    let args = [
        "check",
        text(&file),
        "--check",
        "bank",
        "--initial",
        "{0 2, 1 2}",
    ];
    whitewater(&args)
        .expect(1)
        .says(&["found 3 on all accounts together, expected 4"]);
    let args = ["check", text(&file), "--check", "bnk"];
    whitewater(&args).expect(2).says(&["did you mean bank?"]);
    let args = [
        "check",
        text(&file),
        "--check",
        "bank",
        "--certificate",
        "x",
    ];
    whitewater(&args[..4]).expect(3);
    let args = ["check", text(&file), "--workload", "bnak"];
    whitewater(&args).expect(2).says(&["unknown workload"]);
}

/// A short run in which one node stands still for a while.
const SHORT: [&str; 12] = [
    "--nodes",
    "3",
    "--time",
    "3s",
    "--seed",
    "34",
    "--faults",
    "pause",
    "--fault-interval",
    "900ms",
    "--fault-duration",
    "300ms",
];

/// Goal: a correct server passes every workload that is made of keys and values, and each check has
/// had something to look at.
#[test]
fn every_workload_over_keys_and_values_ends_valid() {
    let _alone = cluster_lock();
    for (workload, check, counted) in [
        ("set", "set", "read"),
        ("append", "log", "read"),
        ("broadcast", "log", "read"),
        ("queue", "queue", "delivered"),
        ("lock", "lock", "granted"),
        ("fenced-lock", "lock", "granted"),
        ("leader-election", "leader-election", "won"),
        ("counter", "counter", "reads"),
        ("unique-ids", "unique-ids", "acknowledged"),
        ("bank", "bank", "reads"),
    ] {
        let store = store();
        let args = [&SHORT[..], &["--workload", workload, "--json"]].concat();
        let document = run_in(store.path(), &args).expect(0).json();
        assert_documented(&document);
        let findings = &check_named(&document, check)["findings"];
        let count = findings["counts"][counted].as_u64().unwrap();
        assert!(count >= 5, "{workload}: {document:#}");
        assert_eq!(
            findings["anomalies"].as_array().unwrap().len(),
            0,
            "{document:#}"
        );
        // Judged again from what was recorded, it is the same.
        let folder = document["run"]["folder"].as_str().unwrap();
        let again = whitewater(&["check", folder, "--json"]).expect(0).json();
        let findings = &check_named(&again, check)["findings"];
        assert_eq!(findings["counts"][counted], count, "{again:#}");
    }
}

/// Goal: what breaks the server breaks what is made of it, and the workload's own check says so.
#[test]
fn bugs_are_found_by_the_checks_of_workloads() {
    const SEEDS_MAX: u64 = 6;
    const PARTITIONS: [&str; 6] = [
        "--faults",
        "partition",
        "--fault-interval",
        "1s",
        "--fault-duration",
        "800ms",
    ];
    if !has_namespaces() {
        return;
    }
    let _alone = cluster_lock();
    let rows: [(&str, &str, &[&str]); 3] = [
        // A deposed leader that serves from its own log wins terms that others win, too.
        (
            "leader-election",
            "apply-before-commit,stale-read",
            &PARTITIONS,
        ),
        ("set", "apply-twice-on-retry", &[]),
        ("counter", "apply-twice-on-retry", &[]),
    ];
    for (workload, bugs, faults) in rows {
        let store = store();
        let is_found = |seed: u64| {
            let seed = seed.to_string();
            let options = ["--workload", workload, "--seed", &seed];
            let rest = ["--time", "8s", "--keep-going", "--json"];
            let bugs = bugs.split(',').flat_map(|bug| ["--bug", bug]);
            let bugs: Vec<&str> = bugs.collect();
            let args = [&options[..], &rest, &bugs, faults].concat();
            let output = run_in(store.path(), &args);
            let document = output.json();
            assert_documented(&document);
            check_named(&document, workload)["verdict"] == "invalid"
        };
        let found = (1..=SEEDS_MAX).any(is_found);
        assert!(
            found,
            "{bugs} is not found by {workload} within {SEEDS_MAX} seeds"
        );
    }
}

/// Goal: a workload that a system cannot do is refused before anything starts.
#[test]
fn a_workload_that_the_system_cannot_do_is_refused() {
    let store = store();
    let refused = run_in(store.path(), &["--workload", "watch"]).expect(2);
    refused.says(&["raft-kv", "watch"]);
}
