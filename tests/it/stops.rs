//! Runs that are ended from outside: by request, when they heal and judge what there is; by force,
//! when nothing is left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::schema::assert_documented;
use crate::support::{
    ONE_OF_EACH, Running, User, assert_nothing_left, cluster_lock, command, eventually,
    has_namespaces, interfaces, mounts, only_run, processes_with, read_json, runs, store, text,
    there_is, whitewater,
};

/// `run` for ten minutes with a pause now and then.
const LONG: [&str; 13] = [
    "run",
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

/// That run under way, after its first fault.
fn under_way(store: &Path, mode: &[&str]) -> Running {
    let args = [&LONG[..], &["--store", text(store)], mode].concat();
    started(command(&args))
}

fn started(command: Command) -> Running {
    let mut running = Running::start(command);
    running.await_said("inject pause");
    running
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
            assert_nothing_left(store.path());
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
        assert_nothing_left(store.path());
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
    assert_nothing_left(store.path());
}

/// The processes of a run that were started as its conductor: the one in the sandbox.
fn conductors(store: &Path) -> Vec<Pid> {
    let processes = processes_with(store).into_iter();
    processes
        .filter(|(_, line)| line.contains("__conductor"))
        .map(|(pid, _)| Pid::from_raw(pid))
        .collect()
}

/// What is killed with SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    /// The command that was typed.
    Command,
    /// The same, typed by an ordinary user.
    UsersCommand,
    /// The same, in plain mode.
    PlainCommand,
    /// The controller inside the sandbox.
    Conductor,
}

#[test]
fn whoever_is_killed_nothing_is_left_and_the_history_can_be_judged() {
    let sandboxed = has_namespaces();
    for victim in [
        Victim::Command,
        Victim::UsersCommand,
        Victim::PlainCommand,
        Victim::Conductor,
    ] {
        if sandboxed || victim == Victim::PlainCommand {
            kill_in_the_middle(victim);
        }
    }
}

fn kill_in_the_middle(victim: Victim) {
    let (_lock, user) = (cluster_lock(), User::new());
    let store = user.folder().join("runs");
    let before = (interfaces(), mounts());
    let running = match victim {
        Victim::UsersCommand => started(user.command(&LONG)),
        Victim::PlainCommand => under_way(&store, &["--plain"]),
        Victim::Command | Victim::Conductor => under_way(&store, &[]),
    };
    // Nodes are there, so that their end shows.
    assert!(processes_with(&store).len() > 3);
    if victim == Victim::Conductor {
        let pids = conductors(&store);
        assert!(!pids.is_empty());
        for pid in pids {
            // The end of the first may have been that of the others.
            let _ = kill(pid, Signal::SIGKILL);
        }
        let output = running.finish().expect(4);
        output.says(&["the controller ended before the run did"]);
    } else {
        running.signal(Signal::SIGKILL);
        let output = running.finish();
        assert_eq!(output.status.code(), None, "{output}");
    }
    assert_nothing_left(&store);
    eventually("no interface is left", || {
        interfaces().iter().all(|name| before.0.contains(name))
    });
    eventually("no mount is left", || {
        mounts().iter().all(|mount| before.1.contains(mount))
    });

    let run = only_run(&store);
    let document = whitewater(&["check", text(&run), "--json"])
        .expect(3)
        .json();
    let operations = document["operations"].as_u64().unwrap();
    assert!(operations > 0, "{victim:?}: {document}");
    let mut checks = document["checks"].as_array().unwrap().iter();
    let linearizability = checks.find(|check| check["name"] == "linearizability");
    assert_eq!(linearizability.unwrap()["verdict"], "valid");
    let listed = match victim {
        Victim::Conductor => "unknown",
        _ => "never came to a verdict",
    };
    whitewater(&["runs", "--store", text(&store)])
        .expect(0)
        .says(&[listed]);
}

/// While the leader is told of a change that it cannot make alone, again and again; faults of the
/// other kinds stand beside their own tests.
#[test]
fn nothing_is_left_when_members_are_changed_and_the_command_is_killed() {
    let (_lock, store) = (cluster_lock(), store());
    let file = store.path().join("schedule.toml");
    let entries = "[[schedule]]\nat_ms = 200\nfor_ms = 50000\nfault = \"pause\"\ntarget = \"followers\"\n\n\
         [[schedule]]\nafter = \"fault 1 injected\"\nfor_ms = 50000\nfault = \"member-change\"\n\
         target = \"leader\"\nwait_ms = 40000\n";
    fs::write(&file, entries).unwrap();
    let runs = store.path().join("runs");
    let before = (interfaces(), mounts());
    let args = ["run", "--nodes", "3", "--time", "1m", "--schedule"];
    let files = [text(&file), "--store", text(&runs)];
    let mut running = Running::start(command(&[&args[..], &files].concat()));
    let ledger = || fs::read_to_string(only_run(&runs).join("ledger.jsonl")).unwrap_or_default();
    running.await_said("inject pause");
    eventually("the undo of the change is noted", || {
        ledger().lines().count() == 2
    });
    running.signal(Signal::SIGKILL);
    drop(running);
    assert_nothing_left(&runs);
    assert_eq!((interfaces(), mounts()), before);
}

/// While a command of the system, and one that it started, take their time.
#[test]
fn nothing_is_left_when_a_command_of_the_system_hangs_and_the_run_is_killed() {
    if !there_is("python3", "--version") {
        return;
    }
    for mode in [&[][..], &["--plain"]] {
        if mode.is_empty() && !has_namespaces() {
            continue;
        }
        let (_lock, folder) = (cluster_lock(), store());
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python-kv");
        fs::copy(example.join("server.py"), folder.path().join("server.py")).unwrap();
        let definition = folder.path().join("mine.toml");
        let hang = "touch {data}/told; tail -f {data}/told; true";
        let single = fs::read_to_string(example.join("single.toml")).unwrap();
        let command_of_it =
            format!("[commands.hang]\ncommand = [\"sh\", \"-c\", \"{hang}\"]\nlimit_ms = 50000\n");
        fs::write(&definition, format!("{single}\n{command_of_it}")).unwrap();
        let schedule = folder.path().join("schedule.toml");
        let entry = "[[schedule]]\nat_ms = 200\nfor_ms = 50000\nfault = \"command\"\n";
        fs::write(&schedule, entry).unwrap();

        let runs = folder.path().join("runs");
        let args = ["run", "--time", "1m", "--system", text(&definition)];
        let files = ["--schedule", text(&schedule), "--store", text(&runs)];
        let running = Running::start(command(&[&args[..], &files, mode].concat()));
        eventually("the command and its child run", || {
            let lines = processes_with(&runs).into_iter();
            lines.filter(|(_, line)| line.contains("tail -f")).count() == 2
        });
        running.signal(Signal::SIGKILL);
        drop(running);
        assert_nothing_left(&runs);
    }
}

/// As in `whitewater run 2>&1 | head -1`, and when a terminal is gone.
#[test]
fn a_run_goes_on_when_nobody_reads_what_it_says() {
    let (_lock, store) = (cluster_lock(), store());
    let args = [
        "run", "--time", "3s", "--nodes", "3", "--faults", "none", "--store",
    ];
    let mut child = command(&[&args, &[text(store.path())][..]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    eventually("the end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let document = read_json(&only_run(store.path()).join("verdict.json"));
    assert_eq!(document["verdict"], "valid");
}

/// Each has its own network with the same addresses, and its own folder with the same name.
#[test]
fn sandboxed_runs_side_by_side_do_not_meet() {
    if !has_namespaces() {
        return;
    }
    let (_lock, store) = (cluster_lock(), store());
    let more = [
        "--clients",
        "4",
        "--rate",
        "100",
        "--store",
        text(store.path()),
    ];
    let args = [&["run"], &ONE_OF_EACH[..], &more].concat();
    let both = [(); 2].map(|()| Running::start(command(&args)));
    for running in both {
        running.finish().expect(0).says(&["VALID"]);
    }
    let folders: Vec<PathBuf> = runs(store.path());
    assert_eq!(folders.len(), 2, "{folders:?}");
}
