//! Runs in containers: on a Docker engine of the test's own, or one that is there.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engine::Engine;
use crate::support::{
    ONE_OF_EACH, Output, Running, cluster_lock, eventually, only_run, store, text, whitewater,
};

/// `run` in containers of this image, with a store, and whatever else.
fn in_containers(engine: &Engine, image: &str, store: &Path, args: &[&str]) -> Command {
    let common = ["run", "--docker", image, "--store", text(store)];
    engine.command(&[&common, args].concat())
}

#[track_caller]
fn run_in_containers(engine: &Engine, image: &str, store: &Path, args: &[&str]) -> Output {
    Running::start(in_containers(engine, image, store, args)).finish()
}

/// A run of three nodes with a fault of this kind in force, which stays.
fn with_fault(engine: &Engine, store: &Path, kind: &str) -> Running {
    let args = [
        "--nodes",
        "3",
        "--time",
        "10m",
        "--seed",
        "2",
        "--faults",
        kind,
        "--fault-interval",
        "1s",
        "--fault-duration",
        "10m",
    ];
    let mut running = Running::start(in_containers(engine, &engine.empty(), store, &args));
    running.await_said(&format!("inject {kind}"));
    running
}

/// The processes of the nodes of a run, by pid, as the machine sees them.
fn nodes(engine: &Engine) -> Vec<(i32, String)> {
    let all = engine.processes();
    let is_node = |line: &str| line.contains(" raft-kv ") && !line.contains("__cluster");
    all.into_iter().filter(|(_, line)| is_node(line)).collect()
}

/// The state of a process, as the kernel says: `T` for one that is stopped.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_run_in_containers_is_valid_with_each_fault_and_a_bug_is_found() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let image = engine.empty();
    let output = run_in_containers(&engine, &image, store.path(), &ONE_OF_EACH);
    let says = [
        &format!("containers of {image}") as &str,
        "heal kill",
        "heal pause",
        "heal partition",
        "VALID",
    ];
    let output = output.expect(0).says(&says);
    assert!(!output.stderr.contains("had no effect"), "{output}");
    engine.assert_nothing_left();
    let run = only_run(store.path());
    let log = fs::metadata(run.join("nodes/n1/stderr.log")).unwrap();
    assert!(log.len() > 0, "the node's log was fetched");
    whitewater(&["check", text(&run)]).expect(0);

    let buggy = crate::support::store();
    let args = [
        "--nodes",
        "3",
        "--time",
        "20s",
        "--seed",
        "3",
        "--bug",
        "stale-read",
        "--faults",
        "partition",
        "--fault-interval",
        "1s",
        "--fault-duration",
        "800ms",
    ];
    run_in_containers(&engine, &image, buggy.path(), &args)
        .expect(1)
        .says(&["INVALID"]);
    engine.assert_nothing_left();
}

/// Seen from outside of the containers; and each time the controller is killed, once with what guards
/// its run.
#[test]
fn each_fault_shows_from_outside_and_nothing_outlives_the_controller() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let paused = with_fault(&engine, store.path(), "pause");
    eventually("a node is stopped", || {
        nodes(&engine)
            .iter()
            .any(|(pid, _)| state(*pid) == Some('T'))
    });
    let healed = engine.whitewater(&["heal", "--docker"]);
    healed.expect(4).says(&["left alone: a run is under way"]);
    assert_eq!(nodes(&engine).len(), 3);
    paused.signal(Signal::SIGKILL);
    paused.finish();
    engine.assert_nothing_left();

    let killed = with_fault(&engine, store.path(), "kill");
    assert!(nodes(&engine).len() < 3, "{:?}", nodes(&engine));
    assert_eq!(engine.containers().len(), 3);
    killed.signal(Signal::SIGINT);
    let output = killed.finish();
    assert!(output.status.code().is_some(), "{output}");
    engine.assert_nothing_left();

    let cut = with_fault(&engine, store.path(), "partition");
    let tables = nodes(&engine)
        .into_iter()
        .map(|(pid, _)| engine.tables(pid));
    for tables in tables {
        assert!(tables.contains("table inet whitewater_"), "{tables}");
    }
    let guardians = engine.guardians();
    let [(guardian, _)] = guardians[..] else {
        panic!("{guardians:?}");
    };
    kill(Pid::from_raw(guardian), Signal::SIGKILL).unwrap();
    cut.signal(Signal::SIGKILL);
    cut.finish();
    eventually("containers end with their controller", || {
        engine.containers().is_empty()
    });
    assert_eq!(engine.networks().len(), 1);
    let healed = engine.whitewater(&["heal", "--docker"]);
    healed
        .expect(0)
        .says(&["docker: run ", "removed the network", "removed the volume"]);
    engine.assert_nothing_left();
    let again = engine.whitewater(&["heal", "--docker"]);
    again.expect(0).says(&["docker: nothing was left"]);
}

#[test]
fn etcd_runs_from_an_image_that_has_nothing_else() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let Some(image) = engine.image_of("etcd", &["/usr/bin/etcd"], "etcd-server") else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let system = ["--system", "etcd"];
    let output = run_in_containers(
        &engine,
        &image,
        store.path(),
        &[&system[..], &ONE_OF_EACH[2..]].concat(),
    );
    output.expect(0).says(&["heal partition", "VALID"]);
    engine.assert_nothing_left();

    // What stands in the way of a run is said, and nothing is left.
    let empty = engine.empty();
    let rows: [(&str, &[&str], &[&str]); 4] = [
        (
            "no-such-image:1",
            &[],
            &["no-such-image:1", "does not have it", "docker pull"],
        ),
        (
            &empty,
            &["--system", "etcd"],
            &["container n1", "there is no program etcd"],
        ),
        (
            &image,
            &["--system", "etcd", "--system-option", "no-such-flag=1"],
            &["node n1 ended unexpectedly", "exit status"],
        ),
        (
            &empty,
            &["--binary", "/dev/null"],
            &["there is no program /dev/null"],
        ),
    ];
    for (image, args, says) in rows {
        let common = ["--nodes", "2", "--time", "5s"];
        run_in_containers(&engine, image, store.path(), &[&common[..], args].concat())
            .expect(4)
            .says(says)
            .says(&["could not be made"]);
        engine.assert_nothing_left();
    }
    let mut without = in_containers(&engine, &empty, store.path(), &["--time", "5s"]);
    without.env("DOCKER_HOST", "unix:///no/such/socket");
    let says = ["there is no Docker engine to use", "hint"];
    Running::start(without).finish().expect(4).says(&says);
}

/// Files, a program beside, the image's user, and questions that are asked by commands of the image.
#[test]
fn redis_runs_with_its_sentinels_and_is_asked_in_its_container() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let programs = [
        "/usr/bin/redis-server",
        "/usr/bin/redis-cli",
        "/usr/bin/sh",
        "/usr/bin/grep",
        "/usr/bin/wc",
    ];
    let Some(image) = engine.image_of("redis", &programs, "redis-server") else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let args = "--system redis --workload set --faults none --time 3s --recovery-limit 30s";
    let args: Vec<&str> = args.split(' ').collect();
    let image = engine.with(&image, "USER 1234:99");
    let mut running = Running::start(in_containers(&engine, &image, store.path(), &args));
    running.await_said("cluster ready");
    let processes = engine.processes();
    let mut servers = processes
        .iter()
        .filter(|(_, line)| line.contains("redis-server"))
        .filter(|(_, line)| !line.contains("__cluster"));
    let (server, _) = servers.next().unwrap();
    let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    assert!(status.contains("\nUid:\t1234\t1234\t"), "{status}");
    let output = running.finish();
    output.expect(0).says(&["leader n1", "VALID"]);
    engine.assert_nothing_left();
}

#[test]
fn the_engine_is_tried_and_what_is_asked_for_in_vain_is_refused() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let says = [
        "Docker ",
        "yes  containers",
        "yes  clients here",
        "yes  partitions",
    ];
    engine
        .whitewater(&["doctor", "--docker"])
        .expect(0)
        .says(&says);
    engine.assert_nothing_left();
    if let Some(mut elsewhere) = engine.elsewhere(&["run", "--docker", &engine.empty()]) {
        elsewhere.args(["--nodes", "2", "--store", text(store().path())]);
        let says = ["is not reached from here at its address", "hint"];
        Running::start(elsewhere).finish().expect(4).says(&says);
        let doctor = engine.elsewhere(&["doctor", "--docker"]).unwrap();
        let says = ["no   clients here", "is not reached"];
        Running::start(doctor).finish().expect(0).says(&says);
        engine.assert_nothing_left();
    }
    let document = engine
        .whitewater(&["doctor", "--docker", "--json"])
        .expect(0);
    let document = document.json();
    assert_eq!(document["abilities"][0]["available"], true, "{document}");
    let rows: [(&[&str], &str); 4] = [
        (&["--hosts", "a"], "cannot be used with"),
        (&["--disk-faults"], "run in containers"),
        (&["--docker="], "is no image"),
        (&["--pcap"], "run in containers"),
    ];
    for (args, says) in rows {
        let docker: &[&str] = match args[0] {
            "--docker=" => &["run"],
            _ => &["run", "--docker", "x"],
        };
        whitewater(&[docker, args].concat()).expect(2).says(&[says]);
    }
}
