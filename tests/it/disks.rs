//! Disks that fail: each kind of fault shows its effect in the history, the bug that only a power
//! loss shows is found, the correct server is not blamed, and nothing is left behind.

use std::fs::{self, OpenOptions};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    Running, User, assert_nothing_left, cluster_lock, command, has_namespaces, interfaces, mounts,
    only_run, run_in, skip, store, text,
};

/// Whether nodes can have disks of their own here; says so where they cannot.
#[track_caller]
fn has_disks() -> bool {
    if !has_namespaces() {
        return false;
    }
    match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => true,
        Err(error) => {
            skip(&format!("no disks here: /dev/fuse: {error}"));
            false
        }
    }
}

/// The last event of each fault of a run, by kind.
fn healed(run: &Path) -> Vec<Value> {
    let history = fs::read_to_string(run.join("history.jsonl")).unwrap();
    let events = history.lines().skip(1);
    events
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["process"] == "nemesis" && event["value"]["phase"] == "heal")
        .collect()
}

fn schedule(entries: &[(u64, &str)]) -> String {
    let entry = |(at_ms, what): &(u64, &str)| {
        let what = what.replace("; ", "\n");
        format!("[[schedule]]\nat_ms = {at_ms}\nfor_ms = 600\n{what}\n")
    };
    entries.iter().map(entry).collect()
}

/// One of each kind, each on a node of its own or after the one before has come to its end.
const EACH: [(u64, &str); 9] = [
    (500, "fault = \"power-loss\"; target = \"leader\""),
    (
        2_000,
        "fault = \"crash-point\"; target = \"leader\"; operation = \"fsync\"; moment = \"before\"; nth = 5",
    ),
    (
        3_500,
        "fault = \"torn-write\"; target = \"leader\"; boundary_bytes = 1; nth = 3",
    ),
    (
        5_000,
        "fault = \"io-error\"; target = \"follower\"; operation = \"fsync\"",
    ),
    (6_500, "fault = \"disk-full\"; target = \"follower\""),
    (
        8_000,
        "fault = \"slow-fsync\"; target = \"leader\"; added_ms = 50",
    ),
    (
        9_500,
        "fault = \"slow-fsync\"; target = \"follower\"; added_ms = 3600000",
    ),
    (
        11_000,
        "fault = \"lying-fsync\"; target = \"one\"; path = \"log\"",
    ),
    // At last: a node that starts on what is left refuses to.
    (
        12_500,
        "fault = \"bit-flip\"; target = \"one\"; path = \"log\"; positions = 7",
    ),
];

#[test]
fn each_kind_of_fault_shows_its_effect() {
    if !has_disks() {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let file = store.path().join("schedule.toml");
    fs::write(&file, schedule(&EACH)).unwrap();
    let runs = store.path().join("runs");
    let args = ["--schedule", text(&file), "--time", "14s", "--seed", "3"];
    let output = run_in(&runs, &args).expect(0);
    let healed = healed(&only_run(&runs));
    assert_eq!(healed.len(), EACH.len(), "{output}");
    for event in &healed {
        let (kind, value) = (event["f"].as_str().unwrap(), &event["value"]);
        assert_eq!(value["effective"], true, "{kind}: {value}");
        let node = value["targets"][0].as_str().unwrap();
        let evidence = &value["evidence"][node];
        match kind {
            "crash-point" | "torn-write" => {
                assert_eq!(evidence["hits"], 1, "{kind}: {value}");
                assert_eq!(evidence["first"], "log");
                let lost = evidence["crash"]["lost_bytes"].as_u64().unwrap();
                let torn = evidence["crash"]["torn_bytes"].as_u64().unwrap_or(0);
                assert!(lost > 0 && (kind == "crash-point" || torn > 0), "{value}");
            }
            "io-error" => assert_eq!(evidence["hits"], 1, "{value}"),
            "disk-full" | "slow-fsync" | "lying-fsync" => {
                assert!(evidence["hits"].as_u64().unwrap() > 0, "{kind}: {value}");
            }
            // Those show it when they are injected.
            "power-loss" | "bit-flip" => {}
            other => panic!("{other}"),
        }
    }
    // The data folders are there to be looked at.
    let nodes = only_run(&runs).join("nodes");
    for node in ["n1", "n2", "n3", "n4", "n5"] {
        assert!(nodes.join(node).join("data/log").is_file(), "{node}");
        assert!(!nodes.join(node).join("data.unsynced").exists(), "{node}");
    }
}

/// A power loss of all nodes at once, again and again, takes what was never synced; from a server
/// that syncs before it acknowledges it takes nothing that anybody was told of.
#[test]
fn a_power_loss_finds_a_server_that_does_not_sync() {
    if !has_disks() {
        return;
    }
    let _lock = cluster_lock();
    let losses: Vec<(u64, &str)> = (0..5)
        .map(|number| {
            let target = "fault = \"power-loss\"; target = \"all\"";
            (1_000 + 1_500 * number, target)
        })
        .collect();
    for (bug, code) in [(None, 0), (Some("skip-fsync"), 1)] {
        let store = store();
        let file = store.path().join("schedule.toml");
        fs::write(&file, schedule(&losses)).unwrap();
        let runs = store.path().join("runs");
        let mut args = vec!["--schedule", text(&file), "--time", "9s", "--seed", "1"];
        args.extend(bug.iter().flat_map(|bug| ["--bug", bug]));
        let output = run_in(&runs, &args).expect(code);
        if bug.is_none() {
            let lost = healed(&only_run(&runs));
            assert!(
                lost.iter().all(|event| event["value"]["effective"] == true),
                "{output}"
            );
        }
    }
}

/// Drawn faults of all kinds that a correct server must stand.
#[test]
fn a_correct_server_is_never_blamed_for_its_disks() {
    if !has_disks() {
        return;
    }
    let _lock = cluster_lock();
    for seed in ["1", "2"] {
        let store = store();
        let args = [
            "--disk-faults",
            "--time",
            "12s",
            "--fault-interval",
            "800ms",
            "--json",
        ];
        let output = run_in(store.path(), &[&args[..], &["--seed", seed]].concat());
        // A crash point that never came leaves its kind untried, and the verdict open.
        let verdict = output.json()["verdict"].clone();
        assert!(
            verdict == json!("valid") || verdict == json!("unknown"),
            "{output}"
        );
        let run = only_run(store.path());
        assert!(
            fs::read_to_string(run.join("plan.toml"))
                .unwrap()
                .contains("disk_faults = true")
        );
    }
}

/// Bug found: nodes that ended because no sync succeeded read, when they were started again, what had
/// never reached their disks, built on it, and after a power loss refused to start.
#[test]
fn after_syncs_that_failed_a_power_loss_takes_nothing_from_the_correct_server() {
    if !has_disks() {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let schedule = "raft-kv/schedules/broken-disks-and-power-out.toml";
    let args = ["--schedule", schedule, "--time", "6s", "--seed", "1"];
    run_in(store.path(), &args).expect(0);
}

/// Each kind, in force on some node for as long as the run takes; the slow fsyncs are stuck, so that
/// processes wait in the kernel.
const IN_FORCE: [&str; 8] = [
    "fault = \"power-loss\"; target = \"minority\"",
    "fault = \"crash-point\"; target = \"minority\"",
    "fault = \"torn-write\"; target = \"minority\"",
    "fault = \"io-error\"; target = \"follower\"",
    "fault = \"disk-full\"; target = \"follower\"",
    "fault = \"slow-fsync\"; target = \"all\"; added_ms = 3600000",
    "fault = \"lying-fsync\"; target = \"all\"",
    "fault = \"bit-flip\"; target = \"all\"; path = \"log\"",
];

#[test]
fn nothing_is_left_of_any_kind_when_the_run_is_killed() {
    if !has_disks() {
        return;
    }
    for what in IN_FORCE {
        let (_lock, store) = (cluster_lock(), store());
        let file = store.path().join("schedule.toml");
        let entries = schedule(&[(200, what)]).replace("for_ms = 600", "for_ms = 50000");
        fs::write(&file, entries).unwrap();
        let runs = store.path().join("runs");
        let before = (interfaces(), mounts());
        let mut running = Running::start(command(&[
            "run",
            "--nodes",
            "3",
            "--schedule",
            text(&file),
            "--time",
            "1m",
            "--store",
            text(&runs),
        ]));
        running.await_said("inject ");
        running.signal(Signal::SIGKILL);
        drop(running);
        assert_nothing_left(&runs);
        assert_eq!((interfaces(), mounts()), before, "{what}");
    }
}

#[test]
fn where_the_device_cannot_be_opened_the_fault_is_refused_with_the_fix() {
    use std::os::unix::fs::MetadataExt;
    let is_closed = fs::metadata("/dev/fuse").is_ok_and(|facts| facts.mode() & 0o006 != 0o006);
    if !has_namespaces() || !is_closed {
        eprintln!("skipped: everybody may open /dev/fuse here, or nobody can");
        return;
    }
    let (_lock, user) = (cluster_lock(), User::new());
    let args = ["run", "--faults", "power-loss", "--time", "3s"];
    Running::start(user.command(&args))
        .finish()
        .expect(4)
        .says(&[
            "the fault power-loss is unavailable: open /dev/fuse: EACCES",
            "`sudo chmod 666 /dev/fuse`",
        ]);
    // Nobody shall believe that there were disks of their own.
    for (asked, said) in [
        (
            &["--disk-faults", "--faults", "none"][..],
            "a disk of its own for each node",
        ),
        (
            &["--disk-faults"],
            "without it and its like: --faults kill,pause,partition",
        ),
        (
            &["--profile", "disk"],
            "without it and its like: --faults kill,partition",
        ),
    ] {
        let args = [&["run", "--time", "3s"], asked].concat();
        Running::start(user.command(&args))
            .finish()
            .expect(4)
            .says(&["is unavailable: open /dev/fuse: EACCES", said]);
    }
    Running::start(user.command(&["doctor"]))
        .finish()
        .expect(0)
        .says(&[
            "no   FUSE file system in a mount namespace",
            "why: open /dev/fuse: EACCES",
            "fix: `sudo chmod 666 /dev/fuse`",
        ]);
    // In plain mode there is no place to mount anything.
    let args = ["run", "--faults", "power-loss", "--plain", "--time", "3s"];
    Running::start(user.command(&args))
        .finish()
        .expect(4)
        .says(&["in plain mode nodes have no mount namespaces"]);
}
