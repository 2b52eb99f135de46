//! Runs on hosts by ssh, on a lab of network namespaces with an sshd in each.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::Lab;
use crate::support::{
    ONE_OF_EACH, Running, cluster_lock, eventually, only_run, read_json, skip, store, text,
    whitewater,
};

#[test]
fn hosts_are_tried_and_healed_and_nothing_is_left() {
    let Some(lab) = Lab::new(2) else {
        return;
    };
    lab.whitewater(&["doctor", "--hosts", "h1,h2"])
        .expect(0)
        .says(&["h1\n", "h2\n", "yes  partitions", "yes  clock faults"]);
    lab.assert_nothing_left();
    for _ in 0..2 {
        let healed = lab.whitewater(&["heal", "--hosts", "h1,h2"]);
        healed
            .expect(0)
            .says(&["h1: nothing was left", "h2: nothing was left"]);
    }
    lab.assert_nothing_left();
}

#[test]
fn a_host_that_cannot_be_used_says_why() {
    let Some(lab) = Lab::new(1) else {
        return;
    };
    let rows: [(&str, &[&str]); 3] = [
        (
            "nobody",
            &[
                "failed to connect to host nobody by ssh",
                "Connection refused",
                "hint",
            ],
        ),
        (
            "no-such.invalid",
            &["failed to find the address of host no-such.invalid"],
        ),
        ("h1,nobody", &["failed to connect to host nobody"]),
    ];
    for (hosts, says) in rows {
        lab.whitewater(&["doctor", "--hosts", hosts])
            .expect(4)
            .says(says);
        lab.whitewater(&["heal", "--hosts", hosts])
            .expect(4)
            .says(says);
    }
    lab.assert_nothing_left();
    whitewater(&["heal", "--hosts", "-oProxyCommand=x"]).expect(2);
}

/// `run` on the lab's three hosts, with a store, and whatever else.
fn on_three(lab: &Lab, store: &Path, args: &[&str]) -> Command {
    let common = ["run", "--hosts", "h1,h2,h3", "--store", text(store)];
    lab.command(&[&common, args].concat())
}

/// A run with a cut in force on every host.
fn cut_in_force(lab: &Lab, store: &Path) -> Running {
    let args = [
        "--time",
        "10m",
        "--seed",
        "2",
        "--faults",
        "partition",
        "--fault-interval",
        "1s",
        "--fault-duration",
        "10m",
    ];
    let mut running = Running::start(on_three(lab, store, &args));
    running.await_said("inject partition");
    for number in 1..=3 {
        assert!(lab.tables(number).contains("whitewater"), "{number}");
        assert!(lab.processes(number).len() >= 4, "{number}");
    }
    running
}

#[test]
fn a_run_on_hosts_is_valid_with_a_kill_a_pause_and_a_partition_in_force() {
    let Some(lab) = Lab::new(3) else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let output = Running::start(on_three(&lab, store.path(), &ONE_OF_EACH[2..])).finish();
    let says = [
        "3 hosts by ssh",
        "heal kill",
        "heal pause",
        "heal partition",
        "VALID",
    ];
    let output = output.expect(0).says(&says);
    assert!(!output.stderr.contains("had no effect"), "{output}");
    lab.assert_nothing_left();
    let run = only_run(store.path());
    let log = fs::metadata(run.join("nodes/n1/stderr.log")).unwrap();
    assert!(log.len() > 0, "the node's log was fetched");
    whitewater(&["check", text(&run)]).expect(0);
}

/// Systems whose definitions have files, programs beside, preparation, a user of their own, or an order of
/// the start; and one that has none of that.
#[test]
fn real_systems_run_on_hosts() {
    let Some(lab) = Lab::new(3) else {
        return;
    };
    let _lock = cluster_lock();
    // What must be here, what runs, and on which hosts.
    let rows: [(&str, &str, &str, &[&str]); 4] = [
        (
            "/usr/bin/etcd",
            "etcd",
            "h1,h2,h3",
            &["--faults", "kill,partition"],
        ),
        (
            "/usr/bin/redis-sentinel",
            "redis",
            "h1,h2,h3",
            &["--workload", "set", "--faults", "none"],
        ),
        (
            "/usr/share/java/zookeeper.jar",
            "zookeeper",
            "h1,h2,h3",
            &["--client-option", "sync=true", "--faults", "kill"],
        ),
        (
            "/usr/lib/postgresql",
            "postgresql",
            "h1,h2",
            &["--workload", "bank", "--rate", "200", "--faults", "none"],
        ),
    ];
    for (needed, system, hosts, args) in rows {
        if !Path::new(needed).exists() {
            skip(&format!("{system} on hosts needs {needed}"));
            continue;
        }
        let store = store();
        let run = ["run", "--system", system, "--hosts", hosts, "--store"];
        let run = [&run[..], &[text(store.path())]].concat();
        let times = "--time 5s --recovery-limit 30s --fault-interval 1500ms --fault-duration 500ms";
        let times: Vec<&str> = times.split(' ').collect();
        let output = lab.whitewater(&[&run[..], &["--seed", "1"], &times, args].concat());
        output.expect(0).says(&["hosts by ssh", "VALID"]);
        lab.assert_nothing_left();
    }
}

/// What a definition can have beside a node's program.
const BESIDE: &str = r#"
[[files]]
path = "{folder}/etc/greeting"
text = "I am {node.name}"
[[prepare]]
command = ["sh", "-c", "cat {folder}/etc/greeting > {data}/prepared; id -u >> {data}/prepared"]
[[beside]]
command = ["sh", "-c", "cat {data}/prepared > {folder}/own.log; exec sleep 1000"]
[start]
one_by_one = true
bootstrap = [["sh", "-c", "echo > {here}/bootstrapped-{first.ip}"]]
[logs]
files = ["{folder}/own.log"]
failures = ["^I am n1"]
"#;

#[test]
fn what_a_definition_has_beside_its_program_is_there_on_hosts() {
    let Some(lab) = Lab::new(1) else {
        return;
    };
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python-kv");
    let (_lock, store) = (cluster_lock(), store());
    fs::copy(example.join("server.py"), lab.path("server.py")).unwrap();
    let single = fs::read_to_string(example.join("single.toml")).unwrap();
    let furnished = single.replace("[node]", "[node]\nuser = \"1234\"") + BESIDE;
    let run = |definition: &str| {
        let file = lab.path("mine.toml");
        fs::write(&file, definition).unwrap();
        let args = ["run", "--hosts", "h1", "--time", "2s", "--faults", "none"];
        let system = ["--system", text(&file), "--store", text(store.path())];
        lab.whitewater(&[&args[..], &system].concat())
    };
    // The log of the program beside was fetched, and what is a failure was seen in it.
    run(&furnished).expect(1).says(&["n1/own.log:1: I am n1"]);
    let own = only_run(store.path()).join("nodes/n1/own.log");
    assert_eq!(fs::read_to_string(own).unwrap(), "I am n11234\n");
    assert!(lab.path("bootstrapped-10.99.0.1").exists());
    lab.assert_nothing_left();

    let rows = [
        (
            "\"cat {folder}/etc/greeting",
            "\"exit 7",
            "cannot prepare node n1",
        ),
        (
            "[\"sh\", \"-c\", \"cat {data}",
            "[\"no-such-sh\", \"cat {data}",
            "there is no program no-such-sh",
        ),
        (
            "\"1234\"",
            "\"no-such-user\"",
            "there is no user no-such-user",
        ),
        (
            "echo > {here}",
            "exit 9; {here}",
            "failed to start the cluster as a whole",
        ),
    ];
    for (from, to, says) in rows {
        assert!(furnished.contains(from), "{from}");
        run(&furnished.replace(from, to))
            .expect(4)
            .says(&[says, "could not be made"]);
        lab.assert_nothing_left();
    }
}

#[test]
fn when_the_controller_is_killed_nothing_is_left_on_any_host() {
    let Some(lab) = Lab::new(3) else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let running = cut_in_force(&lab, store.path());
    running.signal(Signal::SIGKILL);
    assert_eq!(running.finish().status.code(), None);
    lab.assert_nothing_left();
}

/// The agent on one host is killed, and the guardian does its work; on another both are.
#[test]
fn when_agents_are_killed_the_run_is_unknown_and_everything_is_healed() {
    let Some(lab) = Lab::new(3) else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    let running = cut_in_force(&lab, store.path());
    let pid_of = |number, stage: &str| {
        let processes = lab.processes(number).into_iter();
        let stage = format!("__cluster {stage} ");
        let mut pid = processes
            .filter(|(_, line)| line.contains(&stage))
            .map(|(pid, _)| pid);
        Pid::from_raw(pid.next().unwrap())
    };
    kill(pid_of(1, "guardian"), Signal::SIGKILL).unwrap();
    kill(pid_of(1, "agent"), Signal::SIGKILL).unwrap();
    kill(pid_of(2, "agent"), Signal::SIGKILL).unwrap();
    let output = running.finish().expect(4).says(&["host h", " was lost: "]);
    let document = read_json(&only_run(store.path()).join("verdict.json"));
    assert_eq!(document["verdict"], "unknown", "{output}");

    // The guardian has healed the second host; on the first only the node ended.
    eventually("the node ends with its agent", || {
        lab.processes(1).is_empty()
    });
    eventually("the second host is healed", || lab.tables(2).is_empty());
    assert!(lab.tables(1).contains("whitewater") && lab.folders(1).len() == 1);
    let heal = ["heal", "--hosts", "h1,h2,h3"];
    lab.whitewater(&heal).expect(0).says(&[
        "h1: /",
        "removed the table inet whitewater",
        "removed the folder",
        "h2: nothing was left",
    ]);
    lab.assert_nothing_left();
    lab.whitewater(&heal)
        .expect(0)
        .says(&["h1: nothing was left"]);
}

#[test]
fn a_run_with_a_host_that_cannot_be_used_is_not_made_and_leaves_nothing() {
    let Some(lab) = Lab::new(3) else {
        return;
    };
    let (_lock, store) = (cluster_lock(), store());
    lab.mount_tmp(2, "size=1m");
    lab.mount_tmp(3, "noexec");
    let rows: [(&str, &[&str]); 4] = [
        ("h1,nobody", &["host nobody", "Connection refused"]),
        (
            "h1,h2",
            &["host h2", "did not arrive whole", "No space left"],
        ),
        (
            "h1,h3",
            &["host h3", "does not run there", "Permission denied"],
        ),
        (
            "h1,h2=10.99.0.1",
            &["h2=10.99.0.1", "the address 10.99.0.1 of host h1"],
        ),
    ];
    for (hosts, says) in rows {
        let args = [
            "run",
            "--hosts",
            hosts,
            "--time",
            "5s",
            "--store",
            text(store.path()),
        ];
        lab.whitewater(&args)
            .expect(4)
            .says(says)
            .says(&["could not be made"]);
        lab.assert_nothing_left();
    }
    let args = [
        "run",
        "--hosts",
        "h1,h2",
        "--nodes",
        "3",
        "--store",
        text(store.path()),
    ];
    lab.whitewater(&args)
        .expect(2)
        .says(&["2 hosts for 3 nodes"]);
}
