//! What the program says when it cannot run.

use std::net::TcpListener;
use std::process::{Command, Output};

use raft_kv::Bug;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let program = env!("CARGO_BIN_EXE_raft-kv");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn check(arguments: &[&str], code: i32, says: &str) {
    let (status, _, stderr) = run(arguments);
    assert_eq!(status, Some(code), "{arguments:?}: {stderr}");
    // Lines are wrapped to the width of the terminal.
    let unwrapped = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains(says), "{arguments:?}: {stderr}");
}

#[test]
fn the_list_of_bugs_has_them_all() {
    let (status, stdout, _) = run(&["--list-bugs"]);
    assert_eq!(status, Some(0));
    for bug in Bug::ALL {
        assert!(
            stdout.contains(&format!("{bug}\n")) && stdout.contains(bug.source()),
            "{bug}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_with_the_right_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let node = ["--node", "n1", "--cluster", "n1=127.0.0.1", "--data", data];
    let with = |more: &[&'static str]| [&node[..], more].concat();
    check(&[], 2, "--node");
    check(
        &with(&["--bug", "stale-reed"]),
        2,
        "did you mean `stale-read`?",
    );
    check(
        &with(&["--heartbeat-ms", "200"]),
        2,
        "no room for heartbeats",
    );
    check(
        &["--node", "n1", "--cluster", "n1", "--data", data],
        2,
        "`n1` is not NAME=IP",
    );
    check(
        &["--node", "n1", "--cluster", "n1=1.2.3", "--data", data],
        2,
        "not an IP address",
    );
    let twice = [
        "--node",
        "n1",
        "--cluster",
        "n1=127.0.0.1,n1=127.0.0.2",
        "--data",
        data,
    ];
    check(&twice, 2, "twice");
    let stranger = ["--node", "n9", "--cluster", "n1=127.0.0.1", "--data", data];
    check(&stranger, 1, "node n9 is not in the cluster (n1)");
    let in_use = [&node[..], &["--client-port", "0", "--peer-port", &port]].concat();
    check(
        &in_use,
        1,
        &format!("cannot listen on 127.0.0.1:{port} for other nodes"),
    );
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let ports = ["--client-port", "0", "--peer-port", "0"];
    let unwritable = [
        &[
            "--node",
            "n1",
            "--cluster",
            "n1=127.0.0.1",
            "--data",
            file.to_str().unwrap(),
        ],
        &ports[..],
    ]
    .concat();
    check(&unwritable, 1, "cannot create");
    std::fs::write(folder.path().join("log"), b"nonsense").unwrap();
    check(&[&node[..], &ports[..]].concat(), 1, "is damaged at byte 0");
}
