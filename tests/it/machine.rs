//! What a machine can do to a run: no such program, no free port, no place, nodes that end.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    BINARY, Running, assert_nothing_left, cluster_lock, command, only_run, read_json, run_in, skip,
    store, text, whitewater,
};

/// A program that serves as a node, as a shell script.
fn script(folder: &Path, body: &str) -> PathBuf {
    let file = folder.join("node.sh");
    fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

#[test]
fn a_missing_program_is_named() {
    let (_lock, store) = (cluster_lock(), store());
    for mode in [&[][..], &["--plain", "--faults", "none"]] {
        let args = [&["--binary", "/nonexistent/node", "--time", "3s"], mode].concat();
        run_in(store.path(), &args)
            .expect(4)
            .says(&["/nonexistent/node", "No such file or directory"]);
    }
}

#[test]
fn a_program_that_is_none_is_named() {
    let (_lock, store) = (cluster_lock(), store());
    let file = store.path().join("node.txt");
    fs::write(&file, "no program").unwrap();
    run_in(store.path(), &["--binary", text(&file), "--time", "3s"])
        .expect(4)
        .says(&[text(&file), "Permission denied"]);
}

#[test]
fn a_node_that_ends_at_once_is_told_with_its_last_words() {
    let (_lock, store) = (cluster_lock(), store());
    let node = script(store.path(), "echo 'I lack a licence' >&2; exit 7");
    let output = run_in(
        store.path(),
        &["--binary", text(&node), "--time", "3s", "--json"],
    )
    .expect(4)
    .says(&["I lack a licence", "exit status 7", "n1"]);
    let document = output.json();
    assert_eq!(document["verdict"], "unknown", "{output}");
    assert!(
        document["run"]["failure"]
            .as_str()
            .unwrap()
            .contains("licence")
    );
    assert_eq!(
        document,
        read_json(&only_run(store.path()).join("verdict.json"))
    );
}

/// A node that nobody killed ends, whatever the reason: then nothing is said to be valid.
#[test]
fn a_node_that_ends_by_itself_leaves_the_verdict_open() {
    for mode in [&[][..], &["--plain"]] {
        let (_lock, store) = (cluster_lock(), store());
        // Ends when the file `die` is there, and only once.
        let die = store.path().join("die");
        let body = format!(
            "case \"$*\" in *'--node n2 '*)\n\
             echo 'the end of n2 is near' >&2\n\
             (until rm '{}' 2>/dev/null; do sleep 0.05; done; kill -9 $$) & ;; esac\n\
             exec '{BINARY}' raft-kv \"$@\"",
            text(&die)
        );
        let node = script(store.path(), &body);
        let args = [
            "run",
            "--store",
            text(store.path()),
            "--binary",
            text(&node),
        ];
        let more = ["--time", "5s", "--nodes", "3", "--faults", "none"];
        let mut running = Running::start(command(&[&args[..], &more, mode].concat()));
        running.await_said(" operations, ");
        fs::write(&die, "").unwrap();
        running.finish().expect(3).says(&[
            "UNKNOWN: node n2 ended unexpectedly",
            "the end of n2 is near",
            "node-exits       unknown",
            "linearizability  valid",
        ]);
        let run = only_run(store.path());
        whitewater(&["check", text(&run)])
            .expect(3)
            .says(&["n2", "is near"]);
        let listed = whitewater(&["runs", "--store", text(store.path())]).expect(0);
        assert!(listed.stdout.contains("unknown"), "{listed}");
        assert_nothing_left(store.path());
    }
}

#[test]
fn a_port_in_use_is_named() {
    let (_lock, store) = (cluster_lock(), store());
    let _taken = TcpListener::bind("127.77.0.1:8080").unwrap();
    run_in(store.path(), &["--plain", "--time", "3s", "--nodes", "3"])
        .expect(4)
        .says(&["127.77.0.1:8080", "in use", "hint: "]);
}

#[test]
fn a_store_that_cannot_be_is_named() {
    let folder = store();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for store in [file.clone(), file.join("below")] {
        run_in(&store, &["--time", "3s"])
            .expect(4)
            .says(&[text(&store)]);
        whitewater(&["campaign", "--store", text(&store)])
            .expect(4)
            .says(&[text(&store)]);
    }
    whitewater(&["runs", "--store", text(&file)])
        .expect(2)
        .says(&[text(&file)]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

/// A disk that fills up in the middle: the run ends and says so, and what was recorded until then
/// can still be judged. The small disk is a mount that nobody else sees.
#[test]
fn a_full_disk_ends_the_run_and_loses_nothing() {
    let (_lock, store) = (cluster_lock(), store());
    let disk = store.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let may = Command::new("unshare").args(["-rm", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        return skip("unshare cannot make a mount namespace");
    }
    let body = "mount -t tmpfs -o size=400k none \"$1\" || exit 99\n\
                \"$0\" run --store \"$1/runs\" --nodes 3 --time 60s --faults none\n\
                code=$?\n\
                cp \"$1\"/runs/*/history.jsonl \"$1\"/runs/*/plan.toml \"$1/..\"\n\
                exit $code";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", body, BINARY, text(&disk)]);
    let output = Running::start(command).finish().expect(4).says(&[
        "the history cannot be written: No space left on device",
        "UNKNOWN: the run was not made to its end",
        "hint: free some space",
    ]);
    assert!(!output.stdout.contains("VALID"), "{output}");
    let history = store.path().join("history.jsonl");
    let document = whitewater(&["check", text(&history), "--json"])
        .expect(3)
        .json();
    assert!(document["operations"].as_u64().unwrap() > 100, "{document}");
    let before = format!("{} operations", document["operations"]);
    assert!(output.stdout.contains(&before), "{before}: {output}");
}
