//! Faults of the network through the real binary: each takes effect, says so, and leaves nothing.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    Running, assert_nothing_left, cluster_lock, command, has_namespaces, interfaces, mounts,
    only_run, processes_with, run_in, skip, store, text, whitewater,
};

/// Every kind, its parameters, and what in its evidence must not be 0.
const KINDS: [(&str, &str, &str); 12] = [
    ("partition", "shape = \"leader-alone\"", "dropped_packets"),
    (
        "partition",
        "shape = \"halves\"\ndirection = \"in\"\npeers = \"all\"\nflap_period_ms = 200",
        "dropped_packets",
    ),
    (
        "partition",
        "shape = \"majorities-ring\"\nports = [8081]",
        "dropped_packets",
    ),
    ("delay", "target = \"leader\"\nmean_ms = 20", "delayed"),
    (
        "delay",
        "links = [[\"clients\", \"n1\"], [\"n1\", \"n2\"], [\"n2\", \"n1\"], [\"n2\", \"n3\"], \
         [\"n3\", \"n2\"], [\"n1\", \"n3\"], [\"n3\", \"n1\"]]\ndistribution = \"pareto\"",
        "delayed",
    ),
    ("loss", "target = \"leader\"\npermille = 300", "lost"),
    (
        "duplicate",
        "target = \"leader\"\npermille = 300",
        "duplicated",
    ),
    ("reorder", "target = \"leader\"\nhold_ms = 5", "overtaken"),
    (
        "corrupt",
        "target = \"leader\"\npermille = 200",
        "corrupted",
    ),
    (
        "rate-limit",
        "target = \"leader\"\nkbit_per_s = 500",
        "mean_us",
    ),
    ("refuse-connections", "target = \"all\"", "refused"),
    ("reset-connections", "target = \"leader\"", "reset"),
];

/// A schedule of one such fault after the other, a second each.
fn schedule() -> String {
    let mut text = String::new();
    for (number, (kind, parameters, _)) in KINDS.iter().enumerate() {
        let at_ms = 500 + number * 1_000;
        let _ = writeln!(
            text,
            "[[schedule]]\nat_ms = {at_ms}\nfor_ms = 600\nfault = \"{kind}\"\n{parameters}\n"
        );
    }
    text
}

/// The fault events of a run, in order.
fn faults(run: &Path) -> Vec<Value> {
    let history = fs::read_to_string(run.join("history.jsonl")).unwrap();
    let events = history
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .filter(|event| event["process"] == "nemesis" && event["value"].get("phase").is_some())
        .collect()
}

/// The largest number under this name, at any depth.
fn number(value: &Value, name: &str) -> Option<i64> {
    let own = value.get(name).and_then(Value::as_i64);
    let fields = value.as_object().into_iter().flatten();
    fields
        .map(|(_, field)| number(field, name))
        .fold(own, Option::max)
}

#[test]
fn every_fault_of_the_network_takes_effect_and_says_so() {
    if !has_namespaces() {
        return skip("no namespaces here");
    }
    let (_lock, store) = (cluster_lock(), store());
    let file = store.path().join("schedule.toml");
    fs::write(&file, schedule()).unwrap();
    let folder = store.path().join("runs");
    let args = [
        "--nodes",
        "3",
        "--time",
        "13s",
        "--seed",
        "5",
        "--schedule",
        text(&file),
        "--pcap",
    ];
    run_in(&folder, &args).expect(0).says(&["VALID"]);
    let run = only_run(&folder);
    let events = faults(&run);
    for ((kind, _, shown), id) in KINDS.iter().zip(1..) {
        let of_fault: Vec<&Value> = events
            .iter()
            .filter(|event| event["value"]["id"] == id)
            .collect();
        let phases: Vec<&str> = of_fault
            .iter()
            .map(|event| event["value"]["phase"].as_str().unwrap())
            .collect();
        assert_eq!(phases, ["begin", "inject", "heal"], "{of_fault:?}");
        assert!(of_fault.iter().all(|event| event["f"] == *kind));
        let healed = &of_fault[2]["value"];
        assert_eq!(healed["effective"], true, "{healed}");
        let shows = |event: &&Value| number(&event["value"]["evidence"], shown) > Some(0);
        assert!(
            of_fault.iter().copied().any(|event| shows(&event)),
            "{shown}: {of_fault:?}"
        );
    }
    assert!(fs::metadata(run.join("packets.pcapng")).unwrap().len() > 100_000);
    assert_nothing_left(store.path());
}

#[test]
fn the_bridge_cuts_and_resets_and_refuses_the_rest() {
    if !has_namespaces() {
        return skip("no namespaces here");
    }
    let (_lock, store) = (cluster_lock(), store());
    let cuts = [
        "--nodes",
        "3",
        "--time",
        "5s",
        "--seed",
        "6",
        "--network",
        "bridge",
        "--faults",
        "partition,reset-connections",
    ];
    if !has_nft() {
        run_in(store.path(), &cuts)
            .expect(4)
            .says(&["no program nft"]);
        return skip("no program nft here");
    }
    run_in(store.path(), &cuts).expect(0).says(&["VALID"]);
    let run = only_run(store.path());
    let dropped = faults(&run)
        .iter()
        .filter_map(|event| number(&event["value"]["evidence"], "dropped_packets"))
        .max();
    assert!(dropped > Some(0), "{dropped:?}");
    for kind in ["delay", "loss", "refuse-connections"] {
        let args = ["--time", "2s", "--network", "bridge", "--faults", kind];
        run_in(store.path(), &args)
            .expect(4)
            .says(&["bridge", "--network switch"]);
    }
    let args = ["--time", "2s", "--network", "bridge", "--pcap"];
    run_in(store.path(), &args)
        .expect(2)
        .says(&["captures no packets"]);
    let args = ["--time", "2s", "--plain", "--pcap"];
    run_in(store.path(), &args).expect(2).says(&["plain mode"]);
}

#[test]
fn without_a_network_its_faults_are_unavailable() {
    let (_lock, store) = (cluster_lock(), store());
    for kind in ["delay", "refuse-connections", "reset-connections"] {
        let args = ["--time", "2s", "--plain", "--faults", kind];
        run_in(store.path(), &args)
            .expect(4)
            .says(&[kind, "no network between them"]);
    }
}

#[test]
fn whatever_is_in_force_nothing_is_left_of_a_killed_run() {
    if !has_namespaces() {
        return skip("no namespaces here");
    }
    for (kind, parameters, _) in KINDS {
        kill_in_the_middle(kind, parameters, "switch");
    }
    let (kind, parameters, _) = KINDS[0];
    kill_in_the_middle(kind, parameters, "bridge");
}

/// Kills a run while this fault is in force. Where there is no such network there is no run either.
fn kill_in_the_middle(kind: &str, parameters: &str, network: &str) {
    let (_lock, store) = (cluster_lock(), store());
    let (interfaces_before, mounts_before) = (interfaces(), mounts());
    let file = store.path().join("schedule.toml");
    let entry =
        format!("[[schedule]]\nat_ms = 100\nfor_ms = 50000\nfault = \"{kind}\"\n{parameters}\n");
    fs::write(&file, entry).unwrap();
    let folder = store.path().join("runs");
    let args = ["run", "--nodes", "3", "--time", "1m", "--network", network];
    let files = ["--schedule", text(&file), "--store", text(&folder)];
    let mut running = Running::start(command(&[&args[..], &files].concat()));
    if network == "bridge" && !has_nft() {
        running.finish().expect(4).says(&["no program nft"]);
        return skip("no program nft here");
    }
    running.await_said(&format!("inject {kind}"));
    assert!(!processes_with(&folder).is_empty());
    running.signal(Signal::SIGKILL);
    assert_nothing_left(&folder);
    assert_eq!((interfaces(), mounts()), (interfaces_before, mounts_before));
    let ledger = fs::read_to_string(only_run(&folder).join("ledger.jsonl")).unwrap();
    assert_eq!(ledger.lines().count(), 1, "noted, and not done: {ledger}");
}

/// Whether the doctor finds what the bridge is built on.
fn has_nft() -> bool {
    let abilities = whitewater(&["doctor", "--json"]).json().to_string();
    !abilities.contains("there is no program nft")
}
