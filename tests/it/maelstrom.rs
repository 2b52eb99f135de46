//! `whitewater maelstrom`: node programs on standard input and output.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{
    Output, Running, cluster_lock, command, eventually, only_run, processes_with, read_json, runs,
    skip, store, text, whitewater,
};

/// Whether there is a Python that the examples run with; says so where there is none.
#[track_caller]
fn has_python() -> bool {
    let tried = Command::new("python3")
        .args(["-c", "import json, threading"])
        .output();
    let is_there = tried.is_ok_and(|output| output.status.success());
    if !is_there {
        skip("no python3 with its standard library here");
    }
    is_there
}

fn example(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/maelstrom");
    folder.join(name)
}

/// A run of a program with these options, separated by spaces.
#[track_caller]
fn run(store: &Path, program: &Path, options: &str) -> Output {
    let mut args = vec!["maelstrom", "--store", text(store), "--bin", text(program)];
    args.extend(options.split(' '));
    whitewater(&args)
}

/// Runs examples, a row each: the program, its options, the exit code, what is said.
fn check(rows: &[(&str, &str, i32, &[&str])]) {
    if !has_python() {
        return;
    }
    let _lock = cluster_lock();
    for (program, options, code, said) in rows {
        let store = store();
        let output = run(store.path(), &example(program), options)
            .expect(*code)
            .says(said);
        // The folder alone says the same.
        let checked = whitewater(&["check", text(&only_run(store.path()))]);
        assert_eq!(checked.status.code(), Some(*code), "{output}\n{checked}");
    }
}

#[test]
fn what_works_is_not_blamed() {
    check(&[
        (
            "echo.py",
            "-w echo --node-count 1 --time-limit 1 --rate 50 --availability total",
            0,
            &[
                "echo             valid",
                "availability     valid",
                "of clients",
            ],
        ),
        (
            "unique_ids.py",
            "test -w unique-ids --node-count 3 --time-limit 2 --rate 100 --concurrency 2n \
             --nemesis kill,pause --nemesis-interval 0.5 --seed 5",
            0,
            &["unique-ids       valid", "inject kill", "inject pause"],
        ),
        (
            "lin_kv.py",
            "-w lin-kv --node-count 3 --time-limit 3 --rate 100 --concurrency 2n --latency 3 \
             --latency-dist exponential --nemesis partition,one-way --nemesis-interval 0.5 --seed 3",
            0,
            &["linearizability  valid", "partitioned", "inject partition"],
        ),
        // A follower hands the client's own message to the leader, with the client as its `src`.
        (
            "lin_kv.py",
            "-w lin-kv --node-count 3 --time-limit 3 --rate 100 --concurrency 2n --latency 3 \
             --nemesis partition --nemesis-interval 0.5 --seed 3 -- forward",
            0,
            &["linearizability  valid", "partitioned", "inject partition"],
        ),
        (
            "broadcast.py",
            "-w broadcast --node-count 4 --time-limit 2 --rate 100 --topology tree --p-loss 0.1 \
             --nemesis partition --nemesis-interval 1 --settle 2 --seed 1",
            0,
            &["set              valid", "eventual-set     valid", "lost"],
        ),
        (
            "counter.py",
            "-w pn-counter --node-count 3 --time-limit 1 --rate 60 --settle 0.5",
            0,
            &["final-counter    valid"],
        ),
        (
            "txn.py",
            "-w txn-list-append --node-count 2 --time-limit 1 --rate 80 --concurrency 2n",
            0,
            &["list-append      valid", "nothing contradicts"],
        ),
        (
            "txn.py",
            "-w txn-rw-register --node-count 2 --time-limit 1 --rate 80 --concurrency 2n \
             --consistency-models serializable",
            0,
            &["rw-register      valid", "held against serializable"],
        ),
        (
            "kafka.py",
            "-w kafka --node-count 2 --time-limit 2 --rate 100 --concurrency 2n --latency 2 --settle 0.5",
            0,
            &["kafka            valid"],
        ),
    ]);
}

#[test]
fn what_is_broken_is_found() {
    check(&[
        (
            "echo.py",
            "-w echo --node-count 1 --time-limit 1 --rate 50 -- broken",
            1,
            &["INVALID", "changed"],
        ),
        (
            "unique_ids.py",
            "-w unique-ids --node-count 3 --time-limit 1 --rate 50 -- broken",
            1,
            &["INVALID", "duplicated"],
        ),
        (
            "lin_kv.py",
            "-w lin-kv --node-count 3 --time-limit 10 --rate 200 --concurrency 2n -- broken",
            1,
            &["INVALID", "no order of the operations explains"],
        ),
        // A key that is missing is an observation, not a failed operation.
        (
            "lin_kv.py",
            "-w lin-kv --node-count 2 --time-limit 10 --rate 200 --concurrency 2n -- forgets",
            1,
            &["INVALID", "no order of the operations explains"],
        ),
        (
            "broadcast.py",
            "-w g-set --node-count 3 --time-limit 1 --rate 60 --p-loss 0.5 --settle 0.5 -- broken",
            1,
            &["INVALID", "eventual-set     invalid"],
        ),
        (
            "counter.py",
            "-w g-counter --node-count 3 --time-limit 2 --rate 100 --settle 0.5 -- broken",
            1,
            &["INVALID", "final-counter    invalid"],
        ),
        (
            "txn.py",
            "-w txn-list-append --node-count 3 --time-limit 2 --rate 150 --concurrency 3n \
             --key-count 1 --latency 2 -- broken",
            1,
            &["INVALID", "list-append      invalid"],
        ),
        (
            "kafka.py",
            "-w kafka --node-count 1 --time-limit 2 --rate 100 --settle 0.5 -- broken",
            1,
            &["INVALID", "kafka            invalid"],
        ),
        (
            "echo.py",
            "-w echo --node-count 2 --time-limit 3 --rate 50 --nemesis pause --nemesis-interval 1 \
             --timeout 100ms --availability total --seed 2",
            1,
            &["availability     invalid", "total was asked for"],
        ),
    ]);
}

#[test]
fn runs_are_repeated_up_to_the_first_that_is_not_valid() {
    if !has_python() {
        return;
    }
    let _lock = cluster_lock();
    let options = "-w echo --node-count 1 --time-limit 1 --rate 50 --seed 7 --test-count 2";
    let store = store();
    run(store.path(), &example("echo.py"), options)
        .expect(0)
        .says(&["seed 7", "seed 8"]);
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), 2);
    let folder = tempfile::tempdir().unwrap();
    let silent = program(folder.path(), "silent", "exit 0");
    let output = run(store.path(), &silent, options)
        .expect(4)
        .says(&["seed 7"]);
    assert!(!output.to_string().contains("seed 8"), "{output}");
}

#[test]
fn nodes_are_under_every_fault() {
    if !has_python() {
        return;
    }
    let _lock = cluster_lock();
    let store = store();
    let kinds = [
        "kill",
        "pause",
        "partition",
        "loss",
        "duplicate",
        "reorder",
        "delay",
        "restart",
    ];
    let options = format!(
        "-w lin-kv --node-count 3 --time-limit 6 --rate 150 --concurrency 2n --seed 4 --nemesis {} \
         --nemesis-interval 0.4 --keep-going",
        kinds.join(",")
    );
    let output = run(store.path(), &example("lin_kv.py"), &options);
    // Whether the node that has everything was killed, and every fault had an effect, is chance.
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{output}");
    let folder = only_run(store.path());
    let verdict = read_json(&folder.join("verdict.json"));
    assert!(
        verdict["messages"]["servers"]["sent"].as_u64() > Some(0),
        "{verdict}"
    );
    let faults = verdict["faults"].as_array().unwrap();
    for kind in kinds {
        let of_kind = faults.iter().find(|fault| fault["kind"] == kind);
        assert!(
            of_kind.is_some_and(|it| it["injected"].as_u64() > Some(0)),
            "{kind}: {output}"
        );
    }
    // What is stored makes the same run again.
    whitewater(&["replay", "--store", text(store.path()), text(&folder)]);
    let runs = runs(store.path());
    assert_eq!(runs.len(), 2);
    let plan = |run: &Path| fs::read_to_string(run.join("plan.toml")).unwrap();
    assert_eq!(plan(&runs[0]), plan(&runs[1]));
}

#[test]
fn what_a_kill_takes_from_memory_is_missed() {
    check(&[(
        "lin_kv.py",
        "-w lin-kv --node-count 1 --time-limit 20 --rate 200 --concurrency 4n --nemesis kill \
         --nemesis-interval 0.5 --seed 1",
        1,
        &["INVALID", "inject kill on n0", "heal kill on n0"],
    )]);
}

/// A program of one's own for a test.
fn program(folder: &Path, name: &str, lines: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, lines).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Answers `init`, and everything else by what stands there.
const AFTER_INIT: &str = r#"#!/bin/sh
read -r init
echo '{"src": "n0", "dest": "c0", "body": {"type": "init_ok", "in_reply_to": 1}}'
read -r request
"#;

#[test]
fn a_node_that_does_not_keep_to_the_protocol_is_named() {
    let folder = store();
    let _lock = cluster_lock();
    let rows: [(&str, &str, &[&str]); 8] = [
        (
            "talks",
            "#!/bin/sh\nread -r line\necho hello world\nread -r line\n",
            &["line 1 that node n0 wrote", "is not JSON", "hello world"],
        ),
        (
            "keeps-silent",
            "#!/bin/sh\nsleep 1000 & sleep 1000\n",
            &["node n0 did not answer `init` within 500 ms"],
        ),
        (
            "dies",
            "#!/bin/sh\nread -r line\necho going down >&2\nexit 7\n",
            &["node n0 ended by itself with exit status 7", "going down"],
        ),
        (
            "is-none",
            "#!/nowhere/at/all\n",
            &["node n0 ended by itself with exit status 127"],
        ),
        (
            "strays",
            &format!(
                "{AFTER_INIT}echo '{{\"src\": \"n0\", \"dest\": \"n9\", \"body\": {{\"type\": \"x\"}}}}'\nread -r line\n"
            ),
            &["line 2 that node n0 wrote", "\"n9\", and there is no node"],
        ),
        (
            "pretends",
            &format!(
                "{AFTER_INIT}echo '{{\"src\": \"n9\", \"dest\": \"n0\", \"body\": {{\"type\": \"x\"}}}}'\nread -r line\n"
            ),
            &[
                "line 2 that node n0 wrote",
                "has the `src` \"n9\", and there is no node",
            ],
        ),
        (
            "misanswers",
            &format!(
                "{AFTER_INIT}echo '{{\"src\": \"n0\", \"dest\": \"c2\", \"body\": {{\"type\": \"echo_ok\", \"in_reply_to\": 1}}}}'\nread -r line\n"
            ),
            &["node n0 answered with", "expected a `echo`"],
        ),
        (
            "goes-home",
            &format!("{AFTER_INIT}exit 0\n"),
            &["node n0 ended by itself with exit status 0"],
        ),
    ];
    for (name, lines, said) in rows {
        let store = store();
        let program = program(folder.path(), name, lines);
        let options = "-w echo --node-count 1 --time-limit 20 --rate 50 --init-timeout 500ms";
        let output = run(store.path(), &program, options).expect(4).says(said);
        assert!(!output.stdout.contains("VALID: nothing"), "{output}");
        eventually("no process of the node is left", || {
            processes_with(&program).is_empty()
        });
    }
}

#[test]
fn nothing_outlives_a_command_that_is_killed() {
    let folder = store();
    let _lock = cluster_lock();
    let lines = format!("{AFTER_INIT}sleep 1000 & while read -r line; do :; done\n");
    let program = program(folder.path(), "stays", &lines);
    let args = [
        "maelstrom",
        "-w",
        "echo",
        "--node-count",
        "1",
        "--time-limit",
        "60",
        "--store",
        text(folder.path()),
        "--bin",
        text(&program),
    ];
    let mut running = Running::start(command(&args));
    running.await_said("cluster ready");
    assert!(!processes_with(&program).is_empty());
    running.signal(Signal::SIGKILL);
    eventually("no process of the node is left", || {
        processes_with(&program).is_empty()
    });
}

/// Of each link between nodes, what became of its messages, in the order in which they were sent.
fn fates(run: &Path) -> BTreeMap<(String, String), Vec<bool>> {
    let log = fs::read_to_string(run.join("messages.jsonl")).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let lost: Vec<u64> = lines
        .iter()
        // Not those whose node had ended already when the run was over.
        .filter(|line| line["event"] == "drop" && line["why"] == "lost")
        .filter_map(|line| line["id"].as_u64())
        .collect();
    let mut fates: BTreeMap<_, Vec<bool>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["event"] == "send") {
        let name = |field: &str| line[field].as_str().unwrap().to_owned();
        let link = (name("src"), name("dest"));
        if link.0.starts_with('n') && link.1.starts_with('n') {
            let is_lost = lost.contains(&line["id"].as_u64().unwrap());
            fates.entry(link).or_default().push(is_lost);
        }
    }
    fates
}

#[test]
fn a_seed_gives_messages_the_same_fates() {
    if !has_python() {
        return;
    }
    let _lock = cluster_lock();
    let made = |seed: u32| {
        let store = store();
        let options = format!(
            "-w broadcast --node-count 3 --time-limit 2 --rate 50 --p-loss 0.5 --settle 1 --seed {seed}"
        );
        run(store.path(), &example("broadcast.py"), &options);
        fates(&only_run(store.path()))
    };
    let (first, again, other) = (made(7), made(7), made(8));
    let mut compared = 0;
    let mut differ = false;
    for (link, fates) in &first {
        let common = |others: &BTreeMap<_, Vec<bool>>| {
            let others = others.get(link).cloned().unwrap_or_default();
            let count = fates.len().min(others.len());
            (fates[..count].to_vec(), others[..count].to_vec())
        };
        let (ours, theirs) = common(&again);
        assert_eq!(ours, theirs, "{link:?}");
        compared += ours.len();
        let (ours, theirs) = common(&other);
        differ |= ours != theirs;
    }
    assert!(compared >= 20 && differ, "{compared} messages compared");
}
