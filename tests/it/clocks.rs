//! Faults of clocks through the real binary: each takes effect, says so, and leaves nothing.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    Running, assert_nothing_left, cluster_lock, command, only_run, run_in, skip, store, text,
};

/// One of each kind, on both clocks, some together, and a node that is started again meanwhile.
const SCHEDULE: &str = r#"
[[schedule]]
at = "500ms"
fault = "clock-jump"
target = "all"
offset_ms = 3600000
for = "2s"

[[schedule]]
at = "800ms"
fault = "clock-drift"
target = "all"
clock = "monotonic"
rate_ppm = -200000
for = "1s"

[[schedule]]
at = "1s"
fault = "kill"
target = "follower"
for = "300ms"

[[schedule]]
at = "3s"
fault = "clock-freeze"
target = "leader"
for = "500ms"

[[schedule]]
at = "4s"
fault = "clock-strobe"
target = "minority"
offset_ms = -10000
for = "500ms"
"#;

/// The events of one fault, in order.
fn events_of(run: &Path, id: u64) -> Vec<Value> {
    let history = fs::read_to_string(run.join("history.jsonl")).unwrap();
    let events = history
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .filter(|event| event["process"] == "nemesis" && event["value"]["id"] == id)
        .collect()
}

/// Of every node's processes in evidence, this number, in microseconds.
fn numbers(event: &Value, list: &str, name: &str) -> Vec<i64> {
    let nodes = event["value"]["evidence"].as_object().unwrap();
    let processes = nodes
        .values()
        .filter_map(|node| node[list].as_array())
        .flatten();
    processes
        .map(|process| process[name].as_i64().unwrap())
        .collect()
}

#[test]
fn every_fault_of_clocks_takes_effect_and_says_so() {
    let (_lock, store) = (cluster_lock(), store());
    let file = store.path().join("schedule.toml");
    fs::write(&file, SCHEDULE).unwrap();
    let folder = store.path().join("runs");
    let args = ["--nodes", "3", "--time", "6s", "--seed", "7", "--schedule"];
    let args = [&args[..], &[text(&file)]].concat();
    run_in(&folder, &args).expect(0).says(&["VALID"]);
    let run = only_run(&folder);
    for id in 1..=5 {
        let events = events_of(&run, id);
        let phases: Vec<&str> = events
            .iter()
            .map(|event| event["value"]["phase"].as_str().unwrap())
            .collect();
        assert_eq!(phases, ["begin", "inject", "heal"], "{events:?}");
        assert_eq!(events[2]["value"]["effective"], true, "{events:?}");
    }
    let is_near = |us: &[i64], expected_us: i64, within_us: i64| {
        !us.is_empty() && us.iter().all(|us| (us - expected_us).abs() < within_us)
    };
    // An hour ahead on all three, and on the one started meanwhile from its first instruction.
    let jump = events_of(&run, 1);
    assert_eq!(jump[1]["value"]["parameters"]["offset_ms"], 3_600_000);
    let after_us = numbers(&jump[1], "processes", "after_us");
    assert!(
        after_us.len() == 3 && is_near(&after_us, 3_600_000_000, 500_000),
        "{jump:?}"
    );
    assert!(is_near(
        &numbers(&jump[2], "processes", "before_us"),
        3_600_000_000,
        500_000
    ));
    // Told by whichever fault of clocks is healed next.
    let drift = events_of(&run, 2);
    let restarted_us = numbers(&drift[2], "started_since", "after_us");
    assert!(is_near(&restarted_us, 3_600_000_000, 500_000), "{drift:?}");
    // A fifth of what went by, which was a second at least, and right again.
    let lost_us = numbers(&drift[2], "processes", "before_us");
    assert!(lost_us.iter().any(|us| *us < -190_000), "{drift:?}");
    assert!(
        is_near(&numbers(&drift[2], "processes", "after_us"), 0, 500_000),
        "{drift:?}"
    );
    let frozen = events_of(&run, 4);
    assert!(
        numbers(&frozen[2], "processes", "before_us")[0] < -490_000,
        "{frozen:?}"
    );
    let strobe = events_of(&run, 5);
    assert!(
        is_near(
            &numbers(&strobe[1], "processes", "after_us"),
            -10_000_000,
            500_000
        ),
        "{strobe:?}"
    );
    assert_nothing_left(store.path());
}

#[test]
fn what_no_clock_can_do_is_refused_before_the_run() {
    let store = store();
    let file = store.path().join("schedule.toml");
    let rows = [
        (
            "fault = \"clock-jump\"\nclock = \"monotonic\"",
            "schedule[0].clock",
            "drift or freeze",
        ),
        (
            "fault = \"clock-drift\"\nclock = \"monotonic\"",
            "schedule[0].rate_ppm",
            "slowed down",
        ),
        (
            "fault = \"clock-strobe\"\nperiod_ms = 0",
            "schedule[0].period_ms",
            "from 1 to",
        ),
        (
            "fault = \"clock-jump\"\nclock = \"atomic\"",
            "unknown clock",
            "realtime, monotonic",
        ),
    ];
    for (fault, field, why) in rows {
        fs::write(
            &file,
            format!("[[schedule]]\nat = \"1s\"\nfor = \"1s\"\n{fault}\n"),
        )
        .unwrap();
        let args = ["--time", "3s", "--schedule", text(&file)];
        run_in(store.path(), &args).expect(2).says(&[field, why]);
    }
}

/// Bug found: a node whose only thread waited for its disk had "no thread to be used".
#[test]
fn a_clock_is_changed_of_a_node_that_waits_for_its_disk() {
    if fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .is_err()
    {
        return skip("no disks here: /dev/fuse cannot be opened");
    }
    let (_lock, store) = (cluster_lock(), store());
    let file = store.path().join("schedule.toml");
    let slow = "[[schedule]]\nat = \"300ms\"\nfault = \"slow-fsync\"\ntarget = \"all\"\nadded_ms = 300\nfor = \"2s\"\n";
    let jump = "[[schedule]]\nafter = \"fault 1 injected\"\ndelay = \"500ms\"\nfault = \"clock-jump\"\n\
         target = \"all\"\nfor = \"500ms\"\n";
    fs::write(&file, format!("{slow}{jump}")).unwrap();
    let folder = store.path().join("runs");
    let args = ["--nodes", "3", "--time", "4s", "--schedule", text(&file)];
    run_in(&folder, &args).expect(0);
    let history = fs::read_to_string(only_run(&folder).join("history.jsonl")).unwrap();
    assert!(!history.contains("\"phase\":\"error\""), "{history}");
}

/// While one clock fault follows the other.
#[test]
fn a_controller_killed_amid_faults_of_clocks_leaves_nothing() {
    let (_lock, store) = (cluster_lock(), store());
    let kinds = "clock-jump,clock-drift,clock-freeze,clock-strobe";
    let mut run = Running::start(command(&[
        "run",
        "--store",
        text(store.path()),
        "--nodes",
        "3",
        "--time",
        "30s",
        "--faults",
        kinds,
        "--fault-interval",
        "50ms",
        "--fault-overlap",
        "8",
    ]));
    run.await_said("heal clock-");
    run.signal(Signal::SIGKILL);
    run.finish();
    assert_nothing_left(store.path());
}
