//! Runs that are ended from outside: by request, when they heal and judge what there is; by force,
//! when nothing is left behind.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::schema::assert_documented;
use crate::support::{
    Running, cluster_lock, command, eventually, has_namespaces, interfaces, mounts, only_run,
    processes_with, read_json, store, text, whitewater,
};

/// A run of ten minutes with a pause now and then, up to its first fault.
fn under_way(store: &Path, mode: &[&str]) -> Running {
    let args = [
        "run",
        "--store",
        text(store),
        "--time",
        "10m",
        "--nodes",
        "3",
        "--faults",
        "pause",
        "--fault-interval",
        "1s",
        "--fault-duration",
        "700ms",
        "--seed",
        "4",
    ];
    let mut running = Running::start(command(&[&args, mode].concat()));
    running.await_said("inject pause");
    running
}

/// Requires that nothing of the runs in this store lives.
#[track_caller]
fn assert_nothing_left(store: &TempDir) {
    eventually("no process of the run is left", || {
        processes_with(store.path()).is_empty()
    });
}

#[test]
fn a_run_asked_to_end_heals_and_is_judged() {
    type Stop = (&'static str, fn(&Running));
    let stops: [Stop; 3] = [
        ("Ctrl-C", |run| run.signal_group(Signal::SIGINT)),
        ("SIGINT", |run| run.signal(Signal::SIGINT)),
        ("SIGTERM", |run| run.signal(Signal::SIGTERM)),
    ];
    for mode in [&[][..], &["--plain"]] {
        for (name, stop) in stops {
            let (_lock, store) = (cluster_lock(), store());
            let running = under_way(store.path(), mode);
            stop(&running);
            let output = running.finish();
            let run = only_run(store.path());
            let document = read_json(&run.join("verdict.json"));
            assert_documented(&document);
            assert_eq!(document["verdict"], "valid", "{name} {mode:?}: {output}");
            assert_eq!(document["run"]["stopped"], true);
            let output = output
                .expect(0)
                .says(&["stopped early", "VALID", "healing"]);
            assert!(run.join("report.html").is_file(), "{output}");
            whitewater(&["check", text(&run)]).expect(0);
            assert_nothing_left(&store);
        }
    }
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    for mode in [&[][..], &["--plain"]] {
        let (_lock, store) = (cluster_lock(), store());
        let running = under_way(store.path(), mode);
        running.signal(Signal::SIGINT);
        // The stop was noticed: two signals at the same moment may be delivered as one.
        let stop = only_run(store.path()).join("stop");
        eventually("the request to stop", || stop.exists());
        running.signal(Signal::SIGINT);
        let code = running.finish().status.code();
        // A run that had healed and was judged in between has ended well before.
        assert!(matches!(code, Some(130 | 0)), "{code:?}");
        assert_nothing_left(&store);
    }
}

#[test]
fn a_campaign_asked_to_end_sums_up_what_there_is() {
    let (_lock, store) = (cluster_lock(), store());
    let mut running = Running::start(command(&[
        "campaign",
        "--store",
        text(store.path()),
        "--seed",
        "6",
        "--nodes",
        "3",
        "--faults",
        "none",
        "--run-time",
        "3s",
        "--runs",
        "1000",
        "--time",
        "2h",
    ]));
    // Each run says one line at its end.
    running.await_said(": valid\n");
    running.signal_group(Signal::SIGINT);
    let output = running.finish().expect(0).says(&["of 1000 runs made"]);
    let summary = read_json(&store.path().join("campaign-6/campaign.json"));
    let made = summary["runs"].as_array().unwrap().len();
    assert!((1..1000).contains(&made), "{output}");
    assert!(store.path().join("campaign-6/junit.xml").is_file());
    assert_nothing_left(&store);
}

/// The processes of a run that were started as its conductor: the one in the sandbox.
fn conductors(store: &Path) -> Vec<Pid> {
    let processes = processes_with(store).into_iter();
    processes
        .filter(|(_, line)| line.contains("__conductor"))
        .map(|(pid, _)| Pid::from_raw(pid))
        .collect()
}

/// What is killed: the command that the user started, or the controller inside the sandbox.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Command,
    Conductor,
}

#[test]
fn whoever_is_killed_nothing_is_left_and_the_history_can_be_judged() {
    let sandboxed = has_namespaces();
    for (mode, victim) in [
        (&[][..], Victim::Command),
        (&[], Victim::Conductor),
        (&["--plain"], Victim::Command),
    ] {
        if mode.is_empty() && !sandboxed {
            continue;
        }
        let (_lock, store) = (cluster_lock(), store());
        let before = (interfaces(), mounts());
        let running = under_way(store.path(), mode);
        // Nodes are there, so that their end shows.
        assert!(processes_with(store.path()).len() > 3);
        match victim {
            Victim::Command => running.signal(Signal::SIGKILL),
            Victim::Conductor => {
                let pids = conductors(store.path());
                assert!(!pids.is_empty());
                // The end of the first may be that of the others already.
                for pid in pids {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        }
        let output = running.finish();
        match victim {
            Victim::Command => assert_eq!(output.status.code(), None, "{output}"),
            Victim::Conductor => {
                output
                    .expect(4)
                    .says(&["the controller ended before the run did"]);
            }
        }
        assert_nothing_left(&store);
        eventually("no interface is left", || {
            interfaces().iter().all(|name| before.0.contains(name))
        });
        eventually("no mount is left", || {
            mounts().iter().all(|mount| before.1.contains(mount))
        });

        let run = only_run(store.path());
        let document = whitewater(&["check", text(&run), "--json"])
            .expect(3)
            .json();
        assert!(
            document["operations"].as_u64().unwrap() > 0,
            "{mode:?} {victim:?}: {document}"
        );
        let linearizability = document["checks"].as_array().unwrap().iter();
        let mut linearizability =
            linearizability.filter(|check| check["name"] == "linearizability");
        assert_eq!(linearizability.next().unwrap()["verdict"], "valid");
        whitewater(&["runs", "--store", text(store.path())])
            .expect(0)
            .says(&[if victim == Victim::Command {
                "never came to a verdict"
            } else {
                "unknown"
            }]);
    }
}
