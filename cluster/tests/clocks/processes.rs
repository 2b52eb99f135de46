//! Processes that come and go, share their memory, are stopped, or are traced, while their clocks
//! are moved.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use cluster::Mode;
use faults::{Clock, Target};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::programs::{CLOCK_C, compile, compile_clock, plain_command, running};
use super::{
    CLOSE_US, HOUR_MS, HOUR_US, Report, check_evidence, next_reports, offset, processes, reports,
    set, start, start_one,
};
use crate::support::{LIMIT, OWN, Seen, eventually, states};

/// Children: by fork they have it from their parents, by exec they get it again.
pub fn children_have_the_clocks_of_their_parents() {
    let Some(program) = compile_clock() else {
        return;
    };
    let commands = ["fork", "exec"].map(|how| plain_command(&program, &[how]));
    let (started, nodes) = start(Mode::Sandbox, &commands);
    for node in &nodes {
        eventually("children report", || {
            reports(&started, node)
                .iter()
                .any(|report| report.name == "child")
        });
        set(&started, node, Clock::Realtime, &offset(HOUR_MS));
    }
    for node in &nodes {
        let is_ahead = |report: &Report| report.offsets_us().0 > HOUR_US - CLOSE_US;
        // A forked child never sees the true time; one that runs another program does at first.
        let mut new = next_reports(&started, node, 100);
        if node == "n1" {
            assert!(new.iter().all(is_ahead));
        }
        eventually("children of both sorts are ahead", || {
            let is_ahead = new.iter().any(is_ahead);
            new = next_reports(&started, node, 40);
            is_ahead
        });
        let evidence = set(&started, node, Clock::Realtime, &[]);
        assert!(processes(&evidence).len() > 1, "{evidence}");
        let later = evidence
            .get("started_since")
            .map(|later| later.as_list().unwrap().len());
        assert_eq!(
            later.is_some_and(|later| later > 0),
            node == "n2",
            "{evidence}"
        );
        let new = next_reports(&started, node, 100);
        assert!(!new.iter().any(is_ahead), "all children are healed");
    }
}

/// A process in vfork(2) cannot be stopped, and its child runs in its memory: they are changed as
/// one.
pub fn processes_that_share_memory_are_changed_together() {
    let Some(program) = compile_clock() else {
        return;
    };
    let started = start_one(Mode::Sandbox, plain_command(&program, &["vfork"]));
    for round in 0..10 {
        eventually("it waits for its child", || {
            let pids = started.cluster().node_pids("n1").unwrap();
            pids.len() == 2 && Seen::of(pids[0]).is_some_and(|seen| seen.state == "D")
        });
        let wanted_ms = if round % 2 == 0 { HOUR_MS } else { -HOUR_MS };
        let evidence = set(&started, "n1", Clock::Realtime, &offset(wanted_ms));
        assert_eq!(processes(&evidence).len(), 1, "{evidence}");
        let report = next_reports(&started, "n1", 1)[0].clone();
        assert!(
            (report.offsets_us().0 - wanted_ms * 1000).abs() < CLOSE_US,
            "{report:?}"
        );
    }
    set(&started, "n1", Clock::Realtime, &[]);
    let report = next_reports(&started, "n1", 1)[0].clone();
    assert!(report.offsets_us().0.abs() < CLOSE_US, "{report:?}");
}

/// A node that is started again never sees the true time.
pub fn check_restart(mode: Mode) {
    let Some(program) = compile("clock", CLOCK_C, &["-static"]) else {
        return;
    };
    let started = start_one(mode, plain_command(&program, &[]));
    eventually("it runs", || !reports(&started, "n1").is_empty());
    let cluster = started.cluster();
    cluster.kill("n1").unwrap();
    let evidence = set(&started, "n1", Clock::Realtime, &offset(HOUR_MS));
    assert_eq!(processes(&evidence), []);
    for _ in 0..3 {
        let seen = reports(&started, "n1").len();
        cluster.start("n1").unwrap();
        eventually("it runs again", || {
            reports(&started, "n1").len() > seen + 10
        });
        for report in reports(&started, "n1").into_iter().skip(seen) {
            assert!(
                (report.offsets_us().0 - HOUR_US).abs() < CLOSE_US,
                "{report:?}"
            );
        }
        cluster.kill("n1").unwrap();
    }
    set(&started, "n1", Clock::Realtime, &[]);
    let seen = reports(&started, "n1").len();
    cluster.start("n1").unwrap();
    eventually("it runs again", || {
        reports(&started, "n1").len() > seen + 10
    });
    for report in reports(&started, "n1").into_iter().skip(seen) {
        assert!(report.offsets_us().0.abs() < CLOSE_US, "{report:?}");
    }
    // A program that is not there is still an exit, and nothing to wait for.
    set(&started, "n1", Clock::Realtime, &offset(HOUR_MS));
    cluster.kill("n1").unwrap();
    fs::remove_file(&program).unwrap();
    cluster.start("n1").unwrap();
    let exit = started.exits.recv_timeout(LIMIT).unwrap();
    assert_eq!(exit.status.code(), Some(127));
}

/// A stopped process is changed and stays stopped; one that is stopped meanwhile is, too.
pub fn a_stopped_node_stays_stopped() {
    let Some(started) = running() else {
        return;
    };
    let cluster = started.cluster();
    let pid = cluster.node_pids("n1").unwrap()[0];
    for wanted_ms in [HOUR_MS, 0] {
        let paused = states(&cluster.pause("n1").unwrap());
        assert_eq!(paused, [(i64::from(pid), "T".to_owned())]);
        let seen = reports(&started, "n1").len();
        let distortions = if wanted_ms == 0 {
            vec![]
        } else {
            offset(wanted_ms)
        };
        let evidence = set(&started, "n1", Clock::Realtime, &distortions);
        check_evidence(
            &evidence,
            &[pid],
            (HOUR_MS - wanted_ms) * 1000,
            wanted_ms * 1000,
        );
        eventually("it is stopped again", || {
            Seen::of(pid).unwrap().state == "T"
        });
        thread::sleep(Duration::from_millis(20));
        assert_eq!(reports(&started, "n1").len(), seen, "it stays stopped");
        cluster.resume("n1").unwrap();
        let report = next_reports(&started, "n1", 1)[0].clone();
        assert!(
            (report.offsets_us().0 - wanted_ms * 1000).abs() < CLOSE_US,
            "{report:?}"
        );
    }
    // SIGSTOP and SIGCONT from elsewhere, at any moment.
    for round in 0..50_i64 {
        thread::scope(|scope| {
            scope.spawn(|| kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap());
            set(&started, "n1", Clock::Realtime, &offset(round * HOUR_MS));
        });
        eventually("it is stopped", || Seen::of(pid).unwrap().state == "T");
        kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
        eventually("it goes on", || Seen::of(pid).unwrap().state != "T");
    }
    next_reports(&started, "n1", 10);
}

/// Somebody else traces it: refused in words, and nothing is changed.
pub fn a_traced_process_is_refused() {
    let Some(started) = running() else {
        return;
    };
    let pid = started.cluster().node_pids("n1").unwrap()[0];
    let mut tracer = Command::new(OWN)
        .args(["program", "trace", &pid.to_string()])
        .spawn()
        .unwrap();
    let status = format!("/proc/{pid}/status");
    let traced = format!("TracerPid:\t{}\n", tracer.id());
    eventually("it is traced", || {
        fs::read_to_string(&status).unwrap().contains(&traced)
    });
    let clocks = started.cluster().clocks().unwrap();
    let error = clocks
        .set_distortions("n1", Clock::Realtime, &offset(HOUR_MS))
        .unwrap_err();
    let error = error.to_string();
    let expected = format!("process {pid} is traced by process {}", tracer.id());
    assert!(error.contains(&expected), "{error}");
    let report = next_reports(&started, "n1", 1)[0].clone();
    assert!(report.offsets_us().0.abs() < CLOSE_US, "{report:?}");
    let error = clocks
        .set_distortions("n9", Clock::Realtime, &[])
        .unwrap_err();
    assert!(error.to_string().contains("no node n9"), "{error}");
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    set(&started, "n1", Clock::Realtime, &offset(HOUR_MS));
}
