//! Faults of processes and of what they may use, by the real binary on real nodes: each shows its
//! effect in the history, does not make a correct server look wrong, and leaves nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use histories::{FaultSpan, Value};
use nix::sys::signal::Signal;

use crate::support::{
    Running, User, assert_nothing_left, cluster_lock, command, eventually, has_namespaces,
    only_run, processes_with, read_json, store, text,
};

/// A kind, its parameters, and what its evidence must show of a node.
type Row = (&'static str, &'static str, fn(&Value, &Value) -> bool);

const KINDS: [Row; 7] = [
    ("restart", "grace_ms = 3000", |inject, _| {
        is_text(inject, "by", "SIGTERM") && has_pids(inject)
    }),
    ("crash-loop", "up_ms = 150\ndown_ms = 50", |_, heal| {
        let kills = heal.get("kills").and_then(Value::as_list);
        number(heal, "crashes") > 1 && kills.is_some_and(|kills| kills.iter().all(has_pids))
    }),
    ("kill-at-start", "after_ms = 20", |inject, heal| {
        has_pids(inject) && has_pids(heal)
    }),
    ("cpu-quota", "percent = 2", |_, heal| was_held_up(heal)),
    ("slow-start", "percent = 2", |inject, heal| {
        has_pids(inject) && was_held_up(heal)
    }),
    ("memory-limit", "headroom_kib = 0", |inject, heal| {
        let by = inject.get("by").and_then(Value::as_text).unwrap_or("");
        match heal.get("ended") {
            Some(Value::Bool(true)) => true,
            // What a node has already is not taken from it.
            _ => by == "rlimit" || number(heal, "times_reached") > 0,
        }
    }),
    ("fd-limit", "spare = 0", |inject, _| {
        let processes = inject.get("processes").and_then(Value::as_list);
        processes.is_some_and(|processes| {
            let is_full =
                |process: &Value| (1..=number(process, "open")).contains(&number(process, "limit"));
            !processes.is_empty() && processes.iter().all(is_full)
        })
    }),
];

/// It needs a namespace.
const REBOOT: Row = ("reboot", "uptime_ms = 4294963296", |inject, heal| {
    has_pids(inject) && (0..60_000).contains(&(number(heal, "uptime_ms") - 4_294_963_296))
});

fn number(evidence: &Value, name: &str) -> i64 {
    evidence.get(name).and_then(Value::as_int).unwrap_or(-1)
}

fn is_text(evidence: &Value, name: &str, text: &str) -> bool {
    evidence.get(name).and_then(Value::as_text) == Some(text)
}

fn has_pids(evidence: &Value) -> bool {
    let gone = evidence.get("gone").and_then(Value::as_list);
    gone.is_some_and(|gone| !gone.is_empty())
}

/// It used some CPU time, and less than it would have.
fn was_held_up(heal: &Value) -> bool {
    number(heal, "times_held_up") > 0
        && number(heal, "cpu_ms") >= 0
        && number(heal, "cpu_ms") * 5 < number(heal, "wall_ms")
}

/// One fault of each kind, one after the other.
fn schedule(folder: &Path, rows: &[Row]) -> PathBuf {
    let mut entries = String::new();
    for (place, (kind, parameters, _)) in rows.iter().enumerate() {
        let at_ms = 800 + 1_600 * place;
        entries += &format!(
            "[[schedule]]\nat_ms = {at_ms}\nfor_ms = 800\nfault = \"{kind}\"\ntarget = \"leader\"\n{parameters}\n\n"
        );
    }
    let file = folder.join("schedule.toml");
    fs::write(&file, entries).unwrap();
    file
}

fn args<'a>(schedule: &'a Path, store: &'a Path) -> Vec<&'a str> {
    vec![
        "run",
        "--time",
        "14s",
        "--nodes",
        "3",
        "--clients",
        "4",
        "--rate",
        "400",
        "--seed",
        "11",
        "--schedule",
        text(schedule),
        "--store",
        text(store),
    ]
}

fn check_evidence(command: Command, store: &Path, rows: &[Row]) {
    Running::start(command).finish().expect(0).says(&["VALID"]);
    let run = only_run(store);
    let history = histories::read_file(&run.join("history.jsonl"), None).unwrap();
    let faults = history.faults();
    assert_eq!(faults.len(), rows.len());
    for (span, (kind, _, shows)) in faults.iter().zip(rows) {
        let FaultSpan {
            inject_evidence,
            heal_evidence,
            ..
        } = span;
        assert_eq!(
            (&*span.kind, span.effective),
            (*kind, Some(true)),
            "{span:?}"
        );
        let node = &*span.targets[0];
        let of = |evidence: &Value| evidence.get(node).cloned().unwrap_or_default();
        assert!(
            shows(&of(inject_evidence), &of(heal_evidence)),
            "{kind}: {inject_evidence}, {heal_evidence}"
        );
    }
    let verdict = read_json(&run.join("verdict.json"));
    let mut checks = verdict["checks"].as_array().unwrap().iter();
    let exits = checks.find(|check| check["name"] == "node-exits").unwrap();
    assert_eq!(exits["verdict"], "valid", "{exits}");
    assert_nothing_left(store);
}

#[test]
fn every_kind_shows_its_effect_and_blames_no_correct_server() {
    let (_lock, store) = (cluster_lock(), store());
    let rows: &[Row] = match has_namespaces() {
        true => &[&KINDS[..], &[REBOOT]].concat(),
        false => &KINDS,
    };
    let schedule = schedule(store.path(), rows);
    check_evidence(command(&args(&schedule, store.path())), store.path(), rows);
}

#[test]
fn every_kind_works_for_an_ordinary_user_and_without_a_sandbox() {
    let (_lock, user) = (cluster_lock(), User::new());
    let runs = user.folder().join("runs");
    let schedule = schedule(user.folder(), &KINDS);
    let args = [&args(&schedule, &runs)[..], &["--plain"]].concat();
    check_evidence(user.command(&args), &runs, &KINDS);
}

/// The cgroups of a run made by this process, at any depth.
fn cgroups(maker: i32) -> Vec<PathBuf> {
    let begin = format!("whitewater-{maker}-");
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(begin.as_bytes())
            {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn nothing_is_left_of_any_kind_when_the_controller_is_killed() {
    let sandboxed = has_namespaces();
    for (kind, parameters, _) in KINDS.into_iter().chain([REBOOT]) {
        for mode in [&[][..], &["--plain"]] {
            let is_plain = !mode.is_empty();
            if !sandboxed && !is_plain || kind == REBOOT.0 && is_plain {
                continue;
            }
            let (_lock, store) = (cluster_lock(), store());
            let schedule = store.path().join("schedule.toml");
            let entry = format!(
                "[[schedule]]\nat = \"300ms\"\nfor = \"60s\"\nfault = \"{kind}\"\ntarget = \"leader\"\n{parameters}\n"
            );
            fs::write(&schedule, entry).unwrap();
            let mut args = args(&schedule, store.path());
            args[2] = "70s";
            let mut running = Running::start(command(&[&args[..], mode].concat()));
            running.await_said(&format!("inject {kind}"));
            assert!(processes_with(store.path()).len() > 3);
            let maker = running.pid().as_raw();
            running.signal(Signal::SIGKILL);
            running.finish();
            assert_nothing_left(store.path());
            eventually("no cgroup is left", || cgroups(maker).is_empty());
        }
    }
}
