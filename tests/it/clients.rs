//! The clients of real systems, in short runs.

use std::fs;

use serde_json::Value;

use crate::support::{
    assert_nothing_left, cluster_lock, has_namespaces, only_run, run_in, store, text, there_is,
};

/// What a check of this JSON output counted.
fn counts<'a>(document: &'a Value, check: &str) -> &'a Value {
    let checks = document["checks"].as_array().unwrap();
    let found = checks.iter().find(|one| one["name"] == check);
    let found = found.unwrap_or_else(|| panic!("no check {check}: {document:#}"));
    &found["findings"]["counts"]
}

/// Goal: watches of etcd go on across operations and partitions, and show everything once.
#[test]
fn what_changes_in_etcd_is_watched() {
    if !there_is("etcd", "--version") || !has_namespaces() {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--system",
        "etcd",
        "--workload",
        "watch",
        // A watch from the start, at the end, must have the time to show everything.
        "--timeout",
        "5s",
        "--time",
        "4s",
        "--seed",
        "1",
        "--faults",
        "partition",
        "--fault-interval",
        "1s",
        "--fault-duration",
        "500ms",
        "--recovery-limit",
        "30s",
        "--json",
    ];
    let document = run_in(store.path(), &args).expect(0).json();
    let counts = counts(&document, "watch");
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert!(count("watches") > 10, "{counts}");
    assert!(count("events") > count("acknowledged"), "{counts}");
    assert!(count("acknowledged") > 10, "{counts}");
    assert_nothing_left(store.path());
}

/// Goal: of a lock whose holders stand still what comes with an old token is refused where it is
/// checked, and a run in which that happened says so.
#[test]
fn writes_with_a_token_that_is_old_are_refused_by_etcd() {
    if !there_is("etcd", "--version") || !has_namespaces() {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "--system",
        "etcd",
        "--workload",
        "fenced-lock",
        "--clients",
        "6",
        "--keys",
        "1",
        "--time",
        "3s",
        "--seed",
        "1",
        "--faults",
        "none",
        "--rate",
        "60",
        "--json",
    ];
    let document = run_in(store.path(), &args).expect(0).json();
    let counts = counts(&document, "lock");
    assert!(counts["granted"].as_u64().unwrap() > 2, "{counts}");
    assert_eq!(counts["stale writes accepted"], 0, "{counts}");
    let history = fs::read_to_string(only_run(store.path()).join("history.jsonl")).unwrap();
    let is_write = |line: &&str| line.contains("\"write\"") && line.contains("\"ok\"");
    assert!(history.lines().filter(is_write).count() > 2, "{counts}");
}

/// Goal: who leads a Redis is what its Sentinels say, as soon as one of them knows.
#[test]
fn the_sentinels_of_redis_say_who_leads() {
    if !there_is("redis-server", "--version") || !has_namespaces() {
        return;
    }
    let (_lock, folder) = (cluster_lock(), store());
    let schedule = folder.path().join("schedule.toml");
    let kill = "[[schedule]]\nat = \"1s\"\nfault = \"kill\"\ntarget = \"leader\"\n\
                for = \"14s\"\nuntil = \"leader elected\"\n";
    fs::write(&schedule, kill).unwrap();
    let runs = folder.path().join("runs");
    let args = [
        "--system",
        "redis",
        "--workload",
        "set",
        "--client-option",
        "keep_connections=false",
        "--client-option",
        "wait_replicas=1",
        "--rate",
        "50",
        "--time",
        "15s",
        "--keep-going",
        "--seed",
        "1",
        "--recovery-limit",
        "30s",
        "--schedule",
        text(&schedule),
        "--json",
    ];
    // Whether anything vanished that was not acknowledged is chance.
    let document = run_in(&runs, &args).json();
    assert_eq!(counts(&document, "set")["lost"], 0, "{document:#}");
    let history = fs::read_to_string(only_run(&runs).join("history.jsonl")).unwrap();
    let leaders: Vec<Value> = history
        .lines()
        .filter(|line| line.contains("\"f\":\"leader\""))
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["value"].clone())
        .collect();
    let [first, second, ..] = &leaders[..] else {
        panic!("{leaders:?}");
    };
    assert_eq!(
        (&first["leader"], &first["term"]),
        (&"n1".into(), &0.into())
    );
    assert_ne!(second["leader"], "n1", "{leaders:?}");
    assert_eq!(second["term"], 1, "{leaders:?}");
}
